import { describe, expect, test } from 'vitest';
import { serialBusSchema } from '../../../../src/config/serial-schema.js';
import type { OpenStream, StreamListener } from '../../../../src/drivers/byte-stream.js';
import { serialBus } from '../../../../src/drivers/serial/driver.js';
import { DriverBench } from '../../../support/driver-bench.js';
import { FakeClock } from '../../../support/fake-clock.js';

const bytes = (from: string): Uint8Array => Uint8Array.from(Buffer.from(from, 'latin1'));

/** A port whose other end the test holds. */
class FakePort {
  readonly sent: string[] = [];
  answer: (request: string) => string | undefined = () => undefined;
  plugged = true;
  #listener: StreamListener | undefined;

  readonly open: OpenStream = async (listener) => {
    if (!this.plugged) throw new Error('/dev/x is missing; plug the adapter in or correct the path');
    this.#listener = listener;
    return {
      write: (request) => {
        const text = Buffer.from(request).toString('latin1');
        this.sent.push(text);
        const answer = this.answer(text);
        if (answer !== undefined) this.say(answer);
      },
      close: () => {
        this.#listener = undefined;
      },
    };
  };

  say(text: string): void {
    this.#listener?.onBytes(bytes(text));
  }

  unplug(): void {
    this.plugged = false;
    this.#listener?.onClosed('/dev/x was unplugged');
  }
}

function rig(bus: object, points: Record<string, object>, poll = '1s') {
  const clock = new FakeClock();
  const port = new FakePort();
  const config = { driver: 'serial', path: '/dev/x', frame: { delimiter: '\r\n' }, ...bus };
  const bench = new DriverBench(config, { hopper: { poll, points } }, clock);
  const driver = serialBus(bench.context, serialBusSchema.parse(config), port.open);
  return { clock, port, bench, driver };
}

const WEIGHT = { match: '^ST,GS,\\s*([-+0-9.]+)kg', type: 'number', unit: 'kg' };
const TARE = { match: '^T,(\\d+)', request: 'T\r\n', poll: '1m' };

describe('what a device sends by itself', () => {
  test('is a reading for each frame that matches', async () => {
    const { clock, port, bench, driver } = rig({}, { weight: WEIGHT });
    await driver.start();
    await clock.advanceAsync(10);
    port.say('ST,GS, +12.50kg\r\nUS,GS, +13.00kg\r\nST,GS,-0.05kg\r\n');
    expect(bench.seen('hopper', 'weight')).toEqual([12.5, -0.05]);
    expect(bench.statesOf('hopper')).toEqual(['online']);
    expect(driver.snapshot()).toMatchObject({ state: 'up', discarded: 15 });
    await driver.stop();
    expect(clock.waiting).toBe(0);
  });

  test('no more often than its own poll says', async () => {
    const { clock, port, bench, driver } = rig({}, { weight: { ...WEIGHT, poll: '1s' } });
    await driver.start();
    await clock.advanceAsync(10);
    for (let tenth = 0; tenth < 30; tenth += 1) {
      port.say(`ST,GS,${tenth}kg\r\n`);
      await clock.advanceAsync(100);
    }
    expect(bench.seen('hopper', 'weight')).toEqual([0, 10, 20]);
    await driver.stop();
  });

  test('once it is silent for twice offline_after polls, the device is offline, and back with the next frame', async () => {
    const { clock, port, bench, driver } = rig({}, { weight: WEIGHT });
    await driver.start();
    await clock.advanceAsync(500);
    port.say('ST,GS,1kg\r\n');
    await clock.advanceAsync(6000);
    expect(bench.statesOf('hopper')).toEqual(['online']);
    await clock.advanceAsync(2000);
    expect(bench.statesOf('hopper')).toEqual(['online', 'offline']);
    expect(bench.seen('hopper', 'weight')).toEqual([1, { bad: 'silent' }]);
    port.say('ST,GS,2kg\r\n');
    expect(bench.statesOf('hopper')).toEqual(['online', 'offline', 'online']);
    expect(bench.seen('hopper', 'weight').at(-1)).toBe(2);
    await driver.stop();
  });

  test('a value that is none is bad, once', async () => {
    const { clock, port, bench, driver } = rig({}, { weight: { match: '^W(.*)$' } });
    await driver.start();
    await clock.advanceAsync(10);
    port.say('W1\r\nWover\r\nWover\r\nW2\r\n');
    expect(bench.seen('hopper', 'weight')).toEqual([1, { bad: 'not a number' }, 2]);
    await driver.stop();
  });
});

