import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Command, CommandEnd } from '../../../src/bridge/command.js';
import { type Answer, Credentials, type CredentialsOptions } from '../../../src/bridge/credentials.js';
import { SaidLog } from '../../support/bridge-bench.js';
import { FakeClock } from '../../support/fake-clock.js';

function world(options: Partial<CredentialsOptions>) {
  const clock = new FakeClock();
  const log = new SaidLog();
  const runs: { readonly command: Command; readonly ended: (end: CommandEnd) => void }[] = [];
  let stopped = 0;
  const credentials = new Credentials({
    bridge: 'cloud',
    gatewayId: 'well-17',
    username: 'well-17',
    password: undefined,
    file: undefined,
    command: undefined,
    maxAgeMs: 0,
    folder: '/etc/godwit',
    headers: {},
    run: (command, ended) => {
      runs.push({ command, ended });
      return () => {
        stopped += 1;
      };
    },
    clock,
    log,
    ...options,
  });
  const answers: Answer[] = [];
  return {
    credentials,
    clock,
    log,
    runs,
    answers,
    stops: () => stopped,
    ask: () => credentials.get((answer) => answers.push(answer)),
    write: (text: string) => runs.at(-1)?.ended({ kind: 'done', output: Buffer.from(text) }),
    /** What each answer was: a password, nothing, or why not. */
    told: () =>
      answers.map((answer) => (answer.kind === 'fault' ? answer.fault.sentence : (answer.password ?? null))),
  };
}

test('a fixed password, or none, is there at once', () => {
  const fixed = world({ password: 'sesame' });
  fixed.ask();
  expect(fixed.told()).toEqual(['sesame']);
  const none = world({});
  none.ask();
  expect(none.told()).toEqual([null]);
});

describe('password_command', () => {
  const command = ['token', '--for', 'well-17'];

  test('is run as it is written, and its first line is the password', () => {
    const { ask, runs, told, write } = world({ command });
    ask();
    expect(told()).toEqual([]);
    expect(runs[0]?.command).toMatchObject({
      argv: command,
      folder: '/etc/godwit',
      environment: { GODWIT_BRIDGE: 'cloud', GODWIT_GATEWAY: 'well-17' },
    });
    write('sesame open\r\nexpires soon\n');
    expect(told()).toEqual(['sesame open']);
  });

  test('is run again for the next attempt, and once for all that one attempt asks', () => {
    const { ask, clock, runs, told, write } = world({ command });
    ask();
    write('first\n');
    ask();
    expect(runs).toHaveLength(1);
    clock.advance(10_000);
    ask();
    write('second\n');
    expect(told()).toEqual(['first', 'first', 'second']);
  });

  test('its output is used for password_max_age, unless the server refuses it', () => {
    const { ask, clock, credentials, runs, told, write } = world({ command, maxAgeMs: 3_600_000 });
    ask();
    write('first\n');
    clock.advance(3_599_999);
    ask();
    expect(runs).toHaveLength(1);
    credentials.refused();
    ask();
    write('second\n');
    clock.advance(3_600_000);
    ask();
    write('third\n');
    expect(told()).toEqual(['first', 'first', 'second', 'third']);
  });

  test('two that ask at once wait for one run', () => {
    const { ask, runs, told, write } = world({ command });
    ask();
    ask();
    expect(runs).toHaveLength(1);
    write('sesame');
    expect(told()).toEqual(['sesame', 'sesame']);
  });

  test.each([
    ['', 'password_command wrote an empty first line; its first line must be the password'],
    ['\nsecond', 'password_command wrote an empty first line; its first line must be the password'],
    [
      'x'.repeat(65_536),
      'password_command wrote a first line of more than 65535 bytes, which MQTT cannot carry; its first line must be the password',
    ],
  ])('output that is no password is a fault: %#', (output, sentence) => {
    const { answers, ask, write } = world({ command });
    ask();
    write(output);
    expect(answers).toEqual([{ kind: 'fault', fault: { kind: 'password', sentence } }]);
  });

  test('one that fails is a fault, and is run again the next time', () => {
    const { ask, runs, told, write } = world({ command });
    ask();
    runs[0]?.ended({ kind: 'failed', why: 'ended with status 1: no token today' });
    ask();
    write('sesame');
    expect(told()).toEqual(['password_command ended with status 1: no token today', 'sesame']);
  });

  test('a stop ends it, and nobody is told', () => {
    const { ask, credentials, stops, told, write } = world({ command });
    ask();
    credentials.stop();
    expect(stops()).toBe(1);
    write('sesame');
    expect(told()).toEqual([]);
  });

  test('neither the log nor a sentence holds what it wrote', () => {
    const { answers, ask, log, write } = world({ command });
    ask();
    write(`\u0000${'s3cret'.repeat(20_000)}`);
    expect(JSON.stringify([answers, log.said])).not.toContain('s3cret');
  });
});

describe('password_file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'godwit-password-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('is read for each attempt; where it cannot be, the password that it had last is used, and that is said once', () => {
    const file = join(folder, 'password');
    const { ask, log, told } = world({ file, password: 'as it was at the start' });
    ask();
    ask();
    writeFileSync(file, 'second\n');
    ask();
    writeFileSync(file, '\n');
    ask();
    writeFileSync(file, 'third\n');
    ask();
    expect(told()).toEqual(['as it was at the start', 'as it was at the start', 'second', 'second', 'third']);
    expect(log.said.map(({ level, fields }) => [level, 'reason' in fields && fields.reason])).toEqual([
      ['warn', 'there is no such file'],
      ['info', false],
      ['warn', 'an empty first line'],
      ['info', false],
    ]);
  });
});

describe('{password} in headers', () => {
  const headers = { Authorization: 'Bearer {password}', 'X-Tenant': '7' };

  test('is replaced, and the password is in CONNECT only beside a username', () => {
    const gateway = world({ headers, password: 'a$&b', username: undefined });
    gateway.ask();
    expect(gateway.answers).toEqual([
      {
        kind: 'credentials',
        password: undefined,
        headers: { Authorization: 'Bearer a$&b', 'X-Tenant': '7' },
      },
    ]);
    const both = world({ headers, password: 'sesame' });
    both.ask();
    expect(both.told()).toEqual(['sesame']);
  });

  test('one that no header can carry is a fault, which does not show it', () => {
    const { ask, told } = world({ headers, password: 'grün\r\nX: y' });
    ask();
    expect(told()).toEqual(['the password cannot stand in a header: it must be printable ASCII']);
  });
});
