/**
 * The file of a Unix socket outlives a killed process and then keeps the next one from listening. It is removed
 * only where nobody answers on it; a live one belongs to another gateway, which is named.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { GodwitError } from '../core/error.js';

/** What the kernel takes, less the closing NUL; node would cut a longer path short. */
const SOCKET_PATH_BYTES_MAX = 107;
const ANSWER_MS_MAX = 1000;

/** Resolves when `path` is free to listen on. */
export async function clearSocketFile(path: string): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw new GodwitError(
      'SOCKET_PATH_TOO_LONG',
      `The path ${path} is too long for a Unix socket (${SOCKET_PATH_BYTES_MAX} bytes at most): choose a shorter journal.path`,
      { path },
    );
  }
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (!file.isSocket()) {
    throw new GodwitError(
      'SOCKET_PATH_TAKEN',
      `${path} is in the way: godwit's socket belongs there, but it is another kind of file. Move it away`,
      { path },
    );
  }
  if (!(await someoneListens(path))) {
    unlinkSync(path);
    return;
  }
  const pid = await holder(path);
  throw new GodwitError(
    'ALREADY_RUNNING',
    `Another godwit${pid === undefined ? '' : `, process ${pid},`} runs on this journal and answers on ${path}: stop it first`,
    { path, pid },
  );
}

/** Only a refused connection proves that nobody is there. */
function someoneListens(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error('no answer')));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (fault: NodeJS.ErrnoException) => {
      if (fault.code === 'ECONNREFUSED' || fault.code === 'ENOENT') resolve(false);
      else if (fault.code === 'EACCES' || fault.code === 'EPERM') {
        reject(
          new GodwitError(
            'SOCKET_NOT_ALLOWED',
            `${path} belongs to another user: run godwit as that user, or remove it if no gateway runs`,
            { path, cause: fault },
          ),
        );
      } else resolve(true);
    });
  });
}

function holder(path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const unknown = (): void => resolve(undefined);
    const ask = request({ socketPath: path, path: '/api/status', timeout: ANSWER_MS_MAX }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
        if (text.length > 16 * 2 ** 20) ask.destroy();
      });
      response.on('error', unknown);
      response.on('end', () => resolve(pidIn(text)));
    });
    ask.on('timeout', () => ask.destroy());
    ask.on('error', unknown);
    ask.on('close', unknown);
    ask.end();
  });
}

function pidIn(text: string): number | undefined {
  try {
    const status: unknown = JSON.parse(text);
    const pid = typeof status === 'object' && status !== null && 'pid' in status ? status.pid : undefined;
    return typeof pid === 'number' ? pid : undefined;
  } catch {
    // An older gateway, or something else: it is alive, and that is enough.
    return undefined;
  }
}
