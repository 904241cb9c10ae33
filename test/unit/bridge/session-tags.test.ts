/** Whose session it is, with a server that may lose it, a link that is cut, a process that dies, and a slow disk. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Control } from '../../../src/bridge/control.js';
import { OwnStatus } from '../../../src/bridge/own-status.js';
import { SessionTags } from '../../../src/bridge/session-tags.js';
import type { KeyValueDoor } from '../../../src/core/key-value.js';
import type { Packet, SubackPacket, UnsubackPacket } from '../../../src/mqtt/packet.js';
import { ReasonCode } from '../../../src/mqtt/reason-code.js';
import { GATEWAY, SaidLog } from '../../support/bridge-bench.js';
import { FakeClock } from '../../support/fake-clock.js';

const LIMITS = { isV5: true, maximumQoS: 2, retainAvailable: true } as const;

/** What a crash leaves: all that was committed. Changes and callbacks of one turn are one commit. */
class Disk {
  #durable = new Map<string, Uint8Array>();
  #pairs = new Map<string, Uint8Array>();
  #commits: {
    readonly pairs: Map<string, Uint8Array>;
    readonly doubt: boolean;
    readonly then: () => void;
  }[] = [];
  #durableDoubt = false;
  /** A CONNECT was not answered, and something could be lost by it. */
  doubt = false;

  readonly door: KeyValueDoor = {
    get: (key) => this.#pairs.get(key),
    put: (key, value) => void this.#pairs.set(key, value),
    remove: (key) => void this.#pairs.delete(key),
    entries: () => this.#pairs.entries(),
  };

  afterCommit(then: () => void): void {
    this.#commits.push({ pairs: new Map(this.#pairs), doubt: this.doubt, then });
  }

  commit(): void {
    const first = this.#commits.shift();
    if (first === undefined) return;
    this.#durable = first.pairs;
    this.#durableDoubt = first.doubt;
    first.then();
  }

  commitAll(): void {
    this.afterCommit(() => undefined);
    while (this.#commits.length > 0) this.commit();
  }

  crash(): void {
    this.#commits = [];
    this.doubt = this.#durableDoubt;
    this.#pairs = new Map(this.#durable);
  }
}

interface Session {
  readonly filters: Set<string>;
  /** A Record of ours is in it: to call it another would send that again. */
  hasOurs: boolean;
}

/** Bridge, link and server, one step at a time. */
class World {
  readonly disk = new Disk();
  readonly answers: (boolean | 'unsure')[] = [];
  readonly questions: string[] = [];
  session: Session | undefined;
  refuses = false;
  control = this.#process();
  isConnected = false;
  isReady = false;
  /** A CONNECT was not answered. */
  #doubt = false;
  /** Something of ours may wait for its release. */
  #used = false;
  #packetIdentifier = 0;
  #connection = 0;
  #up: Packet[] = [];
  #down: (SubackPacket | UnsubackPacket)[] = [];

