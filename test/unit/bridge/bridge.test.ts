/** The whole bridge on a fake clock, the real journal, and a server that does as it is told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Message } from '../../../src/core/message.js';
import type { PublishPacket } from '../../../src/mqtt/packet.js';
import { ReasonCode } from '../../../src/mqtt/reason-code.js';
import { InlineStorage } from '../../../src/storage/inline-storage.js';
import { BridgeBench } from '../../support/bridge-bench.js';
import { FakeClock } from '../../support/fake-clock.js';
import { ScriptedServer } from '../../support/scripted-server.js';

let folder: string;
let clock: FakeClock;
let server: ScriptedServer;
let benches: BridgeBench[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-bridge-'));
  clock = new FakeClock({ monotonicMs: 1000 });
  server = new ScriptedServer();
  benches = [];
});

afterEach(async () => {
  for (const { bridge, storage } of benches) {
    const stopped = bridge.stop();
    await clock.advanceAsync(6000);
    await stopped;
    await storage.stop();
  }
  expect(clock.waiting).toBe(0);
  rmSync(folder, { recursive: true, force: true });
});

async function bench(config: object = {}): Promise<BridgeBench> {
  const storage = new InlineStorage({ path: join(folder, 'journal.db'), clock });
  await storage.start();
  const made = new BridgeBench(storage, config, { clock, dial: server.dial });
  benches.push(made);
  await made.bridge.start();
  await settle();
  return made;
}

/** Lets commits, reads and packets that are under way arrive; no time passes. */
async function settle(turns = 30): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function accept(made: BridgeBench, count: number, from = 1, message: Partial<Message> = {}): void {
  for (let n = from; n < from + count; n += 1) {
    made.accept({ topic: 'site/pump', payload: Buffer.from(String(n)), ...message }, clock);
  }
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index + 1));
const states = (): string[] =>
  server
    .packets('publish')
    .flatMap((packet) =>
      packet.topic === 'godwit/well-17/status' ? [Buffer.from(packet.payload).toString()] : [],
    );

