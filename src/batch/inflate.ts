/**
 * Decompression with a bound, wherever this runs: by Node.js's zlib where there is one (asked of the running program,
 * not imported, so that a browser's bundler finds nothing to resolve), else by the browser's DecompressionStream.
 */
import { type GodwitError, reasonOf } from '../core/error.js';
import { damaged, tooLarge } from './batch.js';

/** Answers with what `bytes` hold, or undefined where that is more than `bytesMax`; throws where they are damaged. */
export type Inflate = (
  format: 'deflate' | 'deflate-raw' | 'brotli',
  bytes: Uint8Array,
  bytesMax: number,
) => Promise<Uint8Array | undefined>;

export async function inflated(
  format: Parameters<Inflate>[0],
  bytes: Uint8Array,
  bytesMax: number,
  inflate: Inflate = nodeZlib === undefined ? inflateByStream : inflateByZlib,
): Promise<Uint8Array> {
  let whole: Uint8Array | undefined;
  try {
    whole = await inflate(format, bytes, bytesMax);
  } catch (fault) {
    throw notInflated(fault);
  }
  return checked(whole, bytesMax);
}

/** The same at once: only where there is node:zlib. */
export function inflatedNow(format: Parameters<Inflate>[0], bytes: Uint8Array, bytesMax: number): Uint8Array {
  let whole: Uint8Array | undefined;
  try {
    whole = zlibInflate(format, bytes, bytesMax);
  } catch (fault) {
    throw notInflated(fault);
  }
  return checked(whole, bytesMax);
}

function notInflated(fault: unknown): GodwitError {
  return damaged(`it cannot be decompressed (${reasonOf(fault)})`);
}

function checked(whole: Uint8Array | undefined, bytesMax: number): Uint8Array {
  if (whole === undefined) throw tooLarge(`it decompresses to more than ${bytesMax} bytes`);
  return whole;
}

/** As much of node:zlib as is used here. */
interface Zlib {
  inflateSync(bytes: Uint8Array, options: { maxOutputLength: number }): Uint8Array;
  inflateRawSync(bytes: Uint8Array, options: { maxOutputLength: number }): Uint8Array;
  brotliDecompressSync(bytes: Uint8Array, options: { maxOutputLength: number }): Uint8Array;
}

interface Process {
  readonly getBuiltinModule?: (name: string) => unknown;
}

const nodeZlib = (globalThis as { readonly process?: Process }).process?.getBuiltinModule?.('node:zlib') as
  | Zlib
  | undefined;

const inflateByZlib: Inflate = async (format, bytes, bytesMax) => zlibInflate(format, bytes, bytesMax);

function zlibInflate(
  format: Parameters<Inflate>[0],
  bytes: Uint8Array,
  bytesMax: number,
): Uint8Array | undefined {
  const zlib = nodeZlib as Zlib;
  const inflate =
    format === 'brotli'
      ? zlib.brotliDecompressSync
      : format === 'deflate'
        ? zlib.inflateSync
        : zlib.inflateRawSync;
  try {
    return inflate(bytes, { maxOutputLength: Math.max(1, bytesMax) });
  } catch (fault) {
    if ((fault as { readonly code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw fault;
  }
}

/** Brotli only in browsers that have it: else this throws, and the caller gives an `inflate` of its own. */
export const inflateByStream: Inflate = async (format, bytes, bytesMax) => {
  const stream = new DecompressionStream(format as ConstructorParameters<typeof DecompressionStream>[0]);
  const writer = stream.writable.getWriter();
  // What goes wrong here is told by the reading side too.
  const written = writer.write(new Uint8Array(bytes)).then(() => writer.close());
  written.catch(() => undefined);
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = stream.readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > bytesMax) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(value);
  }
  await written;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
};
