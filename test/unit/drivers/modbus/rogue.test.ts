/** Never a wrong value: whatever a slave does wrong, each reading is right or is marked bad. */

import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { ByteStream, OpenStream } from '../../../../src/drivers/byte-stream.js';
import type { Driver } from '../../../../src/drivers/driver.js';
import { ModbusDriver } from '../../../../src/drivers/modbus/driver.js';
import { isModbusBus, lineSettings } from '../../../../src/drivers/modbus/line-settings.js';
import { openDriver } from '../../../../src/drivers/open-driver.js';
import { serialStream } from '../../../../src/drivers/serial-stream.js';
import { DriverBench, seeded } from '../../../support/driver-bench.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { MISCHIEFS, type Mischief, RogueSlave } from '../../../support/rogue-slave.js';
import { SerialPair } from '../../../support/serial-pair.js';

const TIMEOUT_MS = 40;

/** Blocks of one shape, far apart, on two units: what one answers fits the other's request. */
const ADDRESSES = { a: 0, b: 40, c: 80, d: 82, e: 120 } as const;

function devices(pollMs: number): Record<string, object> {
  const points = Object.fromEntries(
    Object.entries(ADDRESSES).map(([name, address]) => [
      name,
      { register: `holding/${address}`, type: 'uint32' },
    ]),
  );
  return {
    one: { unit: 1, poll: `${pollMs}ms`, points },
    two: { unit: 2, poll: `${pollMs}ms`, points },
  };
}

const KINDS = ['rtu', 'ascii', 'rtu-over-tcp', 'tcp'] as const;
type Kind = (typeof KINDS)[number];

function framingOf(kind: Kind): 'tcp' | 'rtu' | 'ascii' {
  return kind === 'rtu-over-tcp' ? 'rtu' : kind;
}

function bus(kind: Kind): object {
  const times = { timeout: `${TIMEOUT_MS}ms`, retry_max: '100ms' };
  return kind === 'tcp' || kind === 'rtu-over-tcp'
    ? { driver: `modbus-${kind}`, host: '127.0.0.1', ...times }
    : { driver: `modbus-${kind}`, path: '/dev/null', baud_rate: 115_200, ...times };
}

/** Every good reading is checked as it arrives, since later requests make it old. */
function watch(bench: DriverBench, rogue: RogueSlave) {
  // Each reading remembers how many requests the slave had received when it was accepted.
  bench.wallMs = () => rogue.requests;
  const counts = { right: 0, wrong: [] as string[] };
  const readings = bench.context.sink.readings.bind(bench.context.sink);
  bench.context.sink.readings = (device, batch) => {
    for (const { point, quality, stamp, value } of batch) {
      if (quality === 'bad') continue;
      const address = ADDRESSES[point as keyof typeof ADDRESSES];
      if (rogue.isFresh(device === 'one' ? 1 : 2, address, value, stamp.wallMs)) counts.right += 1;
      else counts.wrong.push(`${device}/${point} = 0x${Number(value).toString(16)}`);
    }
    readings(device, batch);
  };
  return counts;
}

/** A stream to a rogue on the fake clock. */
function fakeStream(rogue: RogueSlave, clock: FakeClock): OpenStream {
  return async (listener): Promise<ByteStream> => {
    rogue.reset();
    let open = true;
    return {
      write: (bytes) => {
        const nowMs = clock.monotonicMs();
        for (const emission of rogue.received(bytes, nowMs)) {
          clock.at(nowMs + emission.afterMs, () => {
            if (open) listener.onBytes(emission.bytes);
          });
        }
      },
      close: () => {
        open = false;
      },
    };
  };
}

