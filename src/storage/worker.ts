/**
 * The storage worker: a thread that waits for the disk so that nobody else has to. Messages are taken in their
 * order; between them it trims and checkpoints in slices. A fault that is no outcome ends the thread, and
 * with it the process: nobody would know what was acknowledged.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { GodwitError, invariant, reasonOf } from '../core/error.js';
import { buffersOf } from './batch.js';
import { EngineHost } from './engine-host.js';
import type { FromWorker, ToWorker, WorkerData } from './worker-protocol.js';

/** After so long without a commit the WAL is moved into the database. */
const REST_AFTER_MS = 10_000;
/** Ages pass without anybody saying so. */
const LOOK_EVERY_MS = 60_000;

invariant(parentPort !== null, 'the storage worker runs as a worker thread');
const port = parentPort;
const say = (message: FromWorker, transfer: readonly ArrayBuffer[] = []): void =>
  port.postMessage(message, transfer);

function open(): EngineHost | undefined {
  try {
    return new EngineHost(workerData as WorkerData);
  } catch (fault) {
    const { code, fields } = fault instanceof GodwitError ? fault : { code: 'JOURNAL_OPEN', fields: {} };
    say({ kind: 'refused', code, message: reasonOf(fault), fields });
    return undefined;
  }
}

function serve(host: EngineHost): void {
  let idle: NodeJS.Immediate | undefined;
  let rest: NodeJS.Timeout | undefined;

  const work = (): void => {
    idle = undefined;
    const { more, news } = host.idle(Date.now());
    if (news !== undefined) say({ kind: 'news', news });
    if (more) soon();
  };
  const soon = (): void => {
    idle ??= setImmediate(work);
  };
  const look = setInterval(soon, LOOK_EVERY_MS);

  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'commit': {
        const outcome = host.commit(message.batch, message.wallMs);
        say({ kind: 'outcome', outcome }, buffersOf(outcome.batch));
        soon();
        if (rest === undefined) rest = setTimeout(() => host.rest(), REST_AFTER_MS);
        else rest.refresh();
        return;
      }
      case 'read': {
        const answer = host.read(message.request);
        say({ kind: 'answer', id: message.id, answer }, [answer.bytes]);
        return;
      }
      case 'inspect': {
        const answer = host.inspect(message.request);
        say(
          { kind: 'inspected', id: message.id, answer },
          answer.kind === 'history' ? [answer.answer.bytes] : [],
        );
        return;
      }
      case 'readSpool': {
        const answer = host.readSpool(message.request);
        say({ kind: 'spoolAnswer', id: message.id, answer }, [answer.bytes]);
        return;
      }
      case 'close':
        clearInterval(look);
        clearTimeout(rest);
        clearImmediate(idle);
        host.close();
        say({ kind: 'closed' });
        port.close();
        return;
    }
  });
  say({ kind: 'opened', opened: host.opened });
}

const host = open();
if (host !== undefined) serve(host);
