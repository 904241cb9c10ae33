/** The link on a fake clock: what it asks for before it dials, what it waits for, and what it shows of that. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BridgeOptions } from '../../../src/bridge/bridge-options.js';
import { CertificateTimeError } from '../../../src/bridge/certificate-fault.js';
import type { CommandEnd, RunCommand } from '../../../src/bridge/command.js';
import { ReasonCode } from '../../../src/mqtt/reason-code.js';
import { InlineStorage } from '../../../src/storage/inline-storage.js';
import { BridgeBench } from '../../support/bridge-bench.js';
import { Authority } from '../../support/certificates.js';
import { FakeClock } from '../../support/fake-clock.js';
import { ScriptedServer } from '../../support/scripted-server.js';

let folder: string;
let clock: FakeClock;
let server: ScriptedServer;
let made: BridgeBench;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-link-'));
  clock = new FakeClock({ monotonicMs: 1000 });
  server = new ScriptedServer();
});

afterEach(async () => {
  const stopped = made.bridge.stop();
  await clock.advanceAsync(6000);
  await stopped;
  await made.storage.stop();
  expect(clock.waiting).toBe(0);
  rmSync(folder, { recursive: true, force: true });
});

async function start(config: object, options: Partial<BridgeOptions> = {}): Promise<void> {
  const storage = new InlineStorage({ path: join(folder, 'journal.db'), clock });
  await storage.start();
  made = new BridgeBench(storage, config, { clock, dial: server.dial, ...options });
  await made.bridge.start();
  await settle();
}

async function settle(turns = 30): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const passwords = (): (string | undefined)[] =>
  server.packets('connect').map(({ password }) => password && Buffer.from(password).toString());

/** A program whose runs a test ends. */
class Program {
  readonly runs: ((end: CommandEnd) => void)[] = [];
  stopped = 0;
  readonly run: RunCommand = (_command, ended) => {
    this.runs.push(ended);
    return () => {
      this.stopped += 1;
    };
  };

  async writes(text: string): Promise<void> {
    this.runs.at(-1)?.({ kind: 'done', output: Buffer.from(text) });
    await settle();
  }
}

describe('password_command', () => {
  const config = { username: 'u', password_command: ['token'] };

  test('nothing is dialled before the password is there; both connections of the first attempt carry it', async () => {
    const program = new Program();
    await start(config, { runCommand: program.run });
    expect(server.dialled).toEqual([]);
    expect(made.bridge.snapshot().state).toBe('connecting');
    await program.writes('sesame\n');
    expect(passwords()).toEqual(['sesame', 'sesame']);
    expect(program.runs).toHaveLength(1);
    expect(made.bridge.snapshot().state).toBe('connected');
  });

  test('a refused password is fetched again, whatever its age', async () => {
    const program = new Program();
    server.refusal = ReasonCode.badUserNameOrPassword;
    await start({ ...config, password_max_age: '1d' }, { runCommand: program.run });
    await program.writes('old');
    server.refusal = undefined;
    await clock.advanceAsync(10_000);
    await program.writes('new');
    expect(passwords()).toEqual(['old', 'new', 'new']);
    expect(made.bridge.snapshot().state).toBe('connected');
  });

  test('where there is none, no server is tried, and the wait is a whole one', async () => {
    const program = new Program();
    await start(
      { ...config, servers: ['mqtt://one', 'mqtt://two'], backoff: { min: '20s', max: '20s' } },
      { runCommand: program.run },
    );
    program.runs[0]?.({ kind: 'failed', why: 'ended with status 1' });
    await settle();
    expect(made.bridge.snapshot()).toMatchObject({
      state: 'waiting',
      fault: 'password',
      reason: 'password_command ended with status 1',
      attempts: 1,
      nextAttempt: clock.wallMs() + 20_000,
    });
    await clock.advanceAsync(19_999);
    expect(program.runs).toHaveLength(1);
    await clock.advanceAsync(1);
    expect(program.runs).toHaveLength(2);
    await program.writes('sesame');
    expect(new Set(server.dialled).size).toBe(1);
  });

  test('a stop while it runs ends it', async () => {
    const program = new Program();
    await start(config, { runCommand: program.run });
    await made.bridge.stop();
    expect(program.stopped).toBe(1);
    await program.writes('sesame');
    expect(server.dialled).toEqual([]);
  });

  test('the way back to the first server asks for it too', async () => {
    const program = new Program();
    server.dialFault = (url) => (url === 'mqtt://one' ? new Error('away') : undefined);
    await start(
      { ...config, servers: ['mqtt://one', 'mqtt://two'], return_after: '1h' },
      { runCommand: program.run },
    );
    await program.writes('first');
    await clock.advanceAsync(100);
    await settle();
    expect(made.bridge.snapshot()).toMatchObject({ state: 'connected', server: 'mqtt://two' });
    server.dialFault = undefined;
    await clock.advanceAsync(3_600_000);
    await program.writes('second');
    await clock.advanceAsync(100);
    await settle();
    expect(made.bridge.snapshot()).toMatchObject({ state: 'connected', server: 'mqtt://one' });
  });
});

