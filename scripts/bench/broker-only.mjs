/**
 * The compiled broker alone, without storage: node scripts/bench/broker-only.mjs [PORT] [--dist FOLDER].
 * Ends on SIGTERM or SIGINT; SIGUSR2 prints its counters and memory.
 */
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dist: { type: 'string', default: join(import.meta.dirname, '..', '..', 'dist') },
    'password-file': { type: 'string' },
    'acl-file': { type: 'string' },
    cert: { type: 'string' },
    key: { type: 'string' },
  },
});
const load = (path) => import(pathToFileURL(join(resolve(given.dist), path)).href);
const { Broker } = await load('broker/broker.js');
const { loadBrokerSection } = await load('config/broker-section.js');
const { SystemClock } = await load('core/clock.js');

const port = Number(positionals[0] ?? 1883);
const say = (fields, sentence) => console.error(sentence, JSON.stringify(fields));
const tls = given.cert === undefined ? {} : { cert: given.cert, key: given.key };
const section = {
  listeners: [{ url: `${given.cert === undefined ? 'mqtt' : 'mqtts'}://127.0.0.1:${port}`, ...tls }],
  limits: { max_connections: 5000 },
  ...(given['password-file'] === undefined ? {} : { password_file: given['password-file'] }),
  ...(given['acl-file'] === undefined ? {} : { acl_file: given['acl-file'] }),
};
const broker = new Broker({
  ...loadBrokerSection(section, process.cwd()),
  clock: new SystemClock(),
  log: { error: say, warn: say, info: say, debug: () => {} },
});
await broker.start();
console.log(broker.urls.join(' '));
const stop = () => broker.stop().then(() => process.exit(0));
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.on('SIGUSR2', () => console.error(JSON.stringify(broker.snapshot()), process.memoryUsage()));
