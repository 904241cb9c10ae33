/** Commands on a bench: the order of saving and writing, deaths between them, ages, limits. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { KeyValueDoor } from '../../../src/core/key-value.js';
import type { Message } from '../../../src/core/message.js';
import type { Driver } from '../../../src/drivers/driver.js';
import type { WriteResult } from '../../../src/drivers/write-result.js';
import { parseCommand, timeLeft } from '../../../src/gateway/command.js';
import { CommandDesk } from '../../../src/gateway/command-desk.js';
import { Origin } from '../../../src/gateway/origin.js';
import { FakeClock } from '../../support/fake-clock.js';

/** What is put is durable once `commit` was called, as in the journal. */
class Disk {
  saved = new Map<string, Uint8Array>();
  #put = new Map<string, Uint8Array | undefined>();
  #then: (() => void)[] = [];

  door(): KeyValueDoor {
    return {
      get: (key) => this.#put.get(key) ?? this.saved.get(key),
      put: (key, value) => void this.#put.set(key, value),
      remove: (key) => void this.#put.set(key, undefined),
      entries: () => this.saved.entries(),
    };
  }

  afterCommit(then: () => void): void {
    this.#then.push(then);
  }

  commit(): void {
    for (const [key, value] of this.#put) {
      if (value === undefined) this.saved.delete(key);
      else this.saved.set(key, value);
    }
    this.#put.clear();
    for (const then of this.#then.splice(0)) then();
  }
}

class Bench {
  readonly clock = new FakeClock();
  readonly written: unknown[] = [];
  readonly told: { topic: string; answer: Record<string, unknown>; bridge: string | undefined }[] = [];
  held: unknown = 0;
  result: WriteResult = { ok: true, value: 5, verified: true };
  trusted = true;
  commands = {
    ...{ topic: 'cmd/{gateway}/{device}/{point}', result_topic: 'cmd/{gateway}/{device}/{point}/result' },
    ...{ max_age: 60_000, require_expiry: false },
  };
  readonly origin = new Origin();
  #heard: ((message: Message) => void) | undefined;
  filter = '';

  constructor(readonly disk: Disk = new Disk()) {}