  #process(): Control {
    return new Control(
      'cloud',
      [],
      new OwnStatus(GATEWAY, GATEWAY.statusTopic, 0),
      {
        takeIdentifier: () => {
          this.#packetIdentifier += 1;
          return this.#packetIdentifier;
        },
        freeIdentifier: () => undefined,
        send: (packet) => this.#up.push(packet),
        filters: this.disk.door,
        afterCommit: (then) => this.disk.afterCommit(then),
        underWay: () => undefined,
        hasRoom: () => true,
        wake: () => undefined,
      },
      new FakeClock(),
      new SaidLog(),
    );
  }

  /** Where the server has lost its session, the CONNECT begins another. */
  connect(isAnswered: boolean): void {
    const isPresent = this.session !== undefined;
    if (this.#used) {
      this.disk.doubt = true;
      this.disk.commitAll();
    }
    this.session ??= { filters: new Set(), hasOurs: false };
    if (!isAnswered) {
      this.#doubt = true;
      return;
    }
    this.isConnected = true;
    if (!isPresent || !this.#doubt) {
      this.#resume(isPresent);
      return;
    }
    this.control.askSession(
      () => undefined,
      (ours) => {
        this.answers.push(ours);
        if (ours === true)
          expect(this.session?.filters.size, 'another session was taken for ours').not.toBe(0);
        if (ours === false) expect(this.session?.hasOurs, 'our session was taken for another').toBe(false);
        this.#resume(ours);
      },
    );
  }

  #resume(present: boolean | 'unsure'): void {
    if (present !== true) this.control.sessionChanged();
    const connection = this.#connection;
    this.#doubt = false;
    this.disk.doubt = false;
    this.disk.afterCommit(() => {
      if (connection !== this.#connection) return;
      this.control.connected(LIMITS, present !== false);
      this.isReady = true;
    });
  }

  record(): void {
    if (!this.isReady) return;
    this.#used = true;
    this.#up.push({
      type: 'publish',
      topic: 'site/pump',
      payload: new Uint8Array(0),
      qos: 2,
      retain: false,
      dup: false,
      packetIdentifier: 1,
    });
  }

  serve(): void {
    const packet = this.#up.shift();
    const { session } = this;
    if (packet === undefined || session === undefined) return;
    if (packet.type === 'publish' && packet.qos === 2) session.hasOurs = true;
    if (packet.type === 'subscribe') {
      const reasonCodes = packet.subscriptions.map(({ topicFilter, qos }) => {
        if (this.refuses && topicFilter !== GATEWAY.statusTopic) return ReasonCode.notAuthorized;
        session.filters.add(topicFilter);
        return qos;
      });
      this.#down.push({ type: 'suback', packetIdentifier: packet.packetIdentifier, reasonCodes });
    }
    if (packet.type !== 'unsubscribe') return;
    this.questions.push(...packet.topicFilters);
    this.#down.push({
      type: 'unsuback',
      packetIdentifier: packet.packetIdentifier,
      reasonCodes: packet.topicFilters.map((filter) =>
        session.filters.delete(filter) ? ReasonCode.success : ReasonCode.noSubscriptionExisted,
      ),
    });
  }

  hear(): void {
    const packet = this.#down.shift();
    if (packet?.type === 'suback') this.control.suback(packet);
    else if (packet !== undefined) this.control.unsuback(packet);
  }

  cut(): void {
    this.#connection += 1;
    this.#up = [];
    this.#down = [];
    this.isConnected = false;
    this.isReady = false;
    this.control.disconnected();
  }

  crash(): void {
    this.cut();
    this.disk.crash();
    this.#doubt = this.disk.doubt;
    this.control = this.#process();
  }

  /** All that is under way arrives. */
  settle(): void {
    for (let n = 0; n < 20; n += 1) {
      this.disk.commit();
      this.serve();
      this.hear();
    }
    this.disk.commitAll();
  }

  /** A session with all tags and a Record in flight, and a CONNECT that nobody answered. */
  static doubtful(): World {
    const world = new World();
    world.connect(true);
    world.settle();
    world.record();
    world.settle();
    world.cut();
    world.connect(false);
    return world;
  }
}

const tags = Array.from({ length: 16 }, (_, n) => n + 1).map((n) => `${GATEWAY.statusTopic}/session/${n}`);

