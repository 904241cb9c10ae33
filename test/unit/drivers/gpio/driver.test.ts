import { describe, expect, test } from 'vitest';
import { gpioBusSchema } from '../../../../src/config/gpio-schema.js';
import { gpioBus } from '../../../../src/drivers/gpio/driver.js';
import type {
  GpioBackend,
  GpioPort,
  LineListener,
  LineRequest,
} from '../../../../src/drivers/gpio/gpio-port.js';
import { DriverBench } from '../../../support/driver-bench.js';
import { FakeClock } from '../../../support/fake-clock.js';

/** Lines that do what the test says. */
class ScriptedLines implements GpioBackend {
  readonly kind = 'sysfs';
  readonly levels = new Map<string, boolean>();
  readonly opened: LineRequest[] = [];
  readonly written: string[] = [];
  readonly closed: string[] = [];
  readonly refused = new Map<string, string>();
  readonly #listeners = new Map<string, LineListener>();
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  async open(request: LineRequest, listener: LineListener): Promise<GpioPort> {
    const key = JSON.stringify(request.line);
    const refused = this.refused.get(key);
    if (refused !== undefined) throw new Error(refused);
    this.opened.push(request);
    this.#listeners.set(key, listener);
    if (request.initial !== undefined) this.levels.set(key, request.initial);
    return {
      read: async () => this.levels.get(key) ?? false,
      write: async (high) => {
        this.written.push(`${key}=${high ? 1 : 0}`);
        this.levels.set(key, high);
      },
      close: async () => void this.closed.push(key),
    };
  }

  set(line: number, high: boolean): void {
    this.levels.set(String(line), high);
    this.#listeners.get(String(line))?.onEdge(high, this.#clock.monotonicMs());
  }

  lose(line: number, why: string): void {
    this.#listeners.get(String(line))?.onLost(why);
  }
}

function rig(points: Record<string, object>, before?: DriverBench) {
  const clock = new FakeClock();
  const lines = new ScriptedLines(clock);
  const bench = new DriverBench({ driver: 'gpio' }, { door: { points } }, clock);
  for (const [key, value] of before?.keyValue.entries() ?? []) bench.keyValue.put(key, value);
  const bus = gpioBus(bench.context, gpioBusSchema.parse({ driver: 'gpio' }), () => lines);
  return { clock, lines, bench, bus };
}

const OPEN = { gpio: 17, direction: 'in', active_low: true, debounce: '20ms' };
const FLOW = { gpio: 27, direction: 'in', count: 'rising', scale: 0.0025, unit: 'L' };
const RELAY = { gpio: 22, direction: 'out', writable: true, initial: false };

describe('inputs', () => {
  test('tell each edge at once, and the level with each poll', async () => {
    const { clock, lines, bench, bus } = rig({ bell: { gpio: 5 } });
    await bus.start();
    await clock.advanceAsync(100);
    lines.set(5, true);
    lines.set(5, false);
    expect(bench.seen('door', 'bell')).toEqual([false, true, false]);
    await clock.advanceAsync(1000);
    expect(bench.seen('door', 'bell')).toEqual([false, true, false, false]);
    await bus.stop();
    expect(clock.waiting).toBe(0);
    expect(lines.closed).toEqual(['5']);
  });

  test('with debounce, a level is told once it has held, and active_low turns it round', async () => {
    const { clock, lines, bench, bus } = rig({ open: OPEN });
    lines.levels.set('17', true);
    await bus.start();
    await clock.advanceAsync(100);
    expect(bench.seen('door', 'open')).toEqual([false]);
    lines.set(17, false);
    await clock.advanceAsync(5);
    lines.set(17, true);
    await clock.advanceAsync(5);
    lines.set(17, false);
    await clock.advanceAsync(19);
    expect(bench.seen('door', 'open')).toEqual([false]);
    await clock.advanceAsync(1);
    expect(bench.seen('door', 'open')).toEqual([false, true]);
    await bus.stop();
  });

  test('an edge that nobody saw is made up for at a poll', async () => {
    const { clock, lines, bench, bus } = rig({ open: OPEN });
    await bus.start();
    await clock.advanceAsync(100);
    lines.levels.set('17', true);
    await clock.advanceAsync(2000);
    expect(bench.seen('door', 'open').at(-1)).toBe(false);
    await bus.stop();
  });
});

