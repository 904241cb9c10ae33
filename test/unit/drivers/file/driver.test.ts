import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { driverFileBusSchema } from '../../../../src/config/driver-file-schema.js';
import { loadConfig } from '../../../../src/config/load.js';
import type { Driver } from '../../../../src/drivers/driver.js';
import { openFileDriver } from '../../../../src/drivers/file/driver.js';
import { DriverBench } from '../../../support/driver-bench.js';
import { FakeTree } from '../../../support/fake-tree.js';
import { ROOT } from '../../../support/process.js';

const BODY = pathToFileURL(join(ROOT, 'dist/drivers/file/host.js'));

let tree: FakeTree;
let stops: (() => Promise<void>)[];
beforeEach(() => {
  tree = new FakeTree();
  stops = [];
});
afterEach(async () => {
  for (const stop of stops) await stop();
  tree.remove();
});

async function started(
  source: string,
  bus: object = {},
  points: object = { a: {}, b: {} },
): Promise<{ bench: DriverBench; driver: Driver }> {
  tree.set({ 'driver.mjs': source });
  const config = driverFileBusSchema.parse({
    driver: join(tree.root, 'driver.mjs'),
    timeout: '500ms',
    retry_max: '100ms',
    ...bus,
  });
  const bench = new DriverBench({ driver: join(tree.root, 'driver.mjs') }, { d: { poll: '50ms', points } });
  const driver = await openFileDriver(bench.context, config, BODY);
  stops.push(() => driver.stop());
  await driver.start();
  return { bench, driver };
}

const reads = (body: string): string =>
  `export const open = () => ({ read: async (device, points) => { ${body} } });`;

test('reads, writes, tells by itself and is closed', async () => {
  const { bench, driver } = await started(
    `export const options = { bus: (o) => ({ step: o.step ?? 1 }), point: { parse: (o) => ({ from: o.from ?? 0 }) } };
     export async function open(bus) {
       let held = bus.devices.d.points.a.options.from;
       setTimeout(() => bus.publish('d', { b: 'hello', nobody: 1 }), 20);
       bus.log.warn('one line');
       return {
         async read(device, points) { return Object.fromEntries(points.map((p) => [p, p === 'a' ? (held += bus.options.step) : 'text'])); },
         async write(device, point, value) { held = value; return held; },
         async close() { console.log('closed'); },
       };
     }`,
    { options: { step: 2 } },
    { a: { options: { from: 10 }, writable: true, scale: 0.1 }, b: {} },
  );
  await bench.until(() => bench.seen('d', 'a').length > 1 && bench.seen('d', 'b').includes('hello'));
  expect(bench.seen('d', 'a').slice(0, 2)).toEqual([12, 14]);
  expect(bench.lines).toContainEqual(
    expect.objectContaining({ level: 'warn', fields: { bus: 'test', text: 'one line' } }),
  );
  expect(await driver.write('d', 'a', 5)).toEqual({ ok: true, value: 5, verified: true });
  expect(bench.seen('d', 'a')).toContain(50);
  expect(await driver.write('d', 'b', 5)).toMatchObject({ ok: false, fault: 'not writable' });
  await driver.stop();
  await bench.until(() => bench.lines.some(({ fields }) => fields.text === 'closed'));
});

