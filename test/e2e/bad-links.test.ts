/** The real process before a link that is bad in earnest: silence, cuts, tokens that age, an outage that calls for help. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { BridgeSnapshot, Snapshot } from '../../src/core/snapshot.js';
import { CuttingProxy } from '../support/cutting-proxy.js';
import {
  freePort,
  godwit,
  type Running,
  received,
  runningGateway,
  runningMosquitto,
  scratch,
  subscribed,
} from '../support/process.js';

let folder: string;
let ends: (() => Promise<unknown> | unknown)[];

beforeEach(() => {
  const { folder: made, remove } = scratch();
  folder = made;
  ends = [remove];
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
});

function keep<Child extends Running>(child: Child): Child {
  ends.push(() => child.kill());
  return child;
}

/** A counter that is read ten times a second, and a bridge for it. */
function configure(bridge: object): string {
  const file = join(folder, 'godwit.yaml');
  const base = parse(`
gateway: { id: mast-1 }
journal: { path: state/journal.db }
broker: { listeners: [] }
buses: { demo: { driver: simulator } }
devices: { ramp: { bus: demo, poll: 100ms, points: { x: { simulate: { wave: ramp } } } } }
mappings: [ { from: "*/*", topic: "site/{device}/{point}" } ]
`) as object;
  const cloud = {
    backoff: { min: '100ms', max: '300ms' },
    forward: [{ filter: 'site/#', qos: 2 }],
    ...bridge,
  };
  writeFileSync(file, stringify({ ...base, bridges: { cloud } }));
  return file;
}

async function status(file: string): Promise<BridgeSnapshot> {
  const child = godwit(['status', '--json', '-c', file]);
  await child.exit();
  return (JSON.parse(child.lines.join('\n')) as Snapshot).bridges.cloud as BridgeSnapshot;
}

async function untilStatus(file: string, isSo: (bridge: BridgeSnapshot) => boolean): Promise<BridgeSnapshot> {
  for (const endMs = performance.now() + 20_000; ; ) {
    const bridge = await status(file);
    if (isSo(bridge)) return bridge;
    if (performance.now() > endMs) throw new Error(`waited in vain: ${JSON.stringify(bridge)}`);
  }
}

