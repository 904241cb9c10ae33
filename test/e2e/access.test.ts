/**
 * Users and ACLs as people have them: files of mosquitto_passwd here, files of `godwit passwd` in mosquitto, and both
 * brokers' decisions compared.
 */
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  freePort,
  godwit,
  MAIN,
  type Running,
  received,
  runningGateway,
  runningMosquitto,
  scratch,
  subscribed,
} from '../support/process.js';
import { ScramClient } from '../support/scram-client.js';

const run = promisify(execFile);
const children: Running[] = [];
let folder: string;
let remove: () => void;

beforeEach(() => {
  ({ folder, remove } = scratch());
});
afterEach(async () => {
  for (const child of children.splice(0)) await child.kill();
  remove();
});

function keep(child: Running): Running {
  children.push(child);
  return child;
}

/** `godwit passwd` with standard input; its exit code and what it says. */
async function passwd(args: readonly string[], input = ''): Promise<{ code: number | null; errors: string }> {
  const child = keep(godwit(['passwd', ...args]));
  child.process.stdin?.end(input);
  return { code: await child.exit(), errors: child.errors };
}

const path = (name: string): string => join(folder, name);

async function gateway(broker: string): Promise<{ child: Running; port: number }> {
  const port = await freePort();
  writeFileSync(
    path('godwit.yaml'),
    `gateway: { id: g }
journal: { path: ${path('j.db')} }
broker:
  listeners: [{ url: "mqtt://127.0.0.1:${port}" }]
${broker}`,
  );
  return { child: keep(await runningGateway(path('godwit.yaml'))), port };
}

/** mosquitto_pub's exit code: 0, or why it was not let in. */
async function publish(port: number, args: readonly string[]): Promise<number> {
  try {
    await run('mosquitto_pub', ['-p', String(port), '-t', 't', '-m', 'x', ...args]);
    return 0;
  } catch (fault) {
    return (fault as { code: number }).code;
  }
}

