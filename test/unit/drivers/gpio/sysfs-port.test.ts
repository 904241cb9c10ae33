import { afterEach, describe, expect, test } from 'vitest';
import { headerChip, sysfsChips, sysfsNumber } from '../../../../src/drivers/gpio/chips.js';
import { chooseBackend } from '../../../../src/drivers/gpio/choose-backend.js';
import {
  type OnoffGpio,
  type OnoffGpioClass,
  SysfsBackend,
} from '../../../../src/drivers/gpio/sysfs-port.js';
import type { Tools } from '../../../../src/drivers/gpio/tool-process.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { FakeTree } from '../../../support/fake-tree.js';

let tree = new FakeTree();
afterEach(() => tree.remove());

function board(chips: readonly (readonly [label: string, base: number, lines: number])[]): void {
  tree = new FakeTree(
    Object.fromEntries(
      chips.flatMap(([label, base, lines]) => [
        [`class/gpio/gpiochip${base}/label`, label],
        [`class/gpio/gpiochip${base}/base`, String(base)],
        [`class/gpio/gpiochip${base}/ngpio`, String(lines)],
      ]),
    ),
  );
}

const PI4 = [
  ['raspberrypi-exp-gpio', 570, 8],
  ['pinctrl-bcm2711', 512, 58],
] as const;
const PI5 = [
  ['gpio-brcmstb@107d508500', 512, 32],
  ['gpio-brcmstb@107d508520', 544, 4],
  ['pinctrl-rp1', 571, 54],
] as const;

describe('BCM numbers', () => {
  test.each([
    ['a Pi 4 on a new kernel', PI4, 529],
    ['a Pi 5', PI5, 588],
    ['a Pi 3 on an old kernel', [['pinctrl-bcm2835', 0, 54]], 17],
  ] as const)('GPIO17 of %s', async (_, chips, number) => {
    board(chips);
    expect(sysfsNumber(17, await sysfsChips(tree.root))).toBe(number);
  });

  test('a chip by its label, and the kernel’s own number', async () => {
    board(PI4);
    const chips = await sysfsChips(tree.root);
    expect(sysfsNumber({ chip: 'raspberrypi-exp-gpio', line: 7 }, chips)).toBe(577);
    expect(sysfsNumber({ sysfs: 3 }, chips)).toBe(3);
    expect(() => sysfsNumber({ chip: 'raspberrypi-exp-gpio', line: 8 }, chips)).toThrow(
      'has lines 0 to 7, not 8',
    );
    expect(() => sysfsNumber({ chip: 'mcp23017', line: 0 }, chips)).toThrow(
      'no chip mcp23017; there is pinctrl-bcm2711, raspberrypi-exp-gpio',
    );
  });

  test('a board without a header says how its lines are named', async () => {
    board([['INT33FC:00', 200, 100]]);
    expect(headerChip(await sysfsChips(tree.root))).toBeUndefined();
    expect(() => sysfsNumber(17, [{ label: 'INT33FC:00', base: 200, lines: 100 }])).toThrow(
      'no chip of a Raspberry Pi header; write gpio: { chip: LABEL, line: 17 } with one of: INT33FC:00',
    );
  });
});