async function runOnFakeClock(
  kind: Kind,
  seed: number,
  mischiefs: readonly Mischief[],
  strictMap: boolean,
): Promise<{ right: number; wrong: string[]; rogue: RogueSlave; bench: DriverBench }> {
  const clock = new FakeClock();
  const random = seeded(seed);
  const rogue = new RogueSlave({
    framing: framingOf(kind),
    timeoutMs: TIMEOUT_MS,
    random,
    mischief: () => (random() < 0.35 ? mischiefs[Math.floor(random() * mischiefs.length)] : undefined),
    ...(strictMap && {
      exists: (start, count) =>
        [
          [0, 2],
          [40, 42],
          [80, 84],
          [120, 122],
        ].some(([from = 0, to = 0]) => start >= from && start + count <= to),
    }),
  });
  const bench = new DriverBench(bus(kind), devices(200), clock, seed);
  const counts = watch(bench, rogue);
  const { config } = bench.context;
  if (!isModbusBus(config)) throw new Error('not a Modbus bus');
  const settings = lineSettings(config, bench.context.random);
  const driver = new ModbusDriver(bench.context, config, { ...settings, open: fakeStream(rogue, clock) });
  await driver.start();
  await clock.advanceAsync(60_000);
  await driver.stop();
  return { ...counts, rogue, bench };
}

describe.each(KINDS)('%s, on the fake clock', (kind) => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('all mischiefs at random, seed %i', async (seed) => {
    const { right, wrong } = await runOnFakeClock(kind, seed, MISCHIEFS, false);
    expect(wrong).toEqual([]);
    expect(right).toBeGreaterThan(50);
  });

  test.each(MISCHIEFS)('%s, now and then', async (mischief) => {
    const { right, wrong } = await runOnFakeClock(kind, 99, [mischief], false);
    expect(wrong).toEqual([]);
    expect(right).toBeGreaterThan(50);
  });

  test('a device that refuses any register beyond its points is no less safe', async () => {
    for (const seed of [11, 12, 13, 14, 15, 16, 17, 18]) {
      const { right, wrong } = await runOnFakeClock(kind, seed, MISCHIEFS, true);
      expect(wrong).toEqual([]);
      expect(right).toBeGreaterThan(50);
    }
  });
});

const stops: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function realRogue(kind: Kind): RogueSlave {
  const random = seeded(5);
  let turn = 0;
  return new RogueSlave({
    framing: framingOf(kind),
    timeoutMs: TIMEOUT_MS,
    random,
    // Each in its turn, with two right answers between.
    mischief: () => {
      turn += 1;
      return turn % 3 === 0 ? MISCHIEFS[(turn / 3) % MISCHIEFS.length] : undefined;
    },
  });
}

function serve(rogue: RogueSlave, send: (bytes: Uint8Array) => void): (bytes: Uint8Array) => void {
  return (bytes) => {
    for (const emission of rogue.received(bytes, performance.now())) {
      setTimeout(() => send(emission.bytes), emission.afterMs);
    }
  };
}

async function runForReal(rogue: RogueSlave, busConfig: object): Promise<void> {
  const bench = new DriverBench(
    { ...busConfig, timeout: `${TIMEOUT_MS}ms`, retry_max: '100ms' },
    devices(20),
  );
  const counts = watch(bench, rogue);
  const driver: Driver = await openDriver(bench.context);
  stops.push(() => driver.stop());
  await driver.start();
  await bench.until(() => counts.wrong.length > 0 || (rogue.requests > 120 && counts.right > 50));
  expect(counts.wrong).toEqual([]);
}

test.each(['tcp', 'rtu-over-tcp'] as const)(
  'over a real TCP socket every reading is right or marked bad: %s',
  async (kind) => {
    const rogue = realRogue(kind);
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      rogue.reset();
      socket.on('error', () => undefined);
      socket.on(
        'data',
        serve(rogue, (bytes) => {
          if (!socket.destroyed) socket.write(bytes);
        }),
      );
    });
    stops.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    await runForReal(rogue, { driver: `modbus-${kind}`, host: '127.0.0.1', port });
  },
);

test.each(['rtu', 'ascii'] as const)(
  'over a real serial line every reading is right or marked bad: %s',
  async (kind) => {
    const pair = await SerialPair.start();
    stops.push(() => pair.stop());
    const rogue = realRogue(kind);
    let send = (_: Uint8Array): void => undefined;
    const receive = serve(rogue, (bytes) => send(bytes));
    const open = serialStream({
      path: pair.theirs,
      baudRate: 115_200,
      parity: 'none',
      dataBits: 8,
      stopBits: 1,
    });
    const stream = await open({ onBytes: receive, onClosed: () => undefined }, new AbortController().signal);
    send = (bytes) => stream.write(bytes);
    stops.push(() => stream.close());
    await runForReal(rogue, { driver: `modbus-${kind}`, path: pair.ours, baud_rate: 115_200 });
  },
);