describe('connecting', () => {
  test('a new database throws a stranger’s session away, then begins its own', async () => {
    await bench();
    expect(server.connections.map((one) => one.connect?.cleanStart)).toEqual([true, false]);
    expect(server.connections[0]?.connect?.will).toBeUndefined();
    expect(server.last.connect).toMatchObject({
      clientId: 'well-17',
      keepAlive: 60,
      will: { topic: 'godwit/well-17/status', qos: 1, retain: true },
      properties: { sessionExpiryInterval: 7 * 86_400 },
    });
    expect(Buffer.from(server.last.connect?.will?.payload ?? []).toString()).toBe(
      '{"state":"offline","reason":"connection-lost"}',
    );
  });

  test('later connections resume it', async () => {
    const made = await bench();
    server.last.close();
    await clock.advanceAsync(2000);
    await settle();
    expect(server.last.connect?.cleanStart).toBe(false);
    expect(server.connections).toHaveLength(3);
    expect(made.bridge.snapshot()).toMatchObject({ state: 'connected', sessionsLost: 0 });
  });

  test('servers are tried in order at once, then again from the first after the back-off', async () => {
    server.dialFault = () => Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const made = await bench({ servers: ['mqtt://one', 'mqtt://two'] });
    await clock.advanceAsync(0);
    expect(server.dialled).toEqual(['mqtt://one', 'mqtt://two']);
    expect(made.bridge.snapshot()).toMatchObject({ state: 'waiting', server: 'mqtt://one' });
    // random is 0.5: half-way between min and min × 2.
    await clock.advanceAsync(1499);
    expect(server.dialled).toHaveLength(2);
    await clock.advanceAsync(1);
    expect(server.dialled).toEqual(['mqtt://one', 'mqtt://two', 'mqtt://one', 'mqtt://two']);
  });

  test('a fault is logged once when it begins and once when it ends, with attempts and duration', async () => {
    server.dialFault = () => Object.assign(new Error('nowhere'), { code: 'ENOTFOUND' });
    const made = await bench();
    await clock.advanceAsync(60_000);
    expect(made.bridge.snapshot().reason).toBe('the name server does not exist in DNS; check servers');
    server.dialFault = undefined;
    await clock.advanceAsync(300_000);
    await settle();
    const told = made.log.said.filter((one) => one.level === 'warn' || one.level === 'info');
    expect(told.map((one) => one.sentence)).toEqual([
      'Bridge is not connected; what is accepted waits in the journal',
      'Bridge is connected',
    ]);
    const { attempts, downMs } = (told[1]?.fields ?? {}) as { attempts: number; downMs: number };
    expect(attempts).toBe(server.dialled.length - 2);
    expect(downMs).toBeGreaterThan(50_000);
    expect(made.bridge.snapshot().reason).toBeUndefined();
  });

  test('a session that was short does not reset the back-off', async () => {
    server.intercept = (packet, connection) => {
      if (packet.type === 'subscribe') connection.close();
      return packet.type === 'subscribe';
    };
    await bench();
    await clock.advanceAsync(60_000);
    // At 1.5, 2.5, 4.5, 8.5, 16.5 s and so on, not every 1.5 s.
    expect(server.connections.length).toBeLessThan(9);
  });

  test.each([
    ['refused by name', () => (server.refusal = ReasonCode.notAuthorized), 'not authorized (0x87)'],
    ['silent at the dial', () => (server.dialFault = () => 'silence'), 'did not answer within 30 s'],
    [
      'silent after the dial',
      () => (server.intercept = (packet) => packet.type === 'connect'),
      'did not answer CONNECT within 30 s',
    ],
    [
      'no MQTT at all',
      () => {
        server.intercept = (_, connection) => {
          connection.sendBytes(Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'));
          return true;
        };
      },
      'sent what is not MQTT 5.0',
    ],
    [
      'a web server',
      () => {
        server.intercept = (_, connection) => {
          connection.sendBytes(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
          return true;
        };
      },
      'answers in HTTP',
    ],
    [
      'closed before CONNACK',
      () => {
        server.intercept = (_, connection) => {
          connection.close();
          return true;
        };
      },
      'closed the connection before it answered CONNECT',
    ],
  ])('a server that is %s is waited for, and the reason is told', async (_, prepare, words) => {
    prepare();
    const made = await bench();
    await clock.advanceAsync(30_000);
    expect(made.bridge.snapshot().state).not.toBe('connected');
    expect(made.bridge.snapshot().reason).toContain(words);
  });

  test('a server that takes no Will of QoS 1 gets one of QoS 0', async () => {
    server.intercept = (packet, connection) => {
      if (packet.type !== 'connect' || packet.will === undefined || packet.will.qos === 0) return false;
      connection.send({ type: 'connack', sessionPresent: false, reasonCode: ReasonCode.qosNotSupported });
      return true;
    };
    const made = await bench();
    await clock.advanceAsync(2000);
    await settle();
    expect(made.bridge.snapshot().state).toBe('connected');
  });
});

describe('a dead link is noticed', () => {
  test('by Keep Alive, where nothing is under way', async () => {
    const made = await bench({ keepalive: '10s' });
    server.intercept = () => true;
    await clock.advanceAsync(10_000);
    expect(server.packets('pingreq')).toHaveLength(1);
    await clock.advanceAsync(9_999);
    expect(made.bridge.snapshot().state).toBe('connected');
    await clock.advanceAsync(1);
    expect(made.bridge.snapshot()).toMatchObject({
      state: 'waiting',
      reason: expect.stringContaining('no PINGRESP'),
    });
  });

  test('by ack_timeout, where messages are in flight and pings are answered', async () => {
    const made = await bench({ ack_timeout: '20s', keepalive: '5s' });
    server.intercept = (packet) => packet.type === 'publish';
    accept(made, 3);
    await clock.advanceAsync(45_000);
    expect(made.log.said.map((one) => JSON.stringify(one.fields)).join()).toContain(
      'acknowledged none of 3 messages for 20 s',
    );
    server.intercept = () => false;
    await clock.advanceAsync(60_000);
    await settle();
    expect(server.payloads).toEqual(['1', '2', '3']);
    expect(server.packets('publish').filter((one) => one.dup)).not.toHaveLength(0);
  });
});

describe('the gateway’s status', () => {
  test('online after each connect, offline at a clean stop, then DISCONNECT', async () => {
    const made = await bench();
    expect(states()).toEqual(['{"state":"online","since":1732147200000,"version":"1.2.3"}']);
    const stopped = made.bridge.stop();
    await settle();
    await stopped;
    expect(states().at(-1)).toBe('{"state":"offline","reason":"shutdown"}');
    expect(server.last.received.at(-1)).toMatchObject({ type: 'disconnect', reasonCode: 0 });
    expect(made.bridge.snapshot().state).toBe('stopped');
  });

  test('a late Will is answered by online again, at most once a second', async () => {
    await bench();
    const will = {
      type: 'publish',
      topic: 'godwit/well-17/status',
      payload: Buffer.from('{"state":"offline","reason":"connection-lost"}'),
      qos: 0,
      retain: false,
      dup: false,
    } as const;
    for (let n = 0; n < 5; n += 1) server.last.send(will);
    await clock.advanceAsync(999);
    expect(states()).toHaveLength(1);
    await clock.advanceAsync(1);
    await settle();
    expect(states()).toHaveLength(2);
    expect(states()[1]).toContain('online');
  });

  test('a stop is bounded where the server has gone silent', async () => {
    const made = await bench();
    server.intercept = () => true;
    let isStopped = false;
    void made.bridge.stop().then(() => {
      isStopped = true;
    });
    await clock.advanceAsync(5000);
    expect(isStopped).toBe(true);
  });
});

describe('the status that a server is told', () => {
  test('none: no Will, no status, no losses and no states of devices', async () => {
    const made = await bench({ status: 'none' });
    accept(made, 1);
    await settle();
    expect(server.last.connect?.will).toBeUndefined();
    expect(server.packets('subscribe')).toEqual([]);
    expect(server.packets('publish').map((packet) => packet.topic)).toEqual(['site/pump']);
    for (const topic of ['godwit/well-17/losses', 'godwit/well-17/devices/tank/status']) {
      expect(() => made.accept({ topic }, clock)).toThrow('nothing forwards');
    }
    const stopped = made.bridge.stop();
    await settle();
    await stopped;
    expect(server.last.received.at(-1)).toMatchObject({ type: 'disconnect' });
  });

  test('a topic: status, Will and losses go there, and losses are not taken for a Will', async () => {
    const made = await bench({ status: 'fleet/{gateway}/state', will_delay: '30s' });
    expect(server.last.connect?.will).toMatchObject({
      topic: 'fleet/well-17/state',
      properties: { willDelayInterval: 30 },
    });
    made.accept({ topic: 'godwit/well-17/losses', payload: Buffer.from('{"lost":1}'), retain: true }, clock);
    await settle();
    const told = server.delivered.filter((packet) => packet.topic === 'fleet/well-17/state');
    expect(told.map((packet) => packet.retain)).toEqual([true, false]);
    server.last.send({
      type: 'publish',
      topic: 'fleet/well-17/state',
      payload: Buffer.from('{"lost":1}'),
      qos: 0,
      retain: false,
      dup: false,
    });
    await clock.advanceAsync(5000);
    expect(server.delivered.filter((packet) => packet.topic === 'fleet/well-17/state')).toHaveLength(2);
  });
});

describe('other servers', () => {
  test.each(['connack', 'disconnect'] as const)('a Server Reference in %s is followed', async (type) => {
    let told = false;
    server.intercept = (packet, connection) => {
      if (told || packet.type !== (type === 'connack' ? 'connect' : 'subscribe')) return false;
      told = true;
      const properties = { serverReference: '!! other.example:1884' };
      if (type === 'connack') {
        connection.send({ type, sessionPresent: false, reasonCode: ReasonCode.serverMoved, properties });
      } else {
        connection.send({ type, reasonCode: ReasonCode.useAnotherServer, properties });
      }
      return true;
    };
    const made = await bench();
    expect(server.dialled.at(-1)).toBe('mqtt://other.example:1884');
    expect(made.bridge.snapshot()).toMatchObject({ state: 'connected', server: 'mqtt://other.example:1884' });
    expect(made.log.count('Server refers to another, which is tried')).toBe(1);
    accept(made, 3);
    await settle();
    expect(server.payloads).toEqual(numbers(3));
  });

  test('servers that refer to each other are not followed for ever', async () => {
    let n = 0;
    server.intercept = (packet, connection) => {
      if (packet.type !== 'connect') return false;
      n += 1;
      const properties = { serverReference: `s${n}` };
      connection.send({
        type: 'connack',
        sessionPresent: false,
        reasonCode: ReasonCode.useAnotherServer,
        properties,
      });
      return true;
    };
    await bench();
    await settle();
    expect(server.dialled).toEqual(['mqtt://server:1883', 'mqtt://s1', 'mqtt://s2', 'mqtt://s3']);
  });

  test('a fail-over counts as a lost session, and after return_after it is back with the first, without a gap', async () => {
    server.dialFault = (url) =>
      url.includes('one') ? Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) : undefined;
    const made = await bench({ servers: ['mqtt://one', 'mqtt://two'], return_after: '10m' });
    await clock.advanceAsync(0);
    await settle();
    expect(made.bridge.snapshot().server).toBe('mqtt://two');
    await clock.advanceAsync(1_200_000);
    await settle();
    expect(made.bridge.snapshot()).toMatchObject({ state: 'connected', server: 'mqtt://two' });
    server.dialFault = undefined;
    let hold = true;
    server.intercept = (packet) => hold && packet.type === 'publish' && packet.topic === 'site/pump';
    accept(made, 5);
    await settle();
    await clock.advanceAsync(601_000 - 5000);
    await settle();
    hold = false;
    await clock.advanceAsync(40_000);
    await settle();
    expect(made.bridge.snapshot()).toMatchObject({ state: 'connected', server: 'mqtt://one' });
    expect(server.payloads).toEqual(numbers(5));
  });

  test('a second client of the same name is named for what it is, once', async () => {
    const made = await bench();
    for (let n = 0; n < 5; n += 1) {
      server.last.send({ type: 'disconnect', reasonCode: ReasonCode.sessionTakenOver });
      await settle();
      if (n > 0) expect(made.bridge.snapshot().reason).toContain('was the card of this gateway copied?');
      await clock.advanceAsync(300_000);
      await settle();
    }
    expect(made.log.count('Another client uses this client identifier')).toBe(1);
  });
});

describe('what is accepted', () => {
  test.each([0, 1, 2] as const)('arrives in order at QoS %i, and the numbers add up', async (qos) => {
    const made = await bench({ forward: [{ filter: 'site/#', qos }] });
    accept(made, 2500);
    await settle(200);
    await clock.advanceAsync(300);
    expect(server.payloads).toEqual(numbers(2500));
    expect(made.bridge.snapshot()).toMatchObject({
      delivered: 2500,
      waiting: 0,
      inFlight: 0,
      lost: 0,
      eta: 0,
    });
  });

  test('during an outage waits, and leaves when it is over', async () => {
    server.dialFault = () => Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const made = await bench();
    accept(made, 100);
    await clock.advanceAsync(60_000);
    expect(made.bridge.snapshot()).toMatchObject({ waiting: 100, delivered: 0, eta: null });
    server.dialFault = undefined;
    await clock.advanceAsync(300_000);
    await settle();
    expect(server.payloads).toEqual(numbers(100));
  });

  test('too large for the server is lost as refused, once, and the rest goes on', async () => {
    server.connackProperties = { maximumPacketSize: 1000 };
    const made = await bench();
    accept(made, 1);
    accept(made, 1, 2, { payload: Buffer.alloc(2000) });
    accept(made, 1, 3);
    await settle();
    await clock.advanceAsync(1000);
    await settle();
    expect(server.payloads).toEqual(['1', '3']);
    expect(made.bridge.snapshot()).toMatchObject({ delivered: 2, lost: 1, waiting: 0 });
    expect(made.storage.snapshot().losses).toMatchObject([
      { lost: 1, reason: 'refused', bridge: 'cloud', topics: ['site/pump'] },
    ]);
  });

  test('the server’s Receive Maximum is never exceeded', async () => {
    server.connackProperties = { receiveMaximum: 3 };
    const made = await bench();
    const held: PublishPacket[] = [];
    server.intercept = (packet) => {
      if (packet.type !== 'publish' || !packet.topic.startsWith('site/')) return false;
      held.push(packet);
      return true;
    };
    accept(made, 20);
    await settle();
    expect(held).toHaveLength(3);
    server.last.send({ type: 'puback', packetIdentifier: held[1]?.packetIdentifier ?? 0, reasonCode: 0 });
    await settle();
    expect(held).toHaveLength(4);
  });

  test('a 3.1.1 server never has more than 20 unacknowledged at QoS 2', async () => {
    const made = await bench({ version: '3.1.1', forward: [{ filter: 'site/#', qos: 2 }] });
    server.intercept = (packet) => packet.type === 'publish' && packet.qos === 2;
    accept(made, 100);
    await settle();
    expect(server.packets('publish').filter((packet) => packet.qos === 2)).toHaveLength(20);
  });

  test('a server over its quota is left alone for a while, and nothing is lost', async () => {
    const made = await bench();
    let refuse = true;
    server.intercept = (packet, connection) => {
      if (!refuse || packet.type !== 'publish' || packet.packetIdentifier === undefined) return false;
      const { packetIdentifier } = packet;
      connection.send({ type: 'puback', packetIdentifier, reasonCode: ReasonCode.quotaExceeded });
      return true;
    };
    accept(made, 5);
    await settle();
    expect(made.bridge.snapshot().reason).toContain('over its quota');
    refuse = false;
    await clock.advanceAsync(5000);
    await settle();
    expect(server.payloads).toEqual(numbers(5));
    expect(made.bridge.snapshot()).toMatchObject({ lost: 0, waiting: 0, inFlight: 0 });
  });

  test('the quota’s pauses grow while it refuses, and order per topic holds when it takes one at a time', async () => {
    const made = await bench();
    let takes = 0;
    const taken: string[] = [];
    server.intercept = (packet, connection) => {
      if (packet.type !== 'publish' || !packet.topic.startsWith('site/')) return false;
      const { packetIdentifier = 0 } = packet;
      takes -= 1;
      const reasonCode = takes >= 0 ? 0 : ReasonCode.quotaExceeded;
      if (takes >= 0) taken.push(Buffer.from(packet.payload).toString());
      connection.send({ type: 'puback', packetIdentifier, reasonCode });
      return true;
    };
    accept(made, 20);
    for (let round = 0; round < 12 && taken.length < 20; round += 1) {
      takes = 3;
      await clock.advanceAsync(300_000);
      await settle();
    }
    expect(taken).toEqual(numbers(20));
    await clock.advanceAsync(1000);
    expect(made.bridge.snapshot()).toMatchObject({ delivered: 20, lost: 0, waiting: 0 });
  });

  test('a server that says it is busy is left alone for five seconds at least', async () => {
    const made = await bench({ backoff: { min: '10ms', max: '20ms' } });
    const before = server.connections.length;
    server.last.send({ type: 'disconnect', reasonCode: ReasonCode.messageRateTooHigh });
    await settle();
    await clock.advanceAsync(4999);
    expect(server.connections).toHaveLength(before);
    await clock.advanceAsync(1);
    await settle();
    expect(made.bridge.snapshot().state).toBe('connected');
  });

  test('a 3.1.1 server’s limit at QoS 2 is found once, kept under, and known after a restart', async () => {
    const config = { version: '3.1.1', forward: [{ filter: 'site/#', qos: 2 }] };
    const made = await bench(config);
    const held = new Set<number>();
    let most = 0;
    let closes = 0;
    // As mosquitto 2.0.11: one more than 20 without PUBCOMP ends the connection.
    server.intercept = (packet, connection) => {
      if (packet.type === 'connect') held.clear();
      if (packet.type === 'pubrel') held.delete(packet.packetIdentifier);
      if (packet.type !== 'publish' || packet.qos !== 2) return false;
      held.add(packet.packetIdentifier ?? 0);
      most = Math.max(most, held.size);
      if (held.size <= 20) return false;
      closes += 1;
      connection.close();
      return true;
    };
    accept(made, 500);
    await settle(300);
    await clock.advanceAsync(10_000);
    await settle(300);
    expect(server.payloads).toEqual(numbers(500));
    expect(closes).toBeLessThanOrEqual(1);
    const stopped = made.bridge.stop();
    await clock.advanceAsync(6000);
    await stopped;
    await made.storage.stop();
    benches = [];
    const closesBefore = closes;
    const after = await bench(config);
    accept(after, 500, 501);
    await settle(500);
    expect(closes).toBe(closesBefore);
    expect(server.payloads).toEqual(numbers(1000));
  });

  test.each([1, 2] as const)(
    'one that makes the server close each time is found and given up as refused, at QoS %i',
    async (qos) => {
      const made = await bench({ forward: [{ filter: 'site/#', qos }] });
      server.intercept = (packet, connection) => {
        if (packet.type !== 'publish' || packet.topic !== 'site/forbidden') return false;
        connection.close();
        return true;
      };
      accept(made, 10);
      made.accept({ topic: 'site/forbidden', payload: Buffer.from('x') }, clock);
      accept(made, 10, 11);
      for (let n = 0; n < 12; n += 1) {
        await clock.advanceAsync(300_000);
        await settle();
      }
      expect([...new Set(server.payloads)]).toEqual(numbers(20));
      expect(made.bridge.snapshot()).toMatchObject({ delivered: 20, lost: 1, waiting: 0, inFlight: 0 });
      expect(made.storage.snapshot().losses).toMatchObject([
        { lost: 1, reason: 'refused', bridge: 'cloud', topics: ['site/forbidden'] },
      ]);
    },
  );

  test('a link that breaks again and again gives no message up', async () => {
    const made = await bench();
    server.intercept = (packet, connection) => {
      if (packet.type !== 'publish' || !packet.topic.startsWith('site/')) return false;
      connection.close(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
      return true;
    };
    accept(made, 5);
    for (let n = 0; n < 20; n += 1) {
      await clock.advanceAsync(300_000);
      await settle();
    }
    server.intercept = () => false;
    await clock.advanceAsync(300_000);
    await settle();
    expect(server.payloads).toEqual(numbers(5));
    expect(made.bridge.snapshot().lost).toBe(0);
  });

  test('one that is never acknowledged while others are is sent again over a new connection after ack_timeout', async () => {
    const made = await bench({ ack_timeout: '20s' });
    let swallow = true;
    server.intercept = (packet) =>
      swallow && packet.type === 'publish' && Buffer.from(packet.payload).toString() === '3';
    for (let n = 1; n <= 15; n += 1) {
      accept(made, 1, n);
      await settle();
      await clock.advanceAsync(1000);
    }
    expect(server.payloads).toEqual(numbers(15).filter((one) => one !== '3'));
    swallow = false;
    for (let n = 16; n <= 40; n += 1) {
      accept(made, 1, n);
      await settle();
      await clock.advanceAsync(1000);
    }
    expect(server.payloads).toContain('3');
    expect(made.log.said.map((one) => JSON.stringify(one.fields)).join()).toContain(
      'but not one that was sent 20 s',
    );
  });

  test('a Receive Maximum of one is kept, the status included', async () => {
    server.connackProperties = { receiveMaximum: 1 };
    let open = 0;
    let most = 0;
    server.intercept = (packet, connection) => {
      if (packet.type !== 'publish') return false;
      open += 1;
      most = Math.max(most, open);
      const { packetIdentifier = 0 } = packet;
      setImmediate(() => {
        open -= 1;
        server.delivered.push(packet);
        connection.send({ type: 'puback', packetIdentifier, reasonCode: 0 });
      });
      return true;
    };
    const made = await bench();
    accept(made, 10);
    await settle(100);
    expect(server.payloads).toEqual(numbers(10));
    expect(most).toBe(1);
  });

  test('a clean stop waits for room in a full Receive Maximum before it says offline', async () => {
    server.connackProperties = { receiveMaximum: 2 };
    const made = await bench();
    const held: (() => void)[] = [];
    server.intercept = (packet, connection) => {
      if (packet.type !== 'publish' || packet.topic !== 'site/pump') return false;
      const { packetIdentifier = 0 } = packet;
      held.push(() => connection.send({ type: 'puback', packetIdentifier, reasonCode: 0 }));
      return true;
    };
    accept(made, 5);
    await settle();
    expect(held).toHaveLength(2);
    const stopped = made.bridge.stop();
    await settle();
    expect(states()).toHaveLength(1);
    held[0]?.();
    await settle();
    await stopped;
    expect(states().at(-1)).toBe('{"state":"offline","reason":"shutdown"}');
    expect(held).toHaveLength(2);
    expect(server.last.received.at(-1)).toMatchObject({ type: 'disconnect' });
  });

  test('a stop for which there is no room ends without DISCONNECT, so that the Will says offline', async () => {
    server.connackProperties = { receiveMaximum: 2 };
    const made = await bench();
    server.intercept = (packet) => packet.type === 'publish' && packet.topic === 'site/pump';
    accept(made, 5);
    await settle();
    const stopped = made.bridge.stop();
    await clock.advanceAsync(2000);
    await settle();
    await stopped;
    expect(states()).toHaveLength(1);
    expect(server.packets('disconnect')).toHaveLength(1);
    expect(server.last.received.at(-1)?.type).toBe('publish');
    expect(server.last.isOpen).toBe(false);
  });

  test('a server that lost its session gets what was in flight again, and that is counted', async () => {
    const made = await bench({ forward: [{ filter: 'site/#', qos: 2 }] });
    server.intercept = (packet) => packet.type === 'pubrel';
    accept(made, 10);
    await settle();
    expect(made.bridge.snapshot().inFlight).toBe(10);
    server.loseSession();
    server.intercept = () => false;
    server.last.close();
    await clock.advanceAsync(2000);
    await settle();
    expect(server.payloads).toEqual(numbers(10));
    expect(made.bridge.snapshot()).toMatchObject({ sessionsLost: 1, inFlight: 0 });
  });
});

describe('a CONNECT that was never answered', () => {
  /** Ten messages whose release the server has not seen, and a CONNECT whose CONNACK is lost. */
  async function unheard(config: object, loses: boolean): Promise<BridgeBench> {
    const made = await bench({ forward: [{ filter: 'site/#', qos: 2 }], ...config });
    server.intercept = (packet) => packet.type === 'pubrel';
    accept(made, 10);
    await settle();
    if (loses) server.loseSession();
    server.swallowsConnack = true;
    server.last.close();
    await clock.advanceAsync(2000);
    await settle();
    server.swallowsConnack = false;
    server.intercept = () => false;
    server.last.close();
    await clock.advanceAsync(5000);
    await settle();
    return made;
  }

  test('is doubted: a session that began with it gets all again', async () => {
    const made = await unheard({}, true);
    expect(server.packets('unsubscribe')).toMatchObject([
      { topicFilters: ['godwit/well-17/status/session/1'] },
    ]);
    expect(server.payloads).toEqual(numbers(10));
    expect(made.bridge.snapshot()).toMatchObject({ delivered: 10, sessionsLost: 1, inFlight: 0 });
  });

  test('and a session that was there before gets nothing twice', async () => {
    const made = await unheard({}, false);
    expect(server.packets('unsubscribe')).toHaveLength(1);
    expect(server.packets('publish').filter((packet) => packet.qos === 2)).toHaveLength(10);
    expect(server.payloads).toEqual(numbers(10));
    expect(made.bridge.snapshot()).toMatchObject({ delivered: 10, sessionsLost: 0, inFlight: 0 });
  });

  test.each([true, false])(
    'in 3.1.1 all is published again under its identifier (session lost: %s)',
    async (loses) => {
      const made = await unheard({ version: '3.1.1' }, loses);
      expect(server.payloads).toEqual(numbers(10));
      expect(made.bridge.snapshot()).toMatchObject({ delivered: 10, inFlight: 0 });
    },
  );
});

describe('whatever the server sends, the bridge carries on', () => {
  const nonsense: [string, Buffer][] = [
    ['a second CONNACK', Buffer.from([0x20, 3, 0, 0, 0])],
    ['a PUBLISH with an alias we never offered', Buffer.from([0x30, 6, 0, 0, 3, 0x23, 0, 1])],
    ['a reserved packet type', Buffer.from([0x00, 0])],
    ['a length without end', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff])],
    ['a SUBSCRIBE', Buffer.from([0x82, 7, 0, 1, 0, 0, 1, 0x61, 0])],
    ['a PUBLISH larger than announced', Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f])],
  ];

  test.each(nonsense)('%s closes the connection, and the next one works', async (_, bytes) => {
    const made = await bench();
    server.last.sendBytes(bytes);
    await settle();
    expect(made.bridge.snapshot().state).toBe('waiting');
    accept(made, 3);
    await clock.advanceAsync(2000);
    await settle();
    expect(server.payloads).toEqual(numbers(3));
  });

  test('acknowledgements of nothing are ignored', async () => {
    const made = await bench();
    for (const type of ['puback', 'pubcomp', 'pubrel', 'pubrec'] as const) {
      server.last.send({ type, packetIdentifier: 999, reasonCode: 0 });
    }
    await settle();
    expect(made.bridge.snapshot().state).toBe('connected');
    expect(server.packets('pubrel')).toMatchObject([{ packetIdentifier: 999, reasonCode: 0x92 }]);
    expect(server.packets('pubcomp')).toMatchObject([{ packetIdentifier: 999, reasonCode: 0x92 }]);
  });

  test('DISCONNECT with a reason is told as such', async () => {
    const made = await bench();
    server.last.send({ type: 'disconnect', reasonCode: ReasonCode.sessionTakenOver });
    await settle();
    expect(made.bridge.snapshot().reason).toContain('another client with the same client identifier');
  });
});

