/**
 * The compiled broker alone, without storage: node scripts/bench/broker-only.mjs [PORT] [--dist FOLDER].
 * Ends on SIGTERM or SIGINT; SIGUSR2 prints its counters and memory.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dist: { type: 'string', default: join(import.meta.dirname, '..', '..', 'dist') },
    /** The section `broker` with all defaults as JSON, from who has the schema loaded: it takes more memory than the broker. */
    config: { type: 'string' },
    'password-file': { type: 'string' },
    'acl-file': { type: 'string' },
    cert: { type: 'string' },
    key: { type: 'string' },
  },
});
const load = (path) => import(pathToFileURL(join(resolve(given.dist), path)).href);
const { Broker } = await load('broker/broker.js');
const { SystemClock } = await load('core/clock.js');

const port = Number(positionals[0] ?? 1883);
const isTls = given.cert !== undefined;
const listeners = [{ url: `${isTls ? 'mqtts' : 'mqtt'}://127.0.0.1:${port}` }];
const section = given.config ?? JSON.stringify((await load('config/schema.js')).brokerSchema.parse({}));
const config = JSON.parse(section);
const say = (fields, sentence) => console.error(sentence, JSON.stringify(fields));
const broker = new Broker({
  config: { ...config, listeners, limits: { ...config.limits, max_connections: 5000 } },
  ...(isTls ? { secrets: [{ cert: readFileSync(given.cert), key: readFileSync(given.key) }] } : {}),
  ...(given['password-file'] === undefined ? {} : { access: await accessFiles() }),
  clock: new SystemClock(),
  log: { error: say, warn: say, info: say, debug: () => {} },
});
await broker.start();
console.log(broker.urls.join(' '));
const stop = () => broker.stop().then(() => process.exit(0));
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.on('SIGUSR2', () => console.error(JSON.stringify(broker.snapshot()), process.memoryUsage()));

async function accessFiles() {
  const { parsePasswordFile } = await load('config/password-file.js');
  const { parseAclFile } = await load('config/acl-file.js');
  return {
    passwords: parsePasswordFile(readFileSync(given['password-file'], 'utf8')).users,
    acl: parseAclFile(readFileSync(given['acl-file'], 'utf8')),
  };
}
