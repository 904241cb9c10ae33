/**
 * How a command speaks to the running gateway: HTTP over the Unix socket beside its journal. What can be wrong
 * there has a code of its own: NOT_RUNNING, NOT_ALLOWED, NO_ANSWER.
 */
import { request } from 'node:http';
import { GodwitError } from '../core/error.js';

export interface ControlAnswer {
  readonly status: number;
  readonly body: string;
}

export interface ControlOptions {
  readonly method?: 'GET' | 'POST';
  readonly body?: string;
  /** Nothing came for so long. */
  readonly silenceMsMax?: number;
}

const SILENCE_MS_MAX = 10_000;
/** A status of 20,000 points is a few MB. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;

export function requestControl(
  socketPath: string,
  path: string,
  options: ControlOptions = {},
): Promise<ControlAnswer> {
  const { method = 'GET', body, silenceMsMax = SILENCE_MS_MAX } = options;
  return new Promise((resolve, reject) => {
    const fail = (fault: NodeJS.ErrnoException): void => reject(controlFault(fault, socketPath));
    const ask = request({ socketPath, path, method, agent: false }, (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > BODY_BYTES_MAX) ask.destroy(new Error('its answer is too long'));
        else parts.push(part);
      });
      response.on('error', fail);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
      );
    });
    ask.setTimeout(silenceMsMax, () => ask.destroy(new Error(`it was silent for ${silenceMsMax} ms`)));
    ask.on('error', fail);
    ask.end(body);
  });
}

export function controlFault(fault: NodeJS.ErrnoException, socketPath: string): GodwitError {
  const options = { socketPath, cause: fault };
  switch (fault.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'ENOTDIR':
      return new GodwitError(
        'NOT_RUNNING',
        `No gateway runs on this configuration: nothing answers on ${socketPath}. Start it with godwit run`,
        options,
      );
    case 'EACCES':
    case 'EPERM':
      return new GodwitError(
        'NOT_ALLOWED',
        `This user may not speak to the gateway on ${socketPath}: use sudo, or join the group of that file`,
        options,
      );
    default:
      return new GodwitError(
        'NO_ANSWER',
        `The gateway on ${socketPath} gave no answer: ${fault.message}. Its log may say why`,
        options,
      );
  }
}