describe('request and response', () => {
  test('points with the same request share it, and each poll asks once', async () => {
    const { clock, port, bench, driver } = rig(
      {},
      { a: { match: 'A=(\\d+)', request: '?\r\n' }, b: { match: 'B=(\\d+)', request: '?\r\n' } },
    );
    port.answer = () => 'A=1 B=2\r\n';
    await driver.start();
    await clock.advanceAsync(2500);
    expect(port.sent).toEqual(['?\r\n', '?\r\n', '?\r\n']);
    expect(bench.polls[0]?.readings.map(({ point, value }) => [point, value])).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    await driver.stop();
  });

  test('an answer that comes late is no answer to the next request', async () => {
    const { clock, port, bench, driver } = rig(
      { timeout: '200ms' },
      { a: { match: '^(\\d+)$', request: 'R\r\n' } },
    );
    await driver.start();
    let asked = 0;
    port.answer = () => {
      asked += 1;
      const value = asked;
      clock.at(clock.monotonicMs() + 300, () => port.say(`${value}\r\n`));
      return undefined;
    };
    await clock.advanceAsync(10_000);
    expect(asked).toBeGreaterThan(2);
    expect(bench.seen('hopper', 'a')).toEqual([{ bad: 'timeout' }]);
    expect(bench.statesOf('hopper')).toEqual(['offline']);
    port.answer = () => '99\r\n';
    await clock.advanceAsync(60_000);
    expect(bench.seen('hopper', 'a').slice(0, 2)).toEqual([{ bad: 'timeout' }, 99]);
    await driver.stop();
    expect(clock.waiting).toBe(0);
  });

  test('an answer that is another one is told apart from none', async () => {
    const { clock, port, bench, driver } = rig({}, { a: { match: '^V(\\d+)$', request: 'R\r\n' } });
    port.answer = () => 'ERR 7\r\n';
    await driver.start();
    await clock.advanceAsync(10_000);
    expect(bench.seen('hopper', 'a')).toEqual([{ bad: 'unexpected answer' }]);
    await driver.stop();
  });

  test('requests go beside what comes by itself', async () => {
    const { clock, port, bench, driver } = rig({}, { weight: WEIGHT, tare: TARE });
    port.answer = () => 'ST,GS,5kg\r\nT,42\r\n';
    await driver.start();
    await clock.advanceAsync(100);
    expect(bench.seen('hopper', 'tare')).toEqual([42]);
    expect(bench.seen('hopper', 'weight')).toEqual([5]);
    await driver.stop();
  });

  test('{checksum} in a request is that of what is before it', async () => {
    const { clock, port, driver } = rig(
      { checksum: { type: 'sum', format: 'hex' } },
      { a: { match: '^(\\d+)', request: '#01{checksum}\r\n' } },
    );
    await driver.start();
    await clock.advanceAsync(10);
    expect(port.sent).toEqual(['#0184\r\n']);
    await driver.stop();
  });
});

test('binary frames, their check sum verified, carry several points by offset', async () => {
  const { clock, port, bench, driver } = rig(
    { frame: { length: { at: 1, add: 4 }, start: { hex: 'aa' } }, checksum: { type: 'crc16-modbus' } },
    {
      raw: { at: 2, type: 'uint16', scale: 0.1 },
      alarm: { at: 4, type: 'uint8', bit: 7 },
      other: { at: 2, begins: { hex: 'aa02' } },
    },
  );
  await driver.start();
  await clock.advanceAsync(10);
  const { checksum } = await import('../../../../src/drivers/checksum.js');
  const body = [0xaa, 3, 0x00, 0xd7, 0x80];
  const crc = Number(checksum('crc16-modbus', Uint8Array.from(body)));
  port.say(Buffer.from([0x00, ...body, crc & 0xff, crc >> 8]).toString('latin1'));
  port.say(Buffer.from([...body, 0, 0]).toString('latin1'));
  await clock.advanceAsync(200);
  expect(bench.seen('hopper', 'raw')).toEqual([215]);
  expect(bench.seen('hopper', 'alarm')).toEqual([true]);
  expect(bench.seen('hopper', 'other')).toEqual([]);
  expect(driver.snapshot().errors).toBeGreaterThan(0);
  await driver.stop();
});