  async start(): Promise<CommandDesk> {
    const driver = {
      write: async (_device: string, _point: string, value: unknown) => {
        this.written.push(value);
        return this.result;
      },
      readRaw: async () => [{ point: 'p', source: '', value: this.held, quality: 'good' }],
    } as unknown as Driver;
    const desk = new CommandDesk({
      gatewayId: 'g',
      config: () => this.commands,
      devices: () => ({ d: { bus: 'b', points: { p: {} as never } } }),
      driver: (bus) => (bus === 'b' ? driver : undefined),
      broker: {
        subscribe: (filter, deliver) => {
          [this.filter, this.#heard] = [filter, deliver];
          return () => {};
        },
      },
      storage: {
        keyValue: () => this.disk.door(),
        afterCommit: (then: (head: number) => void) => this.disk.afterCommit(() => then(0)),
      },
      answers: {
        send: (topic: string, answer: Record<string, unknown>, _data: unknown, bridge: string | undefined) =>
          void this.told.push({ topic, answer, bridge }),
      } as never,
      origin: this.origin,
      clock: this.clock,
      clockTrusted: () => this.trusted,
    });
    await desk.start();
    return desk;
  }

  async say(payload: string, more: Partial<Message> = {}, topic = 'cmd/g/d/p'): Promise<void> {
    this.#heard?.({ topic, payload: Buffer.from(payload), qos: 1, retain: false, ...more });
    await settle();
  }

  async commit(): Promise<void> {
    this.disk.commit();
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

const mark = (text: string): Partial<Message> => ({ properties: { correlationData: Buffer.from(text) } });

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

describe('save, then write, then save, then tell', () => {
  test('the bus is touched after the commit of the intent, and the result told after its own', async () => {
    await bench.start();
    await bench.say('5');
    expect(bench.written).toEqual([]);
    await bench.commit();
    expect(bench.written).toEqual([5]);
    expect(bench.told).toEqual([]);
    await bench.commit();
    expect(bench.told).toEqual([
      { topic: 'cmd/g/d/p/result', answer: { ok: true, value: 5, verified: true }, bridge: undefined },
    ]);
  });

  test('dead before the commit of the intent: the repeat is a new command', async () => {
    await bench.start();
    await bench.say('5', mark('m'));
    const again = new Bench(bench.disk);
    bench.disk.saved.clear();
    await again.start();
    await again.say('5', mark('m'));
    await again.commit();
    expect(again.written).toEqual([5]);
  });

  test.each([
    ['holds what was to be written', 5, { ok: true, value: 5 }],
    ['holds something else', 4, { ok: false, fault: 'unknown outcome', value: 4 }],
  ])(
    'dead between intent and result, the device %s: the repeat is read back, never written',
    async (_, held, result) => {
      await bench.start();
      await bench.say('5', mark('m'));
      await bench.commit();
      const again = new Bench(bench.disk);
      again.held = held;
      await again.start();
      await again.say('5', mark('m'));
      await again.commit();
      expect(again.written).toEqual([]);
      expect(again.told.map(({ answer }) => answer)).toMatchObject([result]);
      await again.say('5', mark('m'));
      expect(again.told.at(-1)?.answer).toMatchObject({ ...result, repeated: true });
    },
  );

  test('two who ask the same while it is under way are both told, and it is written once', async () => {
    await bench.start();
    await bench.say('5', mark('m'));
    await bench.say('5', mark('m'));
    await bench.commit();
    await bench.commit();
    expect(bench.written).toEqual([5]);
    expect(bench.told).toHaveLength(2);
  });

  test('without Correlation Data each is a command of its own', async () => {
    await bench.start();
    await bench.say('5');
    await bench.say('5');
    await bench.commit();
    expect(bench.written).toEqual([5, 5]);
  });
});

describe('a command does not fire late', () => {
  test.each([
    ['its ts is older than max_age', '{"value":1,"ts":-61000}', {}],
    ['its Message Expiry has run out', '1', { properties: { messageExpiryInterval: 0 } }],
  ])('refused where %s', async (_, payload, more) => {
    await bench.start();
    await bench.say(payload, more);
    expect(bench.told[0]?.answer).toMatchObject({ ok: false, fault: 'expired' });
  });

  test('refused where it waited too long for its commit', async () => {
    await bench.start();
    await bench.say('1', { properties: { messageExpiryInterval: 5 } });
    bench.clock.advance(5001);
    await bench.commit();
    await bench.commit();
    expect(bench.written).toEqual([]);
    expect(bench.told[0]?.answer).toMatchObject({ ok: false, fault: 'expired' });
  });

  test('refused where it must say how old it is and does not', async () => {
    bench.commands.require_expiry = true;
    await bench.start();
    await bench.say('1');
    expect(bench.told[0]?.answer).toMatchObject({ ok: false, fault: 'expired' });
    await bench.say('1', { properties: { messageExpiryInterval: 5 } });
    await bench.commit();
    expect(bench.written).toEqual([1]);
  });

  test('an untrusted clock does not judge a ts', () => {
    const rules = { maxAgeMs: 60_000, requireExpiry: false };
    const ages = { nowMs: 1e12, ts: 5, expirySeconds: undefined };
    expect(timeLeft(rules, { ...ages, trusted: false })).toBe(60_000);
    expect(timeLeft(rules, { ...ages, trusted: true })).toEqual({ error: 'the command is expired' });
  });
});

test('answers of ours to commands of the gateway itself are no commands', async () => {
  const desk = await bench.start();
  expect(bench.filter).toBe('cmd/g/+/+');
  await bench.say('{}', {}, 'cmd/g/$replay/result');
  expect(bench.told).toEqual([]);
  expect(desk.isCommandTopic('cmd/g/d/p')).toBe(true);
  expect(desk.isCommandTopic('cmd/g/$replay/result')).toBe(false);
  expect(desk.isCommandTopic('cmd/g/d/p/result')).toBe(false);
});

test('more than wait for their bus are refused, and what a bridge brought is answered over it', async () => {
  await bench.start();
  for (let count = 0; count < 256; count += 1) await bench.say('1');
  bench.origin.during('cloud', () => void bench.say('1'));
  await settle();
  expect(bench.told).toMatchObject([{ answer: { ok: false, fault: 'busy' }, bridge: 'cloud' }]);
});

test('what was carried out is kept for a thousand commands', async () => {
  const desk = await bench.start();
  for (let count = 0; count < 1100; count += 1) {
    await bench.say(String(count));
    await bench.commit();
    await bench.commit();
  }
  expect(desk.entries).toHaveLength(1000);
  expect(bench.disk.saved.size).toBe(1000);
  expect(desk.entries.at(-1)?.value).toBe(1099);
});

test.each([
  ['{"value":21.5}', 21.5],
  ['21.5', 21.5],
  ['true', true],
  ['"auto"', 'auto'],
  ['auto', 'auto'],
  [' on ', 'on'],
  ['18446744073709551615', 18_446_744_073_709_551_615n],
  ['{"value":"9007199254740993"}', '9007199254740993'],
])('%s says its value', (payload, value) => {
  expect(parseCommand(Buffer.from(payload))).toMatchObject({ kind: 'command', value });
});

test.each([
  [''],
  ['null'],
  ['[1]'],
  ['{"value":null}'],
  ['{"value":[1]}'],
  ['{"ts":1}'],
  ['{"value":9007199254740993}'],
  ['{"value":1,"ts":"x"}'],
  ['x'.repeat(5000)],
])('%s is refused', (payload) => {
  expect(parseCommand(Buffer.from(payload)).kind).toBe('refused');
});