describe('a session that is doubted', () => {
  test('is asked by one tag after the other, each once, and the last interruption leaves it unsure', () => {
    const world = World.doubtful();
    for (let n = 0; n <= tags.length; n += 1) {
      world.connect(true);
      world.disk.commit();
      world.serve();
      world.crash();
      world.connect(false);
    }
    expect(world.questions).toEqual(tags);
    expect(world.answers).toEqual(['unsure']);
  });

  test.each(['cut', 'crash'] as const)('survives three interruptions by a %s at any step', (end) => {
    const steps: ((world: World) => void)[] = [
      () => undefined,
      (world) => world.disk.commit(),
      (world) => {
        world.disk.commit();
        world.serve();
      },
      (world) => {
        world.disk.commit();
        world.serve();
        world.hear();
      },
    ];
    for (const first of steps)
      for (const second of steps)
        for (const third of steps) {
          const world = World.doubtful();
          for (const step of [first, second, third]) {
            world.connect(true);
            step(world);
            world[end]();
            world.connect(false);
          }
          world.connect(true);
          world.settle();
          expect(world.answers.at(-1)).toBe(true);
          expect(world.answers).not.toContain(false);
          expect(tags.every((tag) => world.session?.filters.has(tag))).toBe(true);
        }
  });

  test('is another where the server has begun it, and then ours', () => {
    const world = World.doubtful();
    world.cut();
    world.session = undefined;
    world.connect(false);
    world.connect(true);
    world.settle();
    expect(world.answers).toEqual([false]);
    world.record();
    world.settle();
    world.crash();
    world.connect(false);
    world.connect(true);
    world.settle();
    expect(world.answers).toEqual([false, true]);
  });

  test('is not judged by tags of the session before, once the new one is on disk', () => {
    const world = World.doubtful();
    world.session = undefined;
    world.refuses = true;
    world.connect(false);
    world.connect(true);
    world.disk.commit();
    world.serve();
    world.hear();
    // The new session is on disk, and nothing after it.
    world.disk.commit();
    world.record();
    for (let n = 0; n < 5; n += 1) world.serve();
    world.crash();
    world.connect(false);
    world.connect(true);
    world.settle();
    expect(world.answers).toEqual([false, 'unsure']);
  });

  test('is not asked before the disk knows, and a tag whose question never left is asked again', () => {
    const world = World.doubtful();
    world.connect(true);
    world.serve();
    expect(world.questions).toEqual([]);
    world.cut();
    world.connect(true);
    world.settle();
    expect(world.questions).toEqual([tags[0]]);
    expect(world.answers).toEqual([true]);
  });

  test('whatever happens, ours is never called another nor another ours', () => {
    const met = { ours: 0, others: 0 };
    const step = fc.constantFrom(
      'connect',
      'connect',
      'unanswered',
      'commit',
      'commit',
      'flush',
      'serve',
      'serve',
      'serve',
      'hear',
      'hear',
      'record',
      'cut',
      'crash',
      'lose',
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 60, maxLength: 200 }), (steps) => {
        const world = new World();
        for (const one of steps) {
          if (one === 'connect' && !world.isConnected) world.connect(true);
          if (one === 'unanswered' && !world.isConnected) world.connect(false);
          if (one === 'commit') world.disk.commit();
          if (one === 'flush') world.disk.commitAll();
          if (one === 'serve') world.serve();
          if (one === 'hear') world.hear();
          if (one === 'record') world.record();
          if (one === 'cut') world.cut();
          if (one === 'crash') world.crash();
          if (one === 'lose' && !world.isConnected) world.session = undefined;
        }
        met.ours += world.answers.filter((answer) => answer === true).length;
        met.others += world.answers.filter((answer) => answer === false).length;
      }),
      { numRuns: 2000 },
    );
    expect(met.ours).toBeGreaterThan(0);
    expect(met.others).toBeGreaterThan(0);
  });
});

describe('tags', () => {
  test('that the server refuses stay unset and are nobody’s news', () => {
    const world = new World();
    world.refuses = true;
    world.connect(true);
    world.settle();
    expect(world.control.refused).toEqual([]);
    world.record();
    world.settle();
    world.cut();
    world.connect(false);
    world.connect(true);
    expect(world.answers).toEqual(['unsure']);
  });

  test('are subscribed by each process once, and then only those that are not set', () => {
    const disk = new Disk();
    const first = new SessionTags('status', disk.door);
    expect(first.toSubscribe()).toEqual(first.filters);
    const [half, others] = [first.filters.slice(0, 8), first.filters.slice(8)];
    first.granted(half, new Array(8).fill(0));
    expect(first.toSubscribe()).toEqual(others);
    first.granted(others, new Array(8).fill(0));
    expect(first.toSubscribe()).toEqual([]);
    expect(first.take()).toBe('status/session/1');
    expect(first.toSubscribe()).toEqual(['status/session/1']);
    expect(new SessionTags('status', disk.door).toSubscribe()).toEqual(first.filters);
  });

  test('are left out of every fourth connection where a server answers them by ending it', () => {
    const made = new SessionTags('status', new Disk().door);
    const sent = Array.from({ length: 8 }, () => made.toSubscribe().length);
    expect(sent).toEqual([16, 16, 16, 0, 16, 16, 16, 0]);
  });

  test('there are none without a status', () => {
    const made = new SessionTags(undefined, new Disk().door);
    expect(made.toSubscribe()).toEqual([]);
    expect(made.take()).toBeUndefined();
  });
});
