/**
 * The brokers that are measured, each a process of its own with nothing else in it:
 *
 *   godwit     broker-only.mjs on the compiled dist: the broker alone, nothing on disk
 *   gateway    the whole of it, `godwit run` with nothing but a listener configured: with its journal
 *   mosquitto  Debian's, with max_queued_messages 0: its default of 1000 drops messages of a connected subscriber
 *   bare       bare-server.mjs: what Node.js itself costs for each message, without a broker
 *   aedes      from npm, installed when first asked for into scripts/bench/.peers, outside this package's dependencies
 *
 * `start` resolves once a CONNECT was accepted, and says how long that took from the start of the process.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { pathToFileURL } from 'node:url';

const BENCH = join(import.meta.dirname, '..');
const AEDES_FOLDER = join(BENCH, '.peers');
const AEDES = 'aedes@1.2.0';
const START_MS_MAX = 10_000;

/** `access`: what makeAccess wrote, where clients need a password or TLS. */
export async function start(kind, { folder, dist, access, auth = false, tls = false }) {
  const port = await freePort();
  const command = await commandOf(kind, { port, folder, dist, access, auth, tls });
  const startedAt = performance.now();
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-4000);
  });
  let ended = false;
  const end = new Promise((resolve) => {
    child.once('exit', () => {
      ended = true;
      resolve();
    });
    child.once('error', (fault) => {
      said += fault.message;
      ended = true;
      resolve();
    });
  });
  while (!(await accepts(port, auth ? access : undefined, tls ? access : undefined))) {
    if (ended || performance.now() - startedAt > START_MS_MAX) {
      child.kill('SIGKILL');
      throw new Error(`${kind} does not accept connections: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return {
    port,
    pid: child.pid,
    firstConnectMs: performance.now() - startedAt,
    async stop() {
      child.kill('SIGTERM');
      const limit = setTimeout(() => child.kill('SIGKILL'), 3000);
      await end;
      clearTimeout(limit);
    },
  };
}

/** What it is called in the table; undefined: it is not here. */
export function versionOf(kind) {
  switch (kind) {
    case 'godwit':
    case 'gateway':
      return JSON.parse(readFileSync(join(BENCH, '..', '..', 'package.json'), 'utf8')).version;
    case 'bare':
      return process.version;
    case 'mosquitto':
      try {
        // It ends with 3 after -h.
        execFileSync('mosquitto', ['-h'], { stdio: ['ignore', 'pipe', 'ignore'] });
      } catch (fault) {
        return /version (\S+)/.exec(String(fault.stdout ?? ''))?.[1];
      }
      return undefined;
    case 'aedes':
      return AEDES.split('@')[1];
    default:
      throw new Error(`unknown broker '${kind}'`);
  }
}

async function commandOf(kind, { port, folder, dist, access, auth, tls }) {
  switch (kind) {
    case 'godwit': {
      const command = [process.execPath, join(BENCH, 'broker-only.mjs'), String(port), '--dist', dist];
      command.push('--config', await brokerDefaults(dist));
      if (auth) command.push('--password-file', access.passwordFile, '--acl-file', access.aclFile);
      if (tls) command.push('--cert', access.certFile, '--key', access.keyFile);
      return command;
    }
    case 'gateway': {
      if (auth || tls) throw new Error('the gateway is measured without password and TLS only');
      const file = join(folder, `gateway-${port}.yaml`);
      writeFileSync(
        file,
        `gateway: { id: bench }
journal: { path: gateway-${port}.db }
broker: { listeners: [ { url: "mqtt://127.0.0.1:${port}" } ], limits: { max_connections: 5000 } }
log: { level: error }
`,
      );
      return [process.execPath, join(dist, 'main.js'), 'run', '-c', file];
    }
    case 'bare':
      return [process.execPath, join(BENCH, 'lib', 'bare-server.mjs'), String(port)];
    case 'mosquitto': {
      const file = join(folder, `mosquitto-${port}.conf`);
      const lines = [
        `listener ${port} 127.0.0.1`,
        `allow_anonymous ${auth ? 'false' : 'true'}`,
        'max_queued_messages 0',
        'persistence false',
        'log_dest none',
      ];
      // Started as root it drops its rights, and could not read what this user alone may read.
      if (process.getuid() === 0) lines.push('user root');
      if (auth) lines.push(`password_file ${access.passwordFile}`, `acl_file ${access.aclFile}`);
      if (tls) lines.push(`certfile ${access.certFile}`, `keyfile ${access.keyFile}`);
      writeFileSync(file, `${lines.join('\n')}\n`);
      return ['mosquitto', '-c', file];
    }
    case 'aedes':
      if (auth || tls) throw new Error('aedes is measured without password and TLS only');
      installAedes();
      return [process.execPath, join(BENCH, 'lib', 'aedes-server.mjs'), join(AEDES_FOLDER, 'package.json'), String(port)];
    default:
      throw new Error(`unknown broker '${kind}'`);
  }
}

async function brokerDefaults(dist) {
  const { brokerSchema } = await import(pathToFileURL(join(dist, 'config', 'schema.js')).href);
  return JSON.stringify(brokerSchema.parse({}));
}

function installAedes() {
  if (existsSync(join(AEDES_FOLDER, 'node_modules', 'aedes'))) return;
  console.error(`Installing ${AEDES}…`);
  mkdirSync(AEDES_FOLDER, { recursive: true });
  writeFileSync(join(AEDES_FOLDER, 'package.json'), '{ "private": true }\n');
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', AEDES], {
    cwd: AEDES_FOLDER,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** One CONNECT; true once CONNACK 0 came. */
function accepts(port, auth, tls) {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port };
    const socket =
      tls === undefined
        ? connectTcp(options)
        : connectTls({ ...options, ca: readFileSync(tls.caFile), servername: 'localhost' });
    const settle = (accepted) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => socket.write(connectPacket(auth)));
    socket.once('data', (chunk) => settle(chunk[0] === 0x20 && chunk[3] === 0));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
  });
}

function connectPacket(auth) {
  const strings = ['probe', ...(auth === undefined ? [] : [auth.username, auth.password])];
  const fields = strings.map((text) => Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)]));
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, auth === undefined ? 2 : 0xc2, 0, 0]);
  const body = Buffer.concat([head, ...fields]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