test('a receiver of satellites is read as it is', async () => {
  const { clock, port, bench, driver } = rig(
    { protocol: 'nmea-0183', frame: undefined },
    { latitude: { nmea: 'latitude' }, satellites: { nmea: 'satellites' } },
  );
  await driver.start();
  await clock.advanceAsync(10);
  port.say('$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n$GPGGA,oops*00\r\n');
  expect(bench.polls).toHaveLength(1);
  expect(bench.seen('hopper', 'latitude')).toEqual([48.1173]);
  expect(bench.seen('hopper', 'satellites')).toEqual([8]);
  expect(driver.snapshot()).toMatchObject({ errors: 1 });
  await driver.stop();
});

test('a port that is unplugged takes its device offline, and brings it back when it returns', async () => {
  const { clock, port, bench, driver } = rig({}, { weight: WEIGHT });
  await driver.start();
  await clock.advanceAsync(10);
  port.say('ST,GS,1kg\r\nST,GS,2');
  port.unplug();
  await clock.advanceAsync(10_000);
  expect(driver.snapshot()).toMatchObject({ state: 'down', reason: expect.stringContaining('missing') });
  expect(bench.statesOf('hopper')).toEqual(['online', 'offline']);
  expect(bench.states.at(-1)?.state.reason).toMatch(/^bus down: .*missing/);
  port.plugged = true;
  await clock.advanceAsync(60_000);
  port.say('7kg\r\nST,GS,3kg\r\n');
  expect(bench.seen('hopper', 'weight')).toEqual([1, { bad: 'bus down' }, 3]);
  await driver.stop();
});

describe('writing', () => {
  const SETPOINT = {
    match: '^SP([-0-9.]+)$',
    request: 'SP?\r\n',
    writable: true,
    write: 'SP={value}\r\n',
    confirm: '^OK',
    scale: 0.1,
    min: 0,
    max: 80,
  };

  test('sends the value unscaled, waits for the confirmation, and reads it back', async () => {
    const { clock, port, driver } = rig({}, { setpoint: SETPOINT });
    let held = '0';
    port.answer = (request) => {
      const set = /^SP=(.*)\r\n$/.exec(request)?.[1];
      if (set === undefined) return `SP${held}\r\n`;
      held = set;
      return 'OK\r\n';
    };
    await driver.start();
    await clock.advanceAsync(10);
    const written = driver.write('hopper', 'setpoint', 21.5);
    await clock.advanceAsync(10);
    expect(await written).toEqual({ ok: true, value: 21.5, verified: true });
    expect(port.sent).toContain('SP=215\r\n');
    await driver.stop();
  });

  test('refuses before a byte is sent, and says what was not confirmed', async () => {
    const { clock, port, driver } = rig({ timeout: '100ms' }, { setpoint: SETPOINT, weight: WEIGHT });
    port.answer = (request) => (request.startsWith('SP?') ? 'SP1\r\n' : undefined);
    await driver.start();
    await clock.advanceAsync(10);
    const sent = port.sent.length;
    expect(await driver.write('hopper', 'setpoint', 81)).toMatchObject({ ok: false, fault: 'out of range' });
    expect(await driver.write('hopper', 'setpoint', 'warm')).toMatchObject({
      ok: false,
      fault: 'wrong type',
    });
    expect(await driver.write('hopper', 'weight', 1)).toMatchObject({ ok: false, fault: 'not writable' });
    expect(await driver.write('hopper', 'nothing', 1)).toMatchObject({ ok: false, fault: 'unknown' });
    expect(port.sent).toHaveLength(sent);
    const silent = driver.write('hopper', 'setpoint', 5);
    await clock.advanceAsync(200);
    expect(await silent).toMatchObject({ ok: false, fault: 'timeout' });
    await driver.stop();
  });
});

test('an expression that backtracks without end does not stop the gateway', async () => {
  const { clock, port, bench, driver } = rig({}, { a: { match: '^(?:(\\d+),?)+kg$' } });
  await driver.start();
  await clock.advanceAsync(10);
  port.say(`${'1'.repeat(2000)}\r\n1,2kg\r\n`);
  expect(bench.seen('hopper', 'a')).toEqual([2]);
  await driver.stop();
});

test('every byte both ways can be watched', async () => {
  const { clock, port, driver } = rig({}, { a: { match: '^(\\d+)$', request: 'R\r\n' } });
  port.answer = () => '7\r\n';
  const seen: string[] = [];
  driver.trace(({ direction, bytes: frame }) =>
    seen.push(`${direction} ${Buffer.from(frame).toString('latin1').trim()}`),
  );
  await driver.start();
  await clock.advanceAsync(10);
  expect(seen).toEqual(['sent R', 'received 7']);
  await driver.stop();
});
