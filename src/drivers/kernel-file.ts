/** Files in which the kernel says something: small, made at the moment of reading, gone with their device. */
import { open, readdir } from 'node:fs/promises';
import { GodwitError } from '../core/error.js';

/** What the kernel makes for one attribute is at most a page; /proc has longer ones. */
const BYTES_MAX = 64 * 1024;

/** Its text without the line end. Throws a GodwitError `KERNEL_FILE` that says what to do. */
export async function readKernelFile(path: string): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const buffer = Buffer.alloc(BYTES_MAX);
      let length = 0;
      while (length < BYTES_MAX) {
        const { bytesRead } = await file.read(buffer, length, BYTES_MAX - length, null);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return buffer.toString('utf8', 0, length).trimEnd();
    } finally {
      await file.close();
    }
  } catch (fault) {
    throw new GodwitError('KERNEL_FILE', sentenceOf(fault, path), {
      path,
      errno: errnoOf(fault),
      cause: fault,
    });
  }
}

/** Undefined where there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readKernelFile(path);
  } catch (fault) {
    if (
      fault instanceof GodwitError &&
      (fault.fields.errno === 'ENOENT' || fault.fields.errno === 'ENOTDIR')
    ) {
      return undefined;
    }
    throw fault;
  }
}

/** The names in a folder; empty where there is none. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (fault) {
    if (errnoOf(fault) === 'ENOENT' || errnoOf(fault) === 'ENOTDIR') return [];
    throw new GodwitError('KERNEL_FILE', sentenceOf(fault, folder), { path: folder, cause: fault });
  }
}

export function errnoOf(fault: unknown): string {
  return fault instanceof Error && 'code' in fault ? String(fault.code) : '';
}

function sentenceOf(fault: unknown, path: string): string {
  switch (errnoOf(fault)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return `${path} is not there`;
    case 'EACCES':
    case 'EPERM':
      return `${path} may not be read: permission denied`;
    case 'EIO':
    case 'EREMOTEIO':
    case 'ETIMEDOUT':
    case 'ENXIO':
    case 'ENODEV':
      return 'the device does not answer; check its wiring';
    case 'EBUSY':
    case 'EAGAIN':
      return 'the device is busy';
    default:
      return `${path} cannot be read: ${fault instanceof Error ? fault.message : String(fault)}`;
  }
}