describe('godwit passwd', () => {
  test('writes what mosquitto accepts, for its owner alone', async () => {
    expect(await passwd([path('users'), 'alice'], 'a secret with spaces \r\nsecond line\n')).toEqual({
      code: 0,
      errors: '',
    });
    expect(await passwd([path('users'), 'björn'], 'pässword')).toMatchObject({ code: 0 });
    expect(statSync(path('users')).mode & 0o777).toBe(0o600);
    const port = await freePort();
    keep(await runningMosquitto(folder, port, ['allow_anonymous false', `password_file ${path('users')}`]));
    expect(await publish(port, ['-u', 'alice', '-P', 'a secret with spaces '])).toBe(0);
    expect(await publish(port, ['-u', 'björn', '-P', 'pässword'])).toBe(0);
    expect(await publish(port, ['-u', 'alice', '-P', 'a secret'])).not.toBe(0);
  });

  test('changes and removes a user that mosquitto_passwd added, and leaves the rest as it was', async () => {
    execFileSync('mosquitto_passwd', ['-c', '-b', path('users'), 'alice', 'one']);
    execFileSync('mosquitto_passwd', ['-b', path('users'), 'bob', 'two']);
    const bob = readFileSync(path('users'), 'utf8').split('\n')[1];
    writeFileSync(path('users'), `# people\n${readFileSync(path('users'), 'utf8')}`, { mode: 0o640 });
    execFileSync('chmod', ['640', path('users')]);
    symlinkSync(path('users'), path('link'));
    expect(await passwd([path('link'), 'alice'], 'three\n')).toMatchObject({ code: 0 });
    const [comment, alice, same, end] = readFileSync(path('users'), 'utf8').split('\n');
    expect([comment, same, end]).toEqual(['# people', bob, '']);
    expect(alice).toMatch(/^alice:\$7\$4096\$/);
    expect(await passwd(['-D', path('link'), 'alice'])).toMatchObject({ code: 0 });
    expect(readFileSync(path('users'), 'utf8')).toBe(`# people\n${bob}\n`);
    expect(statSync(path('users')).mode & 0o777).toBe(0o640);
  });

  test('says in one sentence what is wrong, and then changes nothing', async () => {
    writeFileSync(path('notes'), 'buy milk\n');
    writeFileSync(path('users'), '');
    expect(await passwd([path('notes'), 'alice'], 'x\n')).toEqual({
      code: 1,
      errors: expect.stringMatching(
        /^godwit: .*notes:1:1: found a line without a colon.*nothing was changed.*\n$/,
      ),
    });
    expect(await passwd(['-D', path('users'), 'alice'])).toEqual({
      code: 1,
      errors: `godwit: there is no user alice in ${path('users')}; nothing was changed\n`,
    });
    expect(await passwd([path('users'), 'alice'], '\n')).toMatchObject({ code: 1 });
    expect(await passwd([path('none/users'), 'alice'], 'x\n')).toMatchObject({ code: 1 });
    expect(await passwd([path('users'), 'a:b'], 'x\n')).toMatchObject({ code: 2 });
    expect(await passwd([path('users')], 'x\n')).toMatchObject({ code: 2 });
    expect(readFileSync(path('notes'), 'utf8')).toBe('buy milk\n');
    expect(readFileSync(path('users'), 'utf8')).toBe('');
  });

  test.each([
    ['the same twice', 'gehe\u007feim\rgeheim\r', 0],
    ['two that differ', 'geheim\rother\r', 1],
    ['nothing, by Ctrl-C', 'geh\u0003', 1],
  ])('on a terminal it asks twice and shows nothing: %s', async (_what, keys, code) => {
    const script = `
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:5] + [sys.argv[5]])
shown = b''
def until(text):
    global shown
    while text not in shown:
        shown += os.read(fd, 1000)
keys = sys.argv[6].encode().split(b'\\r')
until(b'Password for alice: ')
for n, line in enumerate(keys):
    if n == 1: until(b'The same again: ')
    if line: os.write(fd, line + (b'' if line.endswith(b'\\x03') else b'\\r'))
try:
    while True:
        more = os.read(fd, 1000)
        if not more: break
        shown += more
except OSError: pass
print(repr(shown.decode()), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
    const { stdout } = await run('python3', [
      ...['-c', script, process.execPath, MAIN, 'passwd', path('users'), 'alice', keys],
    ]);
    expect(stdout.trim().endsWith(` ${code}`)).toBe(true);
    expect(stdout).not.toMatch(/geh|eim|other(?! )/);
    if (code !== 0) return;
    const { port } = await gateway(`  allow_anonymous: false\n  password_file: users\n`);
    expect(await publish(port, ['-u', 'alice', '-P', 'geheim'])).toBe(0);
  });
});

describe('godwit run', () => {
  test('lets in whom mosquitto_passwd names, gives them what the ACL gives, and takes over other files on SIGHUP', async () => {
    execFileSync('mosquitto_passwd', ['-c', '-b', path('users'), 'alice', 'one']);
    writeFileSync(path('acl'), 'user alice\ntopic readwrite a/#\n');
    const { child, port } = await gateway(
      '  allow_anonymous: false\n  password_file: users\n  acl_file: acl\n',
    );
    for (const version of ['311', '5']) {
      expect(await publish(port, ['-V', version, '-u', 'alice', '-P', 'one'])).toBe(0);
      expect(await publish(port, ['-V', version, '-u', 'alice', '-P', 'two'])).not.toBe(0);
      expect(await publish(port, ['-V', version])).not.toBe(0);
    }
    const alice = ['-u', 'alice', '-P', 'one'];
    const subscriber = keep(await subscribed(port, [...alice, '-V', '5', '-q', '1', '-t', '#']));
    await publish(port, [...alice, '-q', '1', '-t', 'b/x', '-V', '5']);
    await publish(port, [...alice, '-q', '1', '-t', 'a/x']);
    await subscriber.until(() => received(subscriber).length > 0);
    expect(received(subscriber).map(({ topic }) => topic)).toEqual(['a/x']);

    execFileSync('mosquitto_passwd', ['-b', path('users'), 'bob', 'two']);
    writeFileSync(path('acl'), 'user alice\ntopic read b/#\nuser bob\ntopic write #\n');
    child.process.kill('SIGHUP');
    await child.line((line) => line.includes('Configuration was reloaded'));
    expect(child.lines.join('\n')).not.toContain('take effect after a restart');
    await publish(port, ['-u', 'bob', '-P', 'two', '-q', '1', '-t', 'a/x']);
    await publish(port, ['-u', 'bob', '-P', 'two', '-q', '1', '-t', 'b/x']);
    await subscriber.until(() => received(subscriber).length > 1);
    expect(received(subscriber).map(({ topic }) => topic)).toEqual(['a/x', 'b/x']);

    writeFileSync(path('acl'), 'user alice\ntopic raed b/#\n');
    child.process.kill('SIGHUP');
    await child.line((line) => line.includes('acl:2:7: broker.acl_file: found raed, did you mean read?'));
    expect(await publish(port, ['-u', 'bob', '-P', 'two'])).toBe(0);
  });

  test('SCRAM-SHA-256 with mqtt.js, from `godwit passwd --scram`', async () => {
    expect(await passwd(['--scram', path('scram'), 'sam'], 'pencil\n')).toMatchObject({ code: 0 });
    const { port } = await gateway('  allow_anonymous: false\n  scram_file: scram\n');
    const login = async (password: string): Promise<boolean> => {
      const scram = new ScramClient('sam', password);
      const options: IClientOptions = {
        protocolVersion: 5,
        reconnectPeriod: 0,
        manualConnect: true,
        properties: { authenticationMethod: 'SCRAM-SHA-256', authenticationData: scram.first() },
      };
      const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, options);
      client.handleAuth = (packet, answer) => {
        const data = scram.final(packet.properties?.authenticationData ?? Buffer.alloc(0));
        answer(undefined, {
          cmd: 'auth',
          reasonCode: 0x18,
          properties: { authenticationMethod: 'SCRAM-SHA-256', authenticationData: data },
        });
      };
      const outcome = new Promise<boolean>((resolve) => {
        client.once('connect', (connack) => resolve(scram.believes(connack.properties?.authenticationData)));
        client.once('error', () => resolve(false));
        client.once('close', () => resolve(false));
      });
      client.connect();
      const isIn = await outcome;
      await client.endAsync(true);
      return isIn;
    };
    expect(await login('pencil')).toBe(true);
    expect(await login('Pencil')).toBe(false);
  });
});

test('an ACL decides here what it decides in mosquitto', async () => {
  execFileSync('mosquitto_passwd', ['-c', '-b', path('users'), 'alice', 'x']);
  execFileSync('mosquitto_passwd', ['-b', path('users'), 'bob', 'x']);
  execFileSync('mosquitto_passwd', ['-b', path('users'), 'root', 'x']);
  writeFileSync(
    path('acl'),
    `topic read open/#
topic write drop

user alice
topic readwrite a/#
topic deny a/secret/#
topic read +/shared
topic w/o/access

pattern readwrite home/%u/#
pattern deny home/%u/attic
pattern read client/%c
pattern deny a/b

user bob
topic write a/+/in
topic read a/#
topic deny a/x/y
user alice
topic write late
user root
topic readwrite #
pattern readwrite done
`,
  );
  const files = { password_file: path('users'), acl_file: path('acl') };
  const theirs = await freePort();
  // With max_queued_messages 0, mosquitto 2.0.11 closes on a client whose QoS 0 PUBLISH it denies.
  const settings = Object.entries(files).map(([key, file]) => `${key} ${file}`);
  keep(await runningMosquitto(folder, theirs, [...settings, 'max_queued_messages 1000']));
  const { port: ours } = await gateway(
    Object.entries(files)
      .map(([key, file]) => `  ${key}: ${file}\n`)
      .join(''),
  );
  const topics = [
    ...['open/x', 'open', 'drop', 'a', 'a/b', 'a/secret', 'a/secret/x', 'x/shared', 'a/shared', 'w/o/access'],
    ...['home/alice', 'home/alice/x', 'home/alice/attic', 'home/bob/x', 'client/c-alice', 'client/c-bob'],
    ...['a/x/in', 'a/x/y', 'late', 'nowhere', 'client/c-nobody'],
  ];
  const connect = (port: number, name: string | undefined): Promise<MqttClient> =>
    mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      protocolVersion: 4,
      clientId: `c-${name ?? 'nobody'}`,
      ...(name === undefined ? {} : { username: name, password: 'x' }),
    });
  /** Which of the topics come from one to the other, who both may use `done`. */
  const carried = async (from: MqttClient, to: MqttClient): Promise<string[]> => {
    const heard: string[] = [];
    const done = new Promise<void>((resolve) => {
      to.on('message', (topic) => {
        if (topic === 'done') resolve();
        // The gateway's own status is retained here.
        else if (topics.includes(topic)) heard.push(topic);
      });
    });
    await to.subscribeAsync('#');
    for (const topic of [...topics, 'done']) await from.publishAsync(topic, 'x');
    await done;
    to.removeAllListeners('message');
    await to.unsubscribeAsync('#');
    return heard;
  };
  const decide = async (port: number): Promise<Record<string, string[]>> => {
    const root = await connect(port, 'root');
    const decisions: Record<string, string[]> = {};
    for (const name of ['alice', 'bob', undefined]) {
      const client = await connect(port, name);
      decisions[`${name} writes`] = await carried(client, root);
      decisions[`${name} reads`] = await carried(root, client);
      await client.endAsync();
    }
    await root.endAsync();
    return decisions;
  };
  const here = await decide(ours);
  expect(here).toEqual(await decide(theirs));
  for (const decided of Object.values(here)) {
    expect(decided.length).toBeGreaterThan(0);
    expect(decided.length).toBeLessThan(topics.length);
  }
});