describe('a wait is cut short', () => {
  const backoff = { min: '10m', max: '10m' };

  test('when the clock is set past the time from which the certificate is valid', async () => {
    const fromMs = clock.wallMs() + 86_400_000;
    const validity = { authority: undefined, fromMs, toMs: fromMs + 1e10 };
    server.dialFault = () =>
      clock.wallMs() < fromMs
        ? new CertificateTimeError('CERT_NOT_YET_VALID', validity, clock.wallMs())
        : undefined;
    await start({ servers: ['mqtts://server'], backoff });
    expect(made.bridge.snapshot()).toMatchObject({ state: 'waiting', fault: 'clock' });
    await clock.advanceAsync(30_000);
    expect(server.dialled).toHaveLength(1);
    clock.setWallMs(fromMs + 1000);
    await clock.advanceAsync(5000);
    await settle();
    expect(made.bridge.snapshot().state).toBe('connected');
  });

  test('when the network has got an address', async () => {
    const addresses = new Set<string>();
    server.dialFault = () =>
      addresses.size === 0 ? Object.assign(new Error('x'), { code: 'ENETUNREACH' }) : undefined;
    await start({ backoff }, { network: () => new Set(addresses) });
    await clock.advanceAsync(30_000);
    expect(made.bridge.snapshot()).toMatchObject({ state: 'waiting', fault: 'unreachable' });
    addresses.add('wwan0 10.0.0.2');
    await clock.advanceAsync(5000);
    await settle();
    expect(made.bridge.snapshot().state).toBe('connected');
  });
});

test('a client certificate that has expired is named where the server only hangs up', async () => {
  const authority = await Authority.make();
  const tls = await authority.sign('well-17', { notAfter: new Date('2024-01-01T00:00:00Z') });
  server.dialFault = () => Object.assign(new Error('reset'), { code: 'ECONNRESET' });
  await start({ servers: ['mqtts://server'] }, { secrets: { tls } });
  expect(made.bridge.snapshot().reason).toMatch(
    /was cut \(ECONNRESET\); tls\.cert is valid from 2020-01-01T00:00:00Z to 2024-01-01T00:00:00Z, and this clock says 2026-11-20T/,
  );
});

test.each([
  [ReasonCode.notAuthorized, '; check the credentials and what the server allows them'],
  [ReasonCode.topicNameInvalid, '; it does not take the topic of the Will; set status to'],
  [ReasonCode.serverUnavailable, '; it is tried again'],
])('a refusal with 0x%x says what to do', async (refusal, words) => {
  server.refusal = refusal;
  await start({});
  expect(made.bridge.snapshot()).toMatchObject({ fault: 'not-accepted' });
  expect(made.bridge.snapshot().reason).toContain(words);
});

test('sessions are counted, and the address is shown where the transport knows it', async () => {
  await start({});
  expect(made.bridge.snapshot()).toMatchObject({ state: 'connected', sessions: 1 });
  server.last.close();
  await settle();
  expect(made.bridge.snapshot()).toMatchObject({ attempts: 1, fault: 'closed' });
  await clock.advanceAsync(2000);
  await settle();
  expect(made.bridge.snapshot()).toMatchObject({ state: 'connected', sessions: 2 });
  expect(made.bridge.snapshot().attempts).toBeUndefined();
});