function script(name: string, ...lines: string[]): string {
  const file = join(folder, name);
  writeFileSync(file, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
  return file;
}

test('a server that falls silent is left, said to be silent, and gets everything once it answers again', async () => {
  const port = await freePort();
  const server = keep(await runningMosquitto(folder, port));
  const watcher = keep(await subscribed(port, ['-t', 'site/#', '-q', '2', '-V', '5']));
  const file = configure({ servers: [`mqtt://127.0.0.1:${port}`], keepalive: '1s', ack_timeout: '1s' });
  const gateway = keep(await runningGateway(file));
  await watcher.until(() => received(watcher).length >= 3);
  // The kernel still accepts for it, and it says nothing: half-open, as behind a NAT that has forgotten.
  server.process.kill('SIGSTOP');
  const silent = await untilStatus(file, ({ state }) => state !== 'connected');
  expect(silent.reason).toMatch(/^the server acknowledged none of \d+ messages for 1 s|stopped answering/);
  expect(['ack-timeout', 'keep-alive']).toContain(silent.fault);
  server.process.kill('SIGCONT');
  await untilStatus(file, ({ state, waiting }) => state === 'connected' && waiting < 5);
  await gateway.kill('SIGTERM');
  // The journal knows what was delivered; the watcher saw each once, in order.
  const ts = received(watcher).map(({ payload }) => (JSON.parse(payload) as { ts: number }).ts);
  expect(ts).toEqual([...new Set(ts)].sort((a, b) => a - b));
});

test('a link that comes and goes is told once, named in the status, and everything arrives once', async () => {
  const port = await freePort();
  keep(await runningMosquitto(folder, port));
  const watcher = keep(await subscribed(port, ['-t', 'site/#', '-q', '2', '-V', '5']));
  const cable = await CuttingProxy.to(port);
  ends.push(() => cable.close());
  const file = configure({ servers: [`mqtt://127.0.0.1:${cable.port}`] });
  const gateway = keep(await runningGateway(file));
  const connects = (): number =>
    gateway.lines.filter((line) => line.includes('"Bridge is connected"')).length;
  for (let session = 1; session <= 5; session += 1) {
    await gateway.until(() => connects() >= session);
    cable.cut();
  }
  await gateway.line((line) =>
    line.includes('Link comes and goes; its ends are only counted until it holds'),
  );
  const bridge = await untilStatus(file, ({ state }) => state === 'connected');
  expect(bridge.reason).toMatch(/^the link comes and goes: 5 sessions ended/);
  cable.cut();
  await untilStatus(file, ({ sessions = 0, state }) => sessions >= 7 && state === 'connected');
  expect(connects()).toBe(5);
  await untilStatus(file, ({ waiting }) => waiting < 5);
  await gateway.kill('SIGTERM');
  const ts = received(watcher).map(({ payload }) => (JSON.parse(payload) as { ts: number }).ts);
  expect(ts).toEqual([...new Set(ts)].sort((a, b) => a - b));
});

test('a token that ages is fetched anew by password_command, and is nowhere to be read', async () => {
  const port = await freePort();
  const passwords = join(folder, 'mosquitto.passwd');
  const restricted = ['allow_anonymous false', `password_file ${passwords}`];
  const valid = (token: string): void => {
    execFileSync('mosquitto_passwd', ['-b', '-c', passwords, 'mast-1', token]);
    writeFileSync(join(folder, 'token'), `${token}\n`);
  };
  valid('first-t0ken');
  let server = keep(await runningMosquitto(folder, port, restricted));
  script('fetch-token', 'echo "$GODWIT_BRIDGE" >> asked', 'cat token');
  const file = configure({
    servers: [`mqtt://127.0.0.1:${port}`],
    username: 'mast-1',
    password_command: ['./fetch-token'],
    password_max_age: '1h',
  });
  const gateway = keep(await runningGateway(file));
  await untilStatus(file, ({ state }) => state === 'connected');
  await server.kill();
  valid('second-t0ken');
  server = keep(await runningMosquitto(folder, port, restricted));
  // The old one is tried, refused, and thrown away.
  await untilStatus(file, ({ state, sessions = 0 }) => state === 'connected' && sessions >= 2);
  expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('cloud\ncloud\n');
  const shown = JSON.stringify([gateway.lines, gateway.errors, await status(file)]);
  expect(shown).not.toContain('t0ken');
});

test('a password_command that fails is said with what it wrote as an error', async () => {
  script('fetch-token', 'echo s3cret', 'echo "the vault is sealed" >&2', 'exit 4');
  const file = configure({
    servers: ['mqtt://127.0.0.1:9'],
    username: 'u',
    password_command: ['./fetch-token'],
  });
  keep(await runningGateway(file));
  const bridge = await untilStatus(file, ({ reason }) => reason !== undefined);
  expect(bridge).toMatchObject({
    fault: 'password',
    reason: 'password_command ended with status 4: the vault is sealed',
  });
});

test('on_down calls for help with who, since when and why, and its result is in log and status', async () => {
  const port = await freePort();
  script('power-cycle', 'env | grep ^GODWIT_ | sort > called', 'echo "modem is back"');
  const file = configure({
    servers: [`mqtt://127.0.0.1:${port}`],
    on_down: { after: '1s', command: ['./power-cycle'] },
  });
  const gateway = keep(await runningGateway(file));
  await gateway.line((line) => line.includes('on_down.command is done'));
  const called = readFileSync(join(folder, 'called'), 'utf8');
  expect(called).toMatch(/^GODWIT_BRIDGE=cloud$/m);
  expect(called).toMatch(/^GODWIT_DOWN_SINCE=20\d\d-\d\d-\d\dT/m);
  expect(called).toMatch(/^GODWIT_FAULT=refused$/m);
  expect(called).toMatch(/^GODWIT_GATEWAY=mast-1$/m);
  expect(called).toMatch(new RegExp(`^GODWIT_REASON=127\\.0\\.0\\.1:${port} refused the connection`, 'm'));
  expect((await status(file)).onDown).toMatchObject({ runs: 1, last: { ok: true, result: 'modem is back' } });
  const shown = godwit(['status', '-c', file]);
  await shown.exit();
  expect(shown.lines.join('\n')).toMatch(/on_down +ran once \d+ s ago: modem is back/);
  keep(await runningMosquitto(folder, port));
  await untilStatus(file, ({ state }) => state === 'connected');
  expect(await gateway.kill('SIGTERM')).toBe(0);
});

test('what on_down runs is not cut short by a reload, and keeps nobody from stopping', async () => {
  script('power-cycle', 'touch off', 'while [ ! -e release ]; do sleep 0.05; done', 'touch on');
  const servers = ['mqtt://127.0.0.1:9'];
  const file = configure({ servers, on_down: { after: '1s', command: ['./power-cycle'] } });
  const gateway = keep(await runningGateway(file));
  await gateway.line((line) => line.includes('Link has been down for long'));
  const has = (name: string): boolean => existsSync(join(folder, name));
  while (!has('off')) await new Promise((resolve) => setTimeout(resolve, 10));
  configure({ servers, keepalive: '30s' });
  gateway.process.kill('SIGHUP');
  await gateway.line((line) => line.includes('Configuration was reloaded'));
  writeFileSync(join(folder, 'release'), '');
  while (!has('on')) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await gateway.kill('SIGTERM')).toBe(0);
});
