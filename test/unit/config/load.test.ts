import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { generate } from 'selfsigned';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LoadedConfig, loadConfig } from '../../../src/config/load.js';
import type { ConfigError } from '../../../src/config/parse.js';
import { GodwitError } from '../../../src/core/error.js';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-load-'));
  file = join(folder, 'f.yaml');
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** What `godwit check` would print, with FILE and DIR in place of the temporary names. */
function errorLines(environment: Record<string, string> = {}, path = file): string[] {
  try {
    loadConfig(path, environment);
    return [];
  } catch (fault) {
    expect(fault).toBeInstanceOf(GodwitError);
    expect((fault as GodwitError).code).toBe('CONFIG');
    const errors = (fault as GodwitError).fields.errors as ConfigError[];
    return errors.map(({ line }) => line.replaceAll(file, 'FILE').replaceAll(folder, 'DIR'));
  }
}

function load(yaml: string, environment: Record<string, string> = {}): LoadedConfig {
  writeFileSync(file, yaml);
  return loadConfig(file, environment);
}

describe('the file itself', () => {
  test('one that is not there is a configuration error', () => {
    expect(errorLines()).toEqual([
      'FILE:1:1: the configuration cannot be read: there is no such file; name another with -c FILE',
    ]);
  });

  test('a directory is none', () => {
    expect(errorLines({}, folder)).toEqual([
      'DIR:1:1: the configuration cannot be read: it is a directory, not a file; name another with -c FILE',
    ]);
  });

  test('a named pipe is not waited for', () => {
    execFileSync('mkfifo', [file]);
    expect(errorLines()).toEqual([
      'FILE:1:1: the configuration cannot be read: it is a device, a pipe or a socket, not a file; name another with -c FILE',
    ]);
  });

  test.skipIf(process.getuid?.() === 0)('one that may not be read says so', () => {
    writeFileSync(file, 'gateway: { id: a }', { mode: 0 });
    expect(errorLines()[0]).toContain('permission denied');
  });

  test('an empty one is an error', () => {
    writeFileSync(file, '');
    expect(errorLines()).toEqual(['FILE:1:1: the file is empty, needed: at least gateway with its id']);
  });

  test('a byte that is not UTF-8 is found where it stands', () => {
    writeFileSync(file, Buffer.from('gateway:\n  id: \u00e9\ufffdl\xff\n', 'latin1'));
    expect(errorLines()[0]).toMatch(/^FILE:2:\d+: found a byte that is not UTF-8, allowed: UTF-8$/);
    writeFileSync(file, Buffer.concat([Buffer.from('a: 1\nb: \u00e9\ufffd'), Buffer.from([0xff, 0x41])]));
    expect(errorLines()[0]).toMatch(/^FILE:2:6: /);
  });

  test('UTF-16 is named', () => {
    writeFileSync(file, Buffer.from('\ufeffgateway: { id: a\u00e9 }', 'utf16le'));
    expect(errorLines()).toEqual(['FILE:1:1: found UTF-16, allowed: UTF-8; save it as that']);
  });

  test('one that is too large is not read', () => {
    writeFileSync(file, Buffer.alloc(4 * 1024 * 1024 + 1, '#'));
    expect(errorLines()[0]).toContain('more than the 4194304 allowed');
  });
});

describe('the journal', () => {
  test('is beside the file, or where systemd keeps state', () => {
    expect(load('gateway: { id: a }')).toMatchObject({
      folder,
      journalPath: join(folder, 'data/journal.db'),
    });
    expect(load('gateway: { id: a }', { STATE_DIRECTORY: '/s/one:/s/two' }).journalPath).toBe(
      '/s/one/data/journal.db',
    );
    expect(
      load('gateway: { id: a }\njournal: { path: /x/j.db }', { STATE_DIRECTORY: '/s' }).journalPath,
    ).toBe('/x/j.db');
  });

  test('is found from wherever the command is run', () => {
    writeFileSync(file, 'gateway: { id: a }');
    expect(loadConfig(relative(process.cwd(), file), {}).journalPath).toBe(join(folder, 'data/journal.db'));
  });

  test('in a folder too deep for the socket is refused', () => {
    const deep = 'd'.repeat(107 - folder.length - '/'.length - '/godwit.sock'.length);
    expect(load(`gateway: { id: a }\njournal: { path: ${deep}/j.db }`).journalPath).toContain(deep);
    writeFileSync(file, `gateway: { id: a }\njournal: { path: ${deep}d/j.db }`);
    expect(errorLines()).toEqual([
      `FILE:2:18: journal.path: found a folder so deep that the socket in it, DIR/${deep}d/godwit.sock, has 108 bytes, allowed: 107; choose a shorter path`,
    ]);
  });

  test('cannot be a folder or the socket', () => {
    writeFileSync(file, 'gateway: { id: a }\njournal: { path: . }');
    expect(errorLines()).toEqual(['FILE:2:18: journal.path: found a directory, allowed: the path of a file']);
    writeFileSync(file, 'gateway: { id: a }\njournal: { path: godwit.sock }');
    expect(errorLines()[0]).toContain('which is the name of the socket');
  });
});