describe('onoff', () => {
  const made: unknown[][] = [];
  let fault: Error | undefined;
  let held = { direction: 'in', edge: 'both' };
  let watched: ((error: Error | null, value: 0 | 1) => void) | undefined;
  const calls: string[] = [];

  class FakeGpio implements OnoffGpio {
    constructor(...args: unknown[]) {
      made.push(args);
      if (fault !== undefined) throw fault;
    }
    read = async (): Promise<0 | 1> => 1;
    write = async (value: 0 | 1): Promise<void> => void calls.push(`write ${value}`);
    watch = (callback: (error: Error | null | undefined, value: 0 | 1) => void): void => {
      watched = callback;
    };
    unwatchAll = (): void => void calls.push('unwatch');
    unexport = (): void => void calls.push('unexport');
    direction = (): string => held.direction;
    edge = (): string => held.edge;
  }

  const listener = {
    edges: [] as unknown[],
    onEdge: (high: boolean) => void listener.edges.push(high),
    onLost: (why: string) => void listener.edges.push(why),
  };
  const backend = (): SysfsBackend =>
    new SysfsBackend(tree.root, new FakeClock(), async () => FakeGpio as unknown as OnoffGpioClass);

  test('an input is opened by the kernel’s number with both edges, and given back', async () => {
    board(PI4);
    [fault, held] = [undefined, { direction: 'in', edge: 'both' }];
    const port = await backend().open({ line: 17, direction: 'in' }, listener);
    expect(made.at(-1)).toEqual([529, 'in', 'both', { activeLow: false }]);
    expect(await port.read()).toBe(true);
    watched?.(null, 1);
    watched?.(new Error('ENODEV'), 0);
    expect(listener.edges).toEqual([true, 'ENODEV']);
    await port.close();
    watched?.(null, 0);
    expect(listener.edges).toHaveLength(2);
    expect(calls.splice(0)).toEqual(['unwatch', 'unexport']);
  });

  test('an output is driven as it should begin, keeps its level where nothing is said, and is never given back', async () => {
    board(PI4);
    [fault, held] = [undefined, { direction: 'out', edge: 'none' }];
    const lines = backend();
    await (await lines.open({ line: 22, direction: 'out', initial: true }, listener)).close();
    expect(made.at(-1)).toEqual([534, 'high', 'none', { activeLow: false }]);
    await lines.open({ line: 22, direction: 'out' }, listener);
    expect(made.at(-1)).toEqual([534, 'low', 'none', { activeLow: false }]);
    tree.set({ 'class/gpio/gpio534/direction': 'out' });
    await lines.open({ line: 22, direction: 'out' }, listener);
    expect(made.at(-1)).toEqual([534, 'out', 'none', { activeLow: false, reconfigureDirection: false }]);
    expect(calls.splice(0)).toEqual(['unwatch']);
  });

  test.each([
    ['EINVAL', 'line 529 does not exist; correct the number'],
    ['EBUSY', 'line 529 is in use by another program'],
    ['EACCES', 'add the user to group gpio'],
    ['EROFS', 'ProtectKernelTunables=no'],
  ])('%s becomes a sentence', async (code, sentence) => {
    board(PI4);
    fault = Object.assign(new Error(code), { code });
    await expect(backend().open({ line: 17, direction: 'in' }, listener)).rejects.toThrow(sentence);
  });

  test('a line whose settings did not take is not believed', async () => {
    board(PI4);
    [fault, held] = [undefined, { direction: 'out', edge: 'both' }];
    await expect(backend().open({ line: 17, direction: 'in' }, listener)).rejects.toThrow(
      'its direction cannot be set',
    );
  });

  test('where onoff is not built, the sentence says what to install', async () => {
    const broken = new SysfsBackend(tree.root, new FakeClock(), () =>
      Promise.reject(new Error('not built; install python3')),
    );
    await expect(broken.open({ line: 17, direction: 'in' }, listener)).rejects.toThrow('install python3');
  });
});

describe('which way is taken, and why', () => {
  const tools = (there: boolean): Tools => ({
    has: () => there,
    run: () => Promise.reject(new Error('unused')),
    start: () => {
      throw new Error('unused');
    },
  });

  test.each([
    ['auto', false, true, 'chardev', 'the kernel has no /sys/class/gpio'],
    ['auto', false, false, 'none', 'sudo apt install gpiod'],
    ['chardev', false, true, 'chardev', 'the configuration says so'],
    ['chardev', false, false, 'none', 'sudo apt install gpiod'],
    ['sysfs', false, true, 'none', 'has no'],
    ['sysfs', true, true, 'sysfs', 'the configuration says so'],
    ['auto', true, true, 'chardev', 'a pull resistor is asked for'],
  ] as const)('%s, sysfs %s, tools %s: %s', (backend, sysfs, there, kind, why) => {
    tree = new FakeTree(sysfs ? { 'class/gpio/export': '' } : {});
    expect(chooseBackend({ backend, root: tree.root, wantsPull: sysfs }, tools(there))).toMatchObject({
      kind,
      why: expect.stringContaining(why),
    });
  });
});