describe('counters', () => {
  test('go on from their total after a restart, whatever ended the process', async () => {
    const first = rig({ flow: FLOW });
    await first.bus.start();
    await first.clock.advanceAsync(10);
    for (let pulse = 0; pulse < 7; pulse += 1) {
      first.lines.set(27, true);
      first.lines.set(27, false);
    }
    // No stop: the process was killed.
    const second = rig({ flow: FLOW }, first.bench);
    await second.bus.start();
    await second.clock.advanceAsync(10);
    second.lines.set(27, true);
    await second.clock.advanceAsync(1000);
    expect(second.bench.seen('door', 'flow')).toEqual([7, 8]);
    expect(await second.bus.readRaw('door')).toMatchObject([{ point: 'flow', value: 0.02, unit: 'L' }]);
    await first.bus.stop();
    await second.bus.stop();
  });

  test('a total can be set to what the dial says', async () => {
    const { clock, bench, bus } = rig({ flow: { ...FLOW, writable: true } });
    await bus.start();
    await clock.advanceAsync(10);
    expect(await bus.write('door', 'flow', 12.5)).toEqual({ ok: true, value: 12.5, verified: true });
    expect(bench.seen('door', 'flow').at(-1)).toBe(5000);
    expect(await bus.write('door', 'flow', -1)).toMatchObject({ ok: false, fault: 'out of range' });
    await bus.stop();
  });

  test('a damaged total is none', async () => {
    const before = new DriverBench({ driver: 'gpio' }, {});
    before.keyValue.put('pulses/door/flow', Uint8Array.of(0xff, 0x00));
    const { clock, bench, bus } = rig({ flow: FLOW }, before);
    await bus.start();
    await clock.advanceAsync(10);
    expect(bench.seen('door', 'flow')).toEqual([0]);
    await bus.stop();
  });

  test('total and frequency of one line, which is opened once', async () => {
    const { clock, lines, bench, bus } = rig({
      flow: FLOW,
      rate: { gpio: 27, frequency: 'rising', unit: 'Hz' },
    });
    await bus.start();
    for (let pulse = 0; pulse < 50; pulse += 1) {
      await clock.advanceAsync(40);
      lines.set(27, true);
      lines.set(27, false);
    }
    await clock.advanceAsync(1000);
    expect(lines.opened).toHaveLength(1);
    expect(bench.seen('door', 'rate')).toContain(25);
    expect(bench.seen('door', 'flow').at(-1)).toBe(50);
    await bus.stop();
  });
});

describe('outputs', () => {
  test('begin as they should, are written and read back, and end safe', async () => {
    const { clock, lines, bench, bus } = rig({
      relay: RELAY,
      lamp: { gpio: 23, direction: 'out', active_low: true, initial: true, safe: false },
    });
    await bus.start();
    await clock.advanceAsync(10);
    expect(lines.opened.map(({ line, initial }) => [line, initial])).toEqual([
      [22, false],
      [23, false],
    ]);
    expect(await bus.write('door', 'relay', 'on')).toEqual({ ok: true, value: true, verified: true });
    expect(bench.seen('door', 'relay')).toEqual([false, true]);
    expect(await bus.write('door', 'relay', 'sideways')).toMatchObject({ ok: false, fault: 'wrong type' });
    expect(await bus.write('door', 'lamp', true)).toMatchObject({ ok: false, fault: 'not writable' });
    await bus.stop();
    expect(lines.written).toEqual(['22=1', '23=1']);
    expect(lines.closed).toEqual(['22', '23']);
  });
});

test('a line that cannot be had is bad with its reason; the others work on, and it is tried again', async () => {
  const { clock, lines, bench, bus } = rig({ bell: { gpio: 5 }, gate: { gpio: 6 } });
  lines.refused.set('6', 'line 518 is in use by another program');
  await bus.start();
  for (let second = 0; second < 3; second += 1) await clock.advanceAsync(1000);
  expect(bench.seen('door', 'gate')).toEqual([{ bad: 'line 518 is in use by another program' }]);
  expect(bench.seen('door', 'bell').length).toBeGreaterThan(1);
  lines.refused.clear();
  await clock.advanceAsync(12_000);
  expect(bench.seen('door', 'gate').at(-1)).toBe(false);
  await bus.stop();
});

test('a line that is lost is told at once, and opened again', async () => {
  const { clock, lines, bench, bus } = rig({ bell: { gpio: 5 } });
  await bus.start();
  await clock.advanceAsync(10);
  lines.lose(5, 'gpiomon: ended with 1');
  expect(bench.seen('door', 'bell').at(-1)).toEqual({ bad: 'gpiomon: ended with 1' });
  await clock.advanceAsync(60_000);
  expect(bench.seen('door', 'bell').at(-1)).toBe(false);
  await bus.stop();
});

test('a machine without GPIO has a bus that is down and says why', async () => {
  const clock = new FakeClock();
  const bench = new DriverBench({ driver: 'gpio' }, { door: { points: { open: OPEN } } }, clock);
  const bus = gpioBus(bench.context, gpioBusSchema.parse({ driver: 'gpio' }), () => {
    throw new Error('the kernel has no /sys/class/gpio');
  });
  await bus.start();
  await clock.advanceAsync(5000);
  expect(bus.snapshot()).toMatchObject({ state: 'down', reason: 'the kernel has no /sys/class/gpio' });
  expect(bench.states.at(-1)?.state.reason).toBe('bus down: the kernel has no /sys/class/gpio');
  await bus.stop();
});
