import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseAclFile } from '../../../src/config/acl-file.js';
import { describeConfig } from '../../../src/config/describe.js';
import { type AccessFiles, loadConfig } from '../../../src/config/load.js';
import type { ConfigError } from '../../../src/config/parse.js';
import { parsePasswordFile, passwordLine } from '../../../src/config/password-file.js';
import { userNameProblem, withUserLine } from '../../../src/config/user-lines.js';
import { GodwitError } from '../../../src/core/error.js';
import { configOf } from './fixtures.js';

const HASH = `${'A'.repeat(86)}==`;
const SEVEN = `alice:$7$101$AAAA$${HASH}`;
const SIX = `bob:$6$AAAA$${HASH}`;
const KEY = `${'B'.repeat(43)}=`;
const SCRAM = `alice:SCRAM-SHA-256$4096:AAAA$${KEY}:${KEY}`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-access-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function load(files: Record<string, string | Buffer>, broker = Object.keys(files)): AccessFiles | string[] {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const keys = broker.map((name) => `${name}_file: ${name}`).join(', ');
  const file = join(folder, 'f.yaml');
  writeFileSync(file, `gateway: { id: a }\nbroker: { ${keys} }\n`);
  try {
    return loadConfig(file, {}).access ?? {};
  } catch (fault) {
    expect(fault).toBeInstanceOf(GodwitError);
    const errors = (fault as GodwitError).fields.errors as ConfigError[];
    return errors.map(({ line }) => line.replaceAll(folder, 'DIR'));
  }
}

test('the three files are read with the configuration', () => {
  const access = load({ password: `${SEVEN}\n${SIX}\n`, scram: SCRAM, acl: 'topic read a' }) as AccessFiles;
  expect([...(access.passwords?.keys() ?? [])]).toEqual(['alice', 'bob']);
  expect([...(access.scram?.keys() ?? [])]).toEqual(['alice']);
  expect(access.acl?.anonymous).toEqual([{ access: 'read', topicFilter: 'a' }]);
  expect(load({ password: '', scram: '# none yet\n', acl: '' })).toMatchObject({ acl: { patterns: [] } });
});

test('a file that is not there is an error at its key, one with mistakes at its lines, all at once', () => {
  expect(
    load({ acl: 'topc read a\ntopic reed a\ntopic read a#', scram: 'x' }, ['password', 'scram', 'acl']),
  ).toEqual([
    'DIR/acl:1:1: broker.acl_file: found topc, did you mean topic? allowed: user, topic or pattern',
    'DIR/acl:2:7: broker.acl_file: found reed, did you mean read? allowed: read, write, readwrite or deny',
    'DIR/acl:3:12: broker.acl_file: found "a#", allowed: a topic filter; + and # stand for whole levels, # at the end',
    'DIR/f.yaml:2:26: broker.password_file: found DIR/password, but there is no such file',
    expect.stringMatching(
      /^DIR\/scram:1:1: broker\.scram_file: found a line without a colon, allowed: user:SCRAM-SHA-256\$/,
    ),
  ]);
});

test('bytes that are no text are refused where they stand', () => {
  expect(load({ acl: Buffer.from([0x23, 0x0a, 0x61, 0xff]) })).toEqual([
    'DIR/acl:2:2: broker.acl_file: found a byte that is not UTF-8, allowed: UTF-8',
  ]);
  expect(load({ password: Buffer.from([0x61, 0]) })).toEqual([
    'DIR/password:1:1: broker.password_file: found a NUL byte, allowed: lines of text',
  ]);
});

test('a password that stands there unhashed is never repeated', () => {
  const errors = load({ password: 'alice:hunter2\nhunter3\n' }) as string[];
  expect(errors).toEqual([
    'DIR/password:1:7: broker.password_file: found something else after the colon, allowed: user:$7$… or user:$6$…, as `godwit passwd` and mosquitto_passwd write them',
    'DIR/password:2:1: broker.password_file: found a line without a colon, allowed: user:$7$… or user:$6$…, as `godwit passwd` and mosquitto_passwd write them',
  ]);
});