describe('files that bridges name', () => {
  const yaml = (keys: string): string => `gateway: { id: a }
bridges:
  up:
    servers: ["mqtts://up"]
    username: u
    ${keys}
`;

  test('are read, relative to the configuration', async () => {
    const pair = await generate([{ name: 'commonName', value: 'x' }], { keySize: 2048 });
    mkdirSync(join(folder, 'tls'));
    writeFileSync(join(folder, 'tls/c.crt'), pair.cert);
    writeFileSync(join(folder, 'tls/c.key'), pair.private);
    writeFileSync(join(folder, 'pw'), 's3cret with blanks \r\nsecond line\n');
    const { secrets } = load(
      yaml('{ tls: { ca: tls/c.crt, cert: tls/c.crt, key: tls/c.key }, password_file: pw }').replace(
        /\{ (tls: \{.*?\}), (password_file: pw) \}/,
        '$1\n    $2',
      ),
    );
    expect(secrets.bridges.up?.password).toBe('s3cret with blanks ');
    expect(secrets.bridges.up?.ca?.toString()).toBe(pair.cert);
    expect(secrets.bridges.up?.cert?.toString()).toBe(pair.cert);
    expect(secrets.bridges.up?.key?.toString()).toBe(pair.private);
  });

  test('are errors at their keys, together with all others', async () => {
    const [one, two] = await Promise.all(
      ['one', 'two'].map((value) => generate([{ name: 'commonName', value }], { keySize: 2048 })),
    );
    writeFileSync(join(folder, 'one.crt'), one?.cert ?? '');
    writeFileSync(join(folder, 'two.key'), two?.private ?? '');
    writeFileSync(
      join(folder, 'broken.crt'),
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    );
    writeFileSync(join(folder, 'locked.key'), '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n');
    writeFileSync(join(folder, 'empty'), '');
    writeFileSync(join(folder, 'blank'), '\nsecret on the second line');
    writeFileSync(
      file,
      `gateway: { id: a b }
bridges:
  a: { servers: ["mqtts://up"], tls: { ca: nowhere.crt, cert: one.crt, key: two.key } }
  b: { servers: ["mqtts://b"], tls: { ca: two.key, cert: broken.crt, key: locked.key }, password_file: . }
  c: { servers: ["mqtts://c"], tls: { ca: empty, cert: one.crt, key: one.crt }, password_file: blank }
  d: { servers: ["mqtts://d"], password_file: "x\\0y" }
`,
    );
    const lines = errorLines();
    expect(
      lines.map((line) => line.replace(/(cannot be read|readable private key): .*?(, needed|$)/, '$1$2')),
    ).toEqual([
      'FILE:1:16: gateway.id: found a b, allowed: 1 to 64 of A-Z a-z 0-9 . _ -',
      'FILE:3:44: bridges.a.tls.ca: found DIR/nowhere.crt, but there is no such file',
      'FILE:3:77: bridges.a.tls.key: found a key of another certificate, allowed: the private key of tls.cert',
      'FILE:4:43: bridges.b.tls.ca: found a file without a certificate, needed: PEM with -----BEGIN CERTIFICATE-----',
      'FILE:4:58: bridges.b.tls.cert: found a certificate that cannot be read',
      'FILE:4:75: bridges.b.tls.key: found a key with a passphrase, allowed: a key without one (openssl pkey -in KEY -out PLAIN)',
      'FILE:4:104: bridges.b.password_file: found DIR, but it is a directory, not a file',
      'FILE:5:43: bridges.c.tls.ca: found DIR/empty, but it is empty',
      'FILE:5:70: bridges.c.tls.key: found a file without a readable private key, needed: PEM with -----BEGIN PRIVATE KEY-----',
      'FILE:5:96: bridges.c.password_file: found a file with an empty first line, needed: the password in its first line',
      expect.stringMatching(
        /^FILE:6:47: bridges\.d\.password_file: found DIR\/x\\u0000y, but it cannot be read/,
      ),
    ]);
  });

  test('are left alone by commands that only speak to a running gateway', () => {
    writeFileSync(file, yaml('password_file: nowhere'));
    expect(errorLines()).toHaveLength(1);
    const loaded = loadConfig(file, {}, { only: ['gateway', 'journal'] });
    expect(loaded.journalPath).toBe(join(folder, 'data/journal.db'));
    expect(loaded.secrets).toEqual({ bridges: {}, listeners: [] });
  });
});

