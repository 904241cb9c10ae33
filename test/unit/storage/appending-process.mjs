// A process that appends without end and says which messages were acknowledged: to be killed by a test.
// Arguments: the compiled folder, the journal's path, the first number.
import { pathToFileURL } from 'node:url';

const [, , dist, path, first] = process.argv;
const load = (file) => import(pathToFileURL(`${dist}/${file}`).href);
const { WorkerStorage } = await load('storage/worker-storage.js');
const { SystemClock } = await load('core/clock.js');
const { silentLog } = await load('core/log.js');

const storage = new WorkerStorage({
  path,
  config: {
    durability: 'power-loss',
    max_size: 2 ** 30,
    max_age: 86_400_000,
    when_full: 'drop-oldest',
    max_commit_delay: 5,
  },
  log: silentLog,
  clock: new SystemClock(),
  onFatal: (fault) => {
    throw fault;
  },
});
await storage.start();
const route = storage.routeId({
  bridge: 'cloud',
  lane: 'normal',
  qos: 1,
  retain: 'keep',
  strip: '',
  prefix: '',
  properties: 'all',
});
process.stdout.write('open\n');

let number = Number(first);
const publish = () => {
  const mine = number;
  number += 1;
  const message = { topic: `t/${mine}`, payload: Buffer.alloc(200), qos: 1, retain: false };
  storage.append({ kind: 'message', message }, [route], Date.now(), true);
  storage.afterCommit(() => {
    process.stdout.write(`${mine}\n`);
    publish();
  });
};
for (let open = 0; open < 20; open += 1) publish();
