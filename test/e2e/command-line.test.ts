/** What a person or a script sees of the command line: exit codes, one clear sentence, never a stack trace. */
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  accepting,
  freePort,
  godwit,
  type Running,
  received,
  runningGateway,
  scratch,
  subscribed,
} from '../support/process.js';

let folder: string;
let remove: () => void;
let running: Running[];
let servers: Server[];

beforeEach(() => {
  ({ folder, remove } = scratch());
  running = [];
  servers = [];
});

afterEach(async () => {
  await Promise.all(running.map((child) => child.kill()));
  for (const server of servers) server.close();
  remove();
});

function keep<Child extends Running>(child: Child): Child {
  running.push(child);
  return child;
}

function write(name: string, lines: readonly string[] | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, Buffer.isBuffer(lines) ? lines : `${lines.join('\n')}\n`);
  return file;
}

async function ends(args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = keep(godwit(args));
  const code = await child.exit();
  return { code, out: child.lines.join('\n'), err: child.errors };
}

describe('wrong usage', () => {
  test.each([[['fly']], [['run', '--sideways']], [[]]])('%j ends with 2', async (args) => {
    expect((await ends(args)).code).toBe(2);
  });

  test('--help and --version end with 0', async () => {
    expect((await ends(['--help'])).code).toBe(0);
    expect((await ends(['--version'])).out).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

describe('a configuration that cannot be used ends with 78 and one clear line', () => {
  test.each([
    ['is missing', () => join(folder, 'nowhere.yaml')],
    ['is a directory', () => folder],
    ['is empty', () => write('empty.yaml', [])],
    ['is not UTF-8', () => write('latin1.yaml', Buffer.from([0x67, 0x3a, 0x20, 0xe9, 0xff, 0x0a]))],
    ['is no YAML', () => write('torn.yaml', ['gateway: { id: "a'])],
  ])('because it %s', async (_why, make) => {
    const file = make();
    for (const command of ['check', 'run']) {
      const { code, err } = await ends([command, '-c', file]);
      expect(code).toBe(78);
      expect(err.trim().split('\n')[0]).toContain(file);
      expect(err).not.toMatch(/\n\s+at /);
    }
  });

  test('eight different mistakes give eight lines, each at its place', async () => {
    const file = write('eight.yaml', [
      'gateway: { id: "well 17" }', //                                   1: id with a space
      'journal: { max_size: lots }', //                                  2: no size
      'brocker: {}', //                                                  3: unknown key, nearest broker
      'buses:',
      '  plc: { driver: modbus-tpc, host: 10.0.0.1 }', //                4: unknown driver, nearest modbus-tcp
      '  sim: { driver: simulator }',
      'devices:',
      '  tank:',
      '    bus: smi', //                                                 5: unknown bus, nearest sim
      '    points: { level: { simulate: { wave: sine } } }',
      'mappings:',
      '  - { from: "*/*", topic: "site/{tags.where}/{point}" }', //      6: unknown tag
      '  - { topic: "a/b" }', //                                         7: from is missing
      'bridges:',
      '  cloud: { servers: [ "http://x" ] }', //                         8: scheme
    ]);
    const { code, err } = await ends(['check', '-c', file]);
    const lines = err.trim().split('\n');
    expect(code).toBe(78);
    expect(lines).toHaveLength(8);
    const places = lines.map((line) => line.replace(`${file}:`, '').split(': ').slice(0, 2).join(' '));
    expect(places.sort()).toEqual(
      [
        '1:16 gateway.id',
        '2:22 journal.max_size',
        '3:1 brocker',
        '5:18 buses.plc.driver',
        '9:10 devices.tank.bus',
        '12:27 mappings[0].topic',
        '13:5 mappings[1].from',
        '15:23 bridges.cloud.servers[0]',
      ].sort(),
    );
    expect(err).toMatch(/brocker.*broker/);
    expect(err).toMatch(/modbus-tpc.*modbus-tcp/);
  });
});

describe('godwit check and schema', () => {
  test('check prints what would be polled and published', async () => {
    const file = write('good.yaml', [
      'gateway: { id: well-17 }',
      'buses: { sim: { driver: simulator } }',
      'devices: { tank: { bus: sim, poll: 1s, points: { level: { simulate: { wave: sine }, unit: "%" } } } }',
      'mappings: [ { from: "*/*", topic: "site/{device}/{point}" } ]',
    ]);
    const { code, out } = await ends(['check', '-c', file]);
    expect(code).toBe(0);
    expect(out).toContain('site/tank/level');
    const asJson = await ends(['check', '--json', '-c', file]);
    expect(() => JSON.parse(asJson.out)).not.toThrow();
  });

  test('schema prints a JSON Schema', async () => {
    const { code, out } = await ends(['schema']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ type: 'object', required: ['gateway'] });
  });
});

describe('godwit run meets a bad world', () => {
  const simulated = (port: number, more: readonly string[] = []): string[] => [
    'gateway: { id: well-17 }',
    'journal: { path: state/journal.db }',
    `broker: { listeners: [ { url: "mqtt://127.0.0.1:${port}" } ] }`,
    ...more,
  ];

  test('a port in use ends it with 1 and names the port', async () => {
    const port = await freePort();
    const server = createServer().listen(port, '127.0.0.1');
    servers.push(server);
    await accepting(port);
    const { code, err, out } = await ends(['run', '-c', write('godwit.yaml', simulated(port))]);
    expect(code).toBe(1);
    expect(err + out).toContain(String(port));
    expect(err).not.toMatch(/\n\s+at /);
  });

  test('a journal folder that cannot be made ends it with 1 and names the folder', async () => {
    writeFileSync(join(folder, 'state'), 'a file, not a folder');
    const { code, err } = await ends(['run', '-c', write('godwit.yaml', simulated(await freePort()))]);
    expect(code).toBe(1);
    expect(err).toContain(join(folder, 'state'));
    expect(err).not.toMatch(/\n\s+at /);
  });

  test('a second gateway on the same journal says which process holds it', async () => {
    const file = write('godwit.yaml', simulated(await freePort()));
    const first = keep(await runningGateway(file));
    const { code, err } = await ends(['run', '-c', file]);
    expect(code).toBe(1);
    expect(err).toContain(String(first.process.pid));
  });

  test('an unreachable host and a missing serial port leave it running, and status names both', async () => {
    const file = write(
      'godwit.yaml',
      simulated(await freePort(), [
        'buses:',
        `  plc: { driver: modbus-tcp, host: 127.0.0.1, port: ${await freePort()}, timeout: 100ms }`,
        '  rs485: { driver: modbus-rtu, path: /dev/serial/by-id/nothing-here }',
        'devices:',
        '  tank: { bus: plc, unit: 1, poll: 100ms, points: { level: { register: holding/0 } } }',
        '  meter: { bus: rs485, unit: 1, poll: 100ms, points: { power: { register: input/0 } } }',
      ]),
    );
    keep(await runningGateway(file));
    let text = '';
    for (
      let question = 0;
      question < 60 && !(/tank\s+offline/.test(text) && /meter\s+offline/.test(text));
      question++
    ) {
      text = (await ends(['status', '-c', file])).out;
    }
    expect(text).toMatch(/tank\s+offline/);
    expect(text).toMatch(/meter\s+offline/);
    expect(text).toMatch(/refuses connections/);
    expect(text).toMatch(/nothing-here/);
  }, 60_000);

  test('status of a gateway that does not run ends with 1 and says so', async () => {
    const { code, err } = await ends(['status', '-c', write('godwit.yaml', simulated(await freePort()))]);
    expect(code).toBe(1);
    expect(err).toMatch(/No gateway runs/);
  });

  test('SIGHUP takes over a new mapping, and keeps the old configuration when the new one has mistakes', async () => {
    const port = await freePort();
    const lines = simulated(port, [
      'buses: { sim: { driver: simulator } }',
      'devices: { tank: { bus: sim, poll: 50ms, points: { level: { simulate: { wave: walk } } } } }',
      'mappings: [ { from: "*/*", topic: "old/{point}" } ]',
    ]);
    const file = write('godwit.yaml', lines);
    const gateway = keep(await runningGateway(file));
    const subscriber = keep(await subscribed(port, ['-t', '#']));
    await subscriber.until(() => received(subscriber).some(({ topic }) => topic === 'old/level'));

    write(
      'godwit.yaml',
      lines.map((line) => line.replace('old/', 'new/')),
    );
    gateway.process.kill('SIGHUP');
    await subscriber.until(() => received(subscriber).some(({ topic }) => topic === 'new/level'));

    write(
      'godwit.yaml',
      lines.map((line) => line.replace('driver: simulator', 'driver: nonsense')),
    );
    gateway.process.kill('SIGHUP');
    await gateway.line((line) => line.includes('the old one runs on'));
    const before = received(subscriber).length;
    await subscriber.until(() => received(subscriber).length > before + 5);
    expect(await gateway.kill('SIGTERM')).toBe(0);
  });
});

test('the demo says where it listens, shows a line a second and stops on Ctrl-C', async () => {
  const demo = keep(godwit(['demo']));
  const line = await demo.line((text) => /mqtt:\/\/127\.0\.0\.1:\d+/.test(text));
  const port = Number(/mqtt:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]);
  const subscriber = keep(await subscribed(port, ['-t', 'demo/#']));
  await subscriber.until(() => received(subscriber).length > 3);
  await demo.line((text) => /^\d\d:\d\d:\d\d .* readings/.test(text));
  expect(await demo.kill('SIGINT')).toBe(0);
});
