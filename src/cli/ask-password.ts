/**
 * A new password: asked for twice, without echo, on a terminal; else the first line of standard input, so that it never
 * stands in a command line that others can see.
 */
import { StringDecoder } from 'node:string_decoder';
import type { ReadStream } from 'node:tty';
import { GodwitError } from '../core/error.js';

/** MQTT cannot carry a longer one. */
const PASSWORD_BYTES_MAX = 65_535;

export interface Terminal {
  readonly input: ReadStream | NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
}

const STANDARD: Terminal = { input: process.stdin, output: process.stderr };

export async function askPassword(user: string, terminal: Terminal = STANDARD): Promise<string> {
  const { input } = terminal;
  if (!('setRawMode' in input) || !input.isTTY) return checked(await firstLine(input));
  const first = checked(await hiddenLine(`Password for ${user}: `, input, terminal.output));
  const second = await hiddenLine('The same again: ', input, terminal.output);
  if (first === second) return first;
  throw new GodwitError('PASSWORD_INVALID', 'the two passwords differ; nothing was changed');
}

function checked(password: string): string {
  if (password === '')
    throw new GodwitError('PASSWORD_INVALID', 'the password is empty; nothing was changed');
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) {
    throw new GodwitError(
      'PASSWORD_INVALID',
      `the password has more than ${PASSWORD_BYTES_MAX} bytes, which MQTT cannot carry; nothing was changed`,
    );
  }
  return password;
}

async function firstLine(input: NodeJS.ReadableStream): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of input) {
    const chunk = Buffer.from(piece);
    pieces.push(chunk);
    bytes += chunk.length;
    if (chunk.includes(0x0a) || bytes > PASSWORD_BYTES_MAX + 2) break;
  }
  const text = Buffer.concat(pieces).toString('utf8');
  return (text.split('\n', 1)[0] ?? '').replace(/\r$/, '');
}

/** Raw, so that the terminal shows nothing: the keys of an editing line are ours to mind. */
function hiddenLine(question: string, input: ReadStream, output: NodeJS.WritableStream): Promise<string> {
  // Before it asks: whoever answers quickly must not see it echoed.
  input.setRawMode(true);
  output.write(question);
  input.resume();
  const decoder = new StringDecoder('utf8');
  let line: string[] = [];
  return new Promise((resolve, reject) => {
    const end = (run: () => void): void => {
      input.setRawMode(false);
      input.pause();
      input.off('data', read);
      input.off('end', gone);
      output.write('\n');
      run();
    };
    const gone = (): void => end(() => reject(abandoned()));
    const read = (chunk: Buffer | string): void => {
      for (const key of decoder.write(Buffer.from(chunk))) {
        if (key === '\r' || key === '\n') {
          end(() => resolve(line.join('')));
          return;
        }
        if (key === '\u0003' || (key === '\u0004' && line.length === 0)) {
          gone();
          return;
        }
        if (key === '\u0015') line = [];
        else if (key === '\u007f' || key === '\b') line.pop();
        else if (line.length <= PASSWORD_BYTES_MAX) line.push(key);
      }
    };
    input.on('data', read);
    input.on('end', gone);
  });
}

function abandoned(): GodwitError {
  return new GodwitError('PASSWORD_INVALID', 'no password was given; nothing was changed');
}
