// The compiled broker alone, without storage: node scripts/bench/broker-only.mjs [PORT]. Ends on SIGTERM or SIGINT.
import { Broker } from '../../dist/broker/broker.js';
import { brokerSchema } from '../../dist/config/schema.js';
import { SystemClock } from '../../dist/core/clock.js';

const port = Number(process.argv[2] ?? 1883);
const say = (fields, sentence) => console.error(sentence, JSON.stringify(fields));
const broker = new Broker({
  config: brokerSchema.parse({
    listeners: [{ url: `mqtt://127.0.0.1:${port}` }],
    limits: { max_connections: 5000 },
  }),
  clock: new SystemClock(),
  log: { error: say, warn: say, info: say, debug: () => {} },
});
await broker.start();
console.log(broker.urls.join(' '));
const stop = () => broker.stop().then(() => process.exit(0));
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.on('SIGUSR2', () => console.error(JSON.stringify(broker.snapshot()), process.memoryUsage()));