describe('a fault of the driver is a bad value and a number, and nothing more', () => {
  test.each([
    ['throws', reads('throw new Error("no rain today")'), 'no rain today'],
    ['gives nothing', reads(''), 'the driver gave back no object with values'],
    ['gives what is no value', reads('return { a: NaN, b: [1] }'), 'not a number'],
    ['gives what no message carries', reads('return { a: () => 1 }'), /could not be cloned/],
    ['never answers', reads('await new Promise(() => {})'), 'did not answer within 500 ms'],
    ['loops', reads('for (;;);'), 'did not answer within 500 ms'],
    ['ends the process, as it believes', reads('process.exit(3)'), 'ended with 3'],
    [
      'throws outside',
      `${reads('return { a: 1 }').replace('({ read', '(setTimeout(() => { throw new Error("stray") }, 60), { read')}`,
      'stray',
    ],
    [
      'fills its memory',
      reads('const all = []; for (;;) all.push(new Array(1e5).fill({}).map(() => ({})))'),
      /memory|did not answer/,
    ],
  ])('%s', async (_, source, reason) => {
    const { bench, driver } = await started(source, { max_memory: '16MiB' });
    await bench.until(() => bench.statesOf('d').includes('offline'));
    const said = [
      ...bench.states.map(({ state }) => state.reason),
      ...bench.polls.flatMap(({ readings }) => readings.map((one) => one.reason)),
    ];
    expect(
      said.some(
        (text) =>
          text !== undefined && (typeof reason === 'string' ? text.includes(reason) : reason.test(text)),
      ),
      said.join('; '),
    ).toBe(true);
    expect(driver.snapshot().errors).toBeGreaterThan(0);
  });

  test('and it is begun anew once it can be', async () => {
    const { bench } = await started(
      reads(
        'if (globalThis.calls === undefined) { globalThis.calls = 1; return { a: 1, b: 2 }; } process.exit(1)',
      ),
    );
    await bench.until(() => bench.seen('d', 'a').filter((value) => value === 1).length >= 2);
    expect(bench.statesOf('d').slice(0, 2)).toEqual(['online', 'offline']);
  });

  test('one that floods is held back and counted', async () => {
    const { bench, driver } = await started(
      `export const open = (bus) => { for (let i = 0; i < 5000; i++) bus.publish('d', { a: i }); return { read: async () => ({ a: -1, b: 0 }) }; };`,
    );
    await bench.until(() => driver.snapshot().errors > 3000);
    expect(bench.polls.length).toBeLessThan(2000);
  });
});

test('one that does not open leaves its bus down with the reason', async () => {
  const { bench, driver } = await started(
    'export const open = async () => { throw new Error("no such port"); };',
  );
  await bench.until(() => bench.statesOf('d').includes('offline'));
  expect(driver.snapshot()).toMatchObject({ state: 'down', reason: 'no such port' });
});

describe('the configuration', () => {
  function errors(source: string | undefined, yaml = '{ options: { what: x } }'): string[] {
    if (source !== undefined) tree.set({ 'own.mjs': source });
    const file = join(tree.root, 'f.yaml');
    writeFileSync(
      file,
      `gateway: { id: a }\nbuses: { b: { driver: ./own.mjs, options: { seed: 1 } } }\ndevices: { d: { bus: b, points: { p: ${yaml} } } }\n`,
    );
    try {
      loadConfig(file, {});
      return [];
    } catch (fault) {
      const { errors: of } = (fault as { fields: { errors: { line: string }[] } }).fields;
      return of.map(({ line }) => line.replaceAll(`${tree.root}/`, ''));
    }
  }

  test.each([
    [undefined, ['f.yaml:2:23: buses.b.driver: found own.mjs, but there is no such file']],
    ['export const a = 1;', ['f.yaml:2:23: buses.b.driver: found own.mjs, but it exports no function open']],
    [
      'export const open = ;',
      [
        expect.stringMatching(
          /^f\.yaml:2:23: buses\.b\.driver: found own\.mjs, but it cannot be loaded: Unexpected token/,
        ),
      ],
    ],
    [
      'import "nowhere"; export const open = 1;',
      [expect.stringMatching(/cannot be loaded: Cannot find package/)],
    ],
    [
      'throw new Error("on loading")',
      ['f.yaml:2:23: buses.b.driver: found own.mjs, but it cannot be loaded: on loading'],
    ],
    [
      'export const open = () => {}; export const options = { bus: (o) => { if (o.seed) throw new Error("seed is 1, allowed: 2"); }, point: { parse() { throw new Error("what is x"); } } };',
      [
        'f.yaml:2:43: buses.b.options: refused by ./own.mjs: seed is 1, allowed: 2',
        'f.yaml:3:49: devices.d.points.p.options: refused by ./own.mjs: what is x',
      ],
    ],
    [
      'export const open = () => {};',
      [
        'f.yaml:2:43: buses.b.options: refused by ./own.mjs: this driver takes no options here',
        'f.yaml:3:49: devices.d.points.p.options: refused by ./own.mjs: this driver takes no options here',
      ],
    ],
    ['export const open = () => {}; export const options = { bus: (o) => o, point: (o) => o };', []],
  ])('%s', (source, lines) => expect(errors(source)).toEqual(lines));

  test('a point of another driver is told so', () => {
    expect(
      errors(
        'export const open = () => {}; export const options = { bus: (o) => o };',
        '{ register: holding/1 }',
      ),
    ).toEqual([
      'f.yaml:3:40: devices.d.points.p.register: found register, but the device is on a bus with driver ./own.mjs, needed: options, which are its own',
    ]);
  });
});