describe('password files', () => {
  test.each([
    ['another kind', `a:$5$101$AAAA$${HASH}`],
    ['no iterations', `a:$7$0$AAAA$${HASH}`],
    ['iterations for a day', `a:$7$99999999$AAAA$${HASH}`],
    ['no number', `a:$7$1e3$AAAA$${HASH}`],
    ['a field too few', `a:$7$101$${HASH}`],
    ['a field too many', `a:$6$AAAA$${HASH}$x`],
    ['a salt that is no Base64', `a:$6$A-A=$${HASH}`],
    ['no salt', `a:$6$$${HASH}`],
    ['a short hash', 'a:$6$AAAA$AAAA'],
    ['nothing', 'a:'],
    ['no user', `:$6$AAAA$${HASH}`],
  ])('%s is a mistake', (_what, line) => {
    const { users, problems } = parsePasswordFile(`\n${line}`);
    expect([users.size, problems.map(({ position }) => position.line)]).toEqual([0, [2]]);
  });

  test('a user twice is a mistake: nobody knows which password counts', () => {
    expect(parsePasswordFile(`${SEVEN}\n${SEVEN}`).problems).toEqual([
      { position: { line: 2, column: 1 }, message: 'found this user a second time, the first is in line 1' },
    ]);
  });

  test('Windows line ends and spaces at the ends are as mosquitto takes them', () => {
    expect([...parsePasswordFile(`\ufeff${SEVEN} \r\n ${SIX}\r\n`).users.keys()]).toEqual(['alice', 'bob']);
  });

  test('what is parsed is written as it was', () => {
    for (const line of [SEVEN, SIX]) {
      const [entry] = parsePasswordFile(line).users;
      expect(passwordLine(...entry!)).toBe(line);
    }
  });

  test('a hopeless file costs no more than so many errors', () => {
    expect(parsePasswordFile('x\n'.repeat(100_000)).problems).toHaveLength(500);
    expect(parseAclFile('x\n'.repeat(100_000)).problems).toHaveLength(500);
  });
});

describe('changing one line', () => {
  const text = '# people\nalice:1\n\nbob:2\n';
  test.each([
    ['bob', 'bob:3', '# people\nalice:1\n\nbob:3\n'],
    ['carol', 'carol:3', '# people\nalice:1\n\nbob:2\ncarol:3\n'],
    ['alice', undefined, '# people\n\nbob:2\n'],
    ['carol', undefined, undefined],
    ['# people', undefined, undefined],
  ])('%s to %s leaves the rest as it is', (user, line, expected) => {
    expect(withUserLine(text, user, line)).toBe(expected);
  });

  test('a file without a last newline gets one, an empty one begins', () => {
    expect(withUserLine('a:1', 'b', 'b:2')).toBe('a:1\nb:2\n');
    expect(withUserLine('', 'b', 'b:2')).toBe('b:2\n');
  });

  test.each([['', 'a:b', '#a', ' a', 'a\nb', 'a\u0000']])('%j is no user name', (user) => {
    expect(userNameProblem(user)).toBeDefined();
  });
});

describe('ACL files', () => {
  test('sections, patterns, comments, and spaces in filters', () => {
    const { anonymous, users, patterns, problems } = parseAclFile(
      'topic a\n# user x\nuser alice smith\ntopic   read  b c/#\r\npattern write %u/+\nuser bob\nuser alice smith\ntopic deny d\n',
    );
    expect(problems).toEqual([]);
    expect(anonymous).toEqual([{ access: 'readwrite', topicFilter: 'a' }]);
    expect(Object.fromEntries(users)).toEqual({
      'alice smith': [
        { access: 'read', topicFilter: 'b c/#' },
        { access: 'deny', topicFilter: 'd' },
      ],
      bob: [],
    });
    expect(patterns).toEqual([{ access: 'write', topicFilter: '%u/+' }]);
  });

  test.each([
    ['user', '1:1', 'found user and nothing after it, needed: a user name'],
    [
      'topic',
      '1:1',
      'found topic and nothing after it, needed: read, write, readwrite or deny, and a topic filter',
    ],
    ['topic a b', '1:7', 'found a, allowed: read, write, readwrite or deny'],
    ['Topic read a', '1:1', 'found Topic, did you mean topic? allowed: user, topic or pattern'],
    [
      'topic read a/#/b',
      '1:12',
      'found "a/#/b", allowed: a topic filter; + and # stand for whole levels, # at the end',
    ],
  ])('%j', (line, place, message) => {
    const { problems } = parseAclFile(line);
    expect(problems.map((one) => [`${one.position.line}:${one.position.column}`, one.message])).toEqual([
      [place, message],
    ]);
  });
});

describe('who may connect', () => {
  const broker = (keys: string): string => `gateway: { id: a }\nbroker: { ${keys} }\n`;
  test('with users, a listener that others can reach is fine, and nobody is anonymous there', () => {
    for (const key of ['password_file', 'scram_file']) {
      const config = configOf(broker(`listeners: [{ url: "mqtt://0.0.0.0" }], ${key}: x`));
      expect(config.broker.allow_anonymous).toBe(false);
      expect(describeConfig(config).warnings).toEqual([]);
    }
  });

  test('on loopback clients without a name come in too, which is worth a word', () => {
    const config = configOf(broker('password_file: x'));
    expect(config.broker.allow_anonymous).toBe(true);
    expect(describeConfig(config).warnings).toEqual([
      'clients without a user name may connect to the broker too; broker.allow_anonymous: false refuses them',
    ]);
    expect(describeConfig(configOf(broker('password_file: x, allow_anonymous: false'))).warnings).toEqual([]);
  });
});
