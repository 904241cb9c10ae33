/** Reads a file that an operator named: bounded, never waiting, and with what went wrong in words. */
import { isUtf8 } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { reasonOf } from '../core/error.js';
import { FILE_START, type Position } from './config-error.js';

export type FileRead =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'problem'; readonly problem: string };

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'it may not be read: permission denied',
  EPERM: 'it may not be read: permission denied',
  EISDIR: 'it is a directory, not a file',
  ENOTDIR: 'its folder is a file',
  ELOOP: 'its symbolic links go round in a circle',
  ENAMETOOLONG: 'its name is too long',
};

export function readFileBounded(path: string, bytesMax: number): FileRead {
  let descriptor: number | undefined;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer for ever.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(descriptor);
    if (stat.isDirectory()) return problem('it is a directory, not a file');
    if (!stat.isFile()) return problem('it is a device, a pipe or a socket, not a file');
    if (stat.size > bytesMax) return problem(`it has ${stat.size} bytes, more than the ${bytesMax} allowed`);
    return { kind: 'bytes', bytes: readUpTo(descriptor, bytesMax) };
  } catch (fault) {
    const code = fault instanceof Error && 'code' in fault ? String(fault.code) : '';
    return problem(WORDS[code] ?? `it cannot be read: ${reasonOf(fault)}`);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Files in /proc and the like say size 0 and have bytes all the same. */
function readUpTo(descriptor: number, bytesMax: number): Buffer {
  const pieces: Buffer[] = [];
  let left = bytesMax;
  while (left > 0) {
    const piece = Buffer.alloc(Math.min(left, 64 * 1024));
    const bytes = readSync(descriptor, piece, 0, piece.length, null);
    if (bytes === 0) break;
    pieces.push(piece.subarray(0, bytes));
    left -= bytes;
  }
  return Buffer.concat(pieces);
}

/** The place of the first byte that is no UTF-8; undefined where all of it is. */
export function firstBadByte(bytes: Uint8Array): Position | undefined {
  if (isUtf8(bytes)) return undefined;
  let start = 0;
  for (let line = 1; ; line += 1) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline;
    if (!isUtf8(bytes.subarray(start, end))) return { line, column: badColumn(bytes.subarray(start, end)) };
    if (newline === -1) return FILE_START;
    start = newline + 1;
  }
}

function badColumn(line: Uint8Array): number {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(line);
  // What cannot be decoded becomes U+FFFD, which a file may also hold of its own: compare bytes up to each.
  for (let at = text.indexOf('\ufffd'); at !== -1; at = text.indexOf('\ufffd', at + 1)) {
    const before = Buffer.byteLength(text.slice(0, at));
    if (!isUtf8(line.subarray(before, before + 3)) || line[before] !== 0xef) return at + 1;
  }
  return 1;
}

function problem(text: string): FileRead {
  return { kind: 'problem', problem: text };
}