describe('programs that bridges name', () => {
  const yaml = (bridge: string): string =>
    `gateway: { id: a }\nbridges:\n  c: { servers: ["mqtt://up"], ${bridge} }\n`;

  test('are looked for where they will be run: beside the configuration, or in $PATH', () => {
    writeFileSync(join(folder, 'token'), '#!/bin/sh\n', { mode: 0o755 });
    load(yaml('password_command: [./token], on_down: { command: [token] }'), { PATH: `/nowhere:${folder}` });
  });

  test.each([
    ['[./token]', 'FILE:3:51: bridges.c.password_command[0]: found DIR/token, but there is no such file'],
    [
      '[./locked]',
      'FILE:3:51: bridges.c.password_command[0]: found DIR/locked, but it may not be executed (chmod +x)',
    ],
    ['[/]', 'FILE:3:51: bridges.c.password_command[0]: found /, but it is a directory, not a program'],
    [
      '[token]',
      'FILE:3:51: bridges.c.password_command[0]: found token, but no folder of $PATH has such a program',
    ],
    [
      '["token --for a"]',
      'FILE:3:51: bridges.c.password_command[0]: found token --for a, but no folder of $PATH has such a program; the program and each argument are items of the list',
    ],
  ])('%s is an error at its place', (command, line) => {
    writeFileSync(join(folder, 'locked'), '', { mode: 0o644 });
    writeFileSync(file, yaml(`password_command: ${command}`));
    expect(errorLines({ PATH: '/nowhere:/usr/bin' })).toEqual([line]);
  });
});

describe('files that listeners name', () => {
  test('are read, relative to the configuration, each for its listener', async () => {
    const pair = await generate([{ name: 'commonName', value: 'x' }], { keySize: 2048 });
    writeFileSync(join(folder, 'c.crt'), pair.cert);
    writeFileSync(join(folder, 'c.key'), pair.private);
    const { secrets } = load(`gateway: { id: a }
broker:
  listeners:
    - url: mqtt://127.0.0.1:0
    - { url: "mqtts://127.0.0.1:0", cert: c.crt, key: c.key }
    - { url: "wss://127.0.0.1:0/mqtt", cert: c.crt, key: c.key, client_ca: c.crt }
`);
    const [tcp, tls, wss] = secrets.listeners;
    expect(tcp).toBeUndefined();
    expect(tls?.cert.toString()).toBe(pair.cert);
    expect(tls?.key.toString()).toBe(pair.private);
    expect(tls?.clientCa).toBeUndefined();
    expect(wss?.clientCa?.toString()).toBe(pair.cert);
  });

  test('are errors at their keys, also where only OpenSSL objects', async () => {
    const [one, two, weak] = await Promise.all([
      generate([{ name: 'commonName', value: 'one' }], { keySize: 2048 }),
      generate([{ name: 'commonName', value: 'two' }], { keySize: 2048 }),
      generate([{ name: 'commonName', value: 'weak' }], { keySize: 768 }),
    ]);
    writeFileSync(join(folder, 'one.crt'), one.cert);
    writeFileSync(join(folder, 'two.key'), two.private);
    writeFileSync(join(folder, 'weak.crt'), weak.cert);
    writeFileSync(join(folder, 'weak.key'), weak.private);
    writeFileSync(
      file,
      `gateway: { id: a }
broker:
  listeners:
    - { url: "mqtts://127.0.0.1:0", cert: one.crt, key: two.key, client_ca: two.key }
    - { url: "mqtts://127.0.0.1:0", cert: nowhere.crt, key: two.key }
    - { url: "mqtts://127.0.0.1:0", cert: weak.crt, key: weak.key }
`,
    );
    expect(errorLines()).toEqual([
      'FILE:4:57: broker.listeners[0].key: found a key of another certificate, allowed: the private key of cert',
      'FILE:4:77: broker.listeners[0].client_ca: found a file without a certificate, needed: PEM with -----BEGIN CERTIFICATE-----',
      'FILE:5:43: broker.listeners[1].cert: found DIR/nowhere.crt, but there is no such file',
      expect.stringMatching(
        /^FILE:6:43: broker\.listeners\[2\]\.cert: found a certificate that TLS does not take: /,
      ),
    ]);
  });
});
