import { EventEmitter, once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SystemClock } from '../../../../src/core/clock.js';
import { ChardevBackend } from '../../../../src/drivers/gpio/chardev-port.js';
import { chipsIn, edgeIn, generationIn } from '../../../../src/drivers/gpio/gpiod-tools.js';
import { SystemTools } from '../../../../src/drivers/gpio/tool-process.js';
import { FakeGpiod } from '../../../support/fake-gpiod.js';

describe('what the tools print', () => {
  test('their version, chips and edges, of both generations', () => {
    expect(generationIn('gpiodetect (libgpiod) v1.6.3\nCopyright')).toBe(1);
    expect(generationIn('gpiodetect (libgpiod) v2.2.1\n')).toBe(2);
    expect(generationIn('what?')).toBeUndefined();
    expect(
      chipsIn('gpiochip0 [pinctrl-rp1] (54 lines)\ngpiochip10 [gpio-brcmstb@107d508500] (32 lines)\n'),
    ).toEqual([
      { name: 'gpiochip0', label: 'pinctrl-rp1', lines: 54 },
      { name: 'gpiochip10', label: 'gpio-brcmstb@107d508500', lines: 32 },
    ]);
    expect(edgeIn(1, '1 1000 5000000')).toEqual({ high: true, kernelMs: 1_000_005 });
    expect(edgeIn(1, '0 1000 5000000')).toEqual({ high: false, kernelMs: 1_000_005 });
    expect(edgeIn(2, '2 1000.005000000')).toEqual({ high: false, kernelMs: 1_000_005 });
    expect(edgeIn(2, "Monitoring line '17'...")).toBeUndefined();
    expect(edgeIn(1, '')).toBeUndefined();
  });
});

describe.each([1, 2] as const)('the character device through libgpiod %s', (generation) => {
  let gpiod: FakeGpiod;
  let path: string | undefined;
  let ends: (() => Promise<void>)[];
  const said = new EventEmitter();
  let edges: { high: boolean; atMs: number }[];
  const listener = {
    onEdge: (high: boolean, atMs: number): void => {
      edges.push({ high, atMs });
      said.emit('said');
    },
    onLost: (why: string): void => void said.emit('lost', why),
  };

  beforeEach(() => {
    gpiod = new FakeGpiod(generation);
    path = process.env.PATH;
    process.env.PATH = gpiod.path;
    ends = [];
    edges = [];
  });
  afterEach(async () => {
    await Promise.all(ends.map((end) => end()));
    process.env.PATH = path;
    gpiod.remove();
  });

  const backend = (): ChardevBackend => new ChardevBackend(new SystemTools(), new SystemClock());

  test('an input has its level, its pull and each edge with the kernel’s time', async () => {
    gpiod.level(17, 1);
    const port = await backend().open({ line: 17, direction: 'in', pull: 'up' }, listener);
    ends.push(() => port.close());
    expect(await port.read()).toBe(true);
    expect(gpiod.bias).toBe('--bias=pull-up');
    gpiod.edge(17, 0);
    gpiod.edge(17, 1, 25);
    while (edges.length < 2) await once(said, 'said');
    expect(edges.map(({ high }) => high)).toEqual([false, true]);
    expect((edges[1]?.atMs ?? 0) - (edges[0]?.atMs ?? 0)).toBeCloseTo(25, 0);
    expect(await port.read()).toBe(true);
  });

  test('an output is held, written and let go', async () => {
    const port = await backend().open({ line: 22, direction: 'out', initial: true }, listener);
    ends.push(() => port.close());
    await port.write(false);
    expect(await port.read()).toBe(false);
    await port.write(true);
    expect(gpiod.set).toEqual(['22=1', '22=0', '22=1']);
    await port.close();
    await expect(port.write(true)).rejects.toThrow('no longer holds');
  });

  test('a line that is in use says so, for both directions', async () => {
    gpiod.level(17, 0);
    gpiod.busy(17, true);
    gpiod.busy(22, true);
    await expect(backend().open({ line: 17, direction: 'in' }, listener)).rejects.toThrow(
      'line 17 of gpiochip0 is in use',
    );
    await expect(backend().open({ line: 22, direction: 'out' }, listener)).rejects.toThrow(
      'line 22 of gpiochip0 is in use',
    );
  });

  test('a board without a header and a number of sysfs are refused with what to write', async () => {
    gpiod.chips('gpiochip0 [gpio-sim] (8 lines)\n');
    await expect(backend().open({ line: 17, direction: 'in' }, listener)).rejects.toThrow(
      '{ chip: LABEL, line: 17 }',
    );
    await expect(backend().open({ line: { sysfs: 529 }, direction: 'in' }, listener)).rejects.toThrow(
      '{ chip: LABEL, line: N }',
    );
    gpiod.level(3, 1);
    const port = await backend().open({ line: { chip: 'gpio-sim', line: 3 }, direction: 'in' }, listener);
    ends.push(() => port.close());
    expect(await port.read()).toBe(true);
  });
});