describe('what comes down', () => {
  const command = (qos: 0 | 1 | 2, packetIdentifier: number, dup = false): PublishPacket => ({
    type: 'publish',
    topic: 'cmd/well-17/tank/setpoint',
    payload: Buffer.from('21'),
    qos,
    retain: false,
    dup,
    ...(qos > 0 && { packetIdentifier }),
    properties: { responseTopic: 'answers', correlationData: Buffer.from([1, 2]) },
  });
  const receive = { receive: [{ filter: 'cmd/{gateway}/#', qos: 2 }] };

  test('rules are subscribed with the gateway’s name in them', async () => {
    await bench(receive);
    const filters = server
      .packets('subscribe')
      .flatMap((one) => one.subscriptions.map((two) => two.topicFilter));
    const tags = Array.from({ length: 16 }, (_, n) => `godwit/well-17/status/session/${n + 1}`);
    expect(filters).toEqual(['cmd/well-17/#', 'godwit/well-17/status', ...tags]);
  });

  test('what a rule had asked for is unsubscribed once the rule is gone, over a restart too', async () => {
    const made = await bench({ receive: [{ filter: 'cmd/{gateway}/#' }, { filter: 'other/#' }] });
    const stopped = made.bridge.stop();
    await clock.advanceAsync(6000);
    await stopped;
    await made.storage.stop();
    benches = [];
    const after = await bench(receive);
    const filters = () => server.packets('unsubscribe').flatMap((one) => one.topicFilters);
    expect(filters()).toEqual(['other/#']);
    server.last.close();
    await clock.advanceAsync(5000);
    await settle();
    expect(after.bridge.snapshot().state).toBe('connected');
    expect(filters()).toEqual(['other/#']);
  });

  test('reaches the broker’s door with its own properties', async () => {
    const made = await bench(receive);
    server.last.send(command(1, 5));
    await settle();
    expect(made.arrived.map((one) => one.message)).toMatchObject([
      { topic: 'cmd/well-17/tank/setpoint', qos: 1, properties: { responseTopic: 'answers' } },
    ]);
  });

  test.each([1, 2] as const)('is acknowledged at QoS %i only after the door has accepted it', async (qos) => {
    const made = await bench(receive);
    const type = qos === 1 ? 'puback' : 'pubrec';
    made.accepts = false;
    server.last.send(command(qos, 5));
    await settle();
    expect(server.packets(type)).toHaveLength(0);
    made.arrived[0]?.accepted(true);
    await settle();
    expect(server.packets(type)).toMatchObject([{ packetIdentifier: 5, reasonCode: 0 }]);
  });

  test.each([1, 2] as const)(
    'is offered again a second later where the door refuses, at QoS %i',
    async (qos) => {
      const made = await bench(receive);
      made.accepts = false;
      server.last.send(command(qos, 5));
      await settle();
      made.arrived[0]?.accepted(false);
      made.accepts = true;
      await clock.advanceAsync(1000);
      await settle();
      expect(made.arrived).toHaveLength(2);
      expect(server.packets(qos === 1 ? 'puback' : 'pubrec')).toHaveLength(1);
    },
  );

  test('a repeated QoS 2 PUBLISH is answered, not delivered again, until its PUBREL', async () => {
    const made = await bench(receive);
    server.last.send(command(2, 5));
    await settle();
    server.last.send(command(2, 5, true));
    await settle();
    expect(made.arrived).toHaveLength(1);
    expect(server.packets('pubrec')).toHaveLength(2);
    server.last.send({ type: 'pubrel', packetIdentifier: 5, reasonCode: 0 });
    await settle();
    server.last.send(command(2, 5));
    await settle();
    expect(made.arrived).toHaveLength(2);
  });

  test('a QoS 2 identifier is remembered over a restart of the gateway', async () => {
    const made = await bench(receive);
    server.last.send(command(2, 5));
    await settle();
    expect(made.arrived).toHaveLength(1);
    benches = [];
    (made.storage as InlineStorage).crash();
    server.last.close();
    const after = await bench(receive);
    server.last.send(command(2, 5, true));
    await settle();
    expect(after.arrived).toHaveLength(0);
    expect(server.last.received.filter((one) => one.type === 'pubrec')).toHaveLength(1);
    // The dead bridge's timers.
    await made.bridge.stop();
  });

  test('the echo of our own status is no command', async () => {
    const made = await bench(receive);
    server.last.send({
      ...command(1, 6),
      topic: 'godwit/well-17/status',
      payload: Buffer.from('{"state":"online"}'),
    });
    await settle();
    expect(made.arrived).toHaveLength(0);
    expect(server.packets('puback')).toHaveLength(1);
  });

  test('a refused subscription is told, and the rest works', async () => {
    server.intercept = (packet, connection) => {
      if (packet.type !== 'subscribe' || packet.subscriptions[0]?.topicFilter !== 'cmd/well-17/#')
        return false;
      const { packetIdentifier } = packet;
      connection.send({ type: 'suback', packetIdentifier, reasonCodes: [ReasonCode.notAuthorized] });
      return true;
    };
    const made = await bench(receive);
    expect(made.bridge.snapshot()).toMatchObject({
      state: 'connected',
      reason: 'the server refused to subscribe cmd/well-17/#',
    });
  });
});

describe('the process dies at the n-th packet', () => {
  const TOTAL = 12;

  /** Runs until the server has seen `crashAt` packets, dies there, starts again, and drains. */
  async function lifeAndDeath(qos: 1 | 2, crashAt: number, when: 'before' | 'after'): Promise<string[]> {
    const path = join(folder, `journal-${qos}-${crashAt}-${when}.db`);
    const scripted = new ScriptedServer();
    const begin = async (): Promise<[BridgeBench, InlineStorage]> => {
      const storage = new InlineStorage({ path, clock });
      await storage.start();
      const config = { inflight: 5, forward: [{ filter: 'site/#', qos }] };
      const made = new BridgeBench(storage, config, { clock, dial: scripted.dial });
      await made.bridge.start();
      return [made, storage];
    };
    const [first, storage] = await begin();
    await settle(5);
    let seen = 0;
    let isDead = false;
    const die = (): void => {
      isDead = true;
      storage.crash();
      scripted.last.close();
    };
    scripted.intercept = (packet) => {
      if (isDead) return true;
      seen += packet.type === 'publish' || packet.type === 'pubrel' ? 1 : 0;
      if (seen < crashAt) return false;
      // `before`: the packet never arrived. `after`: its answer never arrives, since the process is gone.
      if (when === 'before') die();
      else queueMicrotask(die);
      return when === 'before';
    };
    accept(first, TOTAL);
    await settle();
    if (!isDead) die();
    await settle(3);
    await first.bridge.stop();
    scripted.intercept = () => false;
    const [second, reopened] = await begin();
    await settle(40);
    await clock.advanceAsync(300);
    expect(second.bridge.snapshot()).toMatchObject({ waiting: 0, inFlight: 0, delivered: TOTAL });
    const stopped = second.bridge.stop();
    await settle(5);
    await stopped;
    await reopened.stop();
    return scripted.payloads;
  }

  test.each(['before', 'after'] as const)(
    '%s it is handled: at QoS 2 each arrives exactly once',
    async (when) => {
      for (let crashAt = 1; crashAt <= 2 * TOTAL + 1; crashAt += 1) {
        expect(await lifeAndDeath(2, crashAt, when), `crash at packet ${crashAt}`).toEqual(numbers(TOTAL));
      }
    },
  );

  test('at QoS 1 none is missing, and first copies are in order', async () => {
    for (let crashAt = 1; crashAt <= TOTAL + 1; crashAt += 1) {
      const arrived = await lifeAndDeath(1, crashAt, 'before');
      expect([...new Set(arrived)], `crash at packet ${crashAt}`).toEqual(numbers(TOTAL));
    }
  });
});
