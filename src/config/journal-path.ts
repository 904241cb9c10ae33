/** Where the journal is, and with it the socket by which every command finds the running gateway. */
import { dirname, join, resolve } from 'node:path';

export const DEFAULT_FILE = '/etc/godwit/godwit.yaml';
const DEFAULT_FOLDER = '/var/lib/godwit';
/** What sun_path holds on Linux, less its closing NUL. */
const SOCKET_BYTES_MAX = 107;

/** @param path `journal.path` as the configuration has it */
export function resolveJournalPath(
  path: string,
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  // systemd separates several StateDirectory= by colons; the first is ours.
  const state = environment.STATE_DIRECTORY?.split(':')[0];
  if (state !== undefined && state !== '') return resolve(state, path);
  return resolve(resolve(file) === DEFAULT_FILE ? DEFAULT_FOLDER : dirname(file), path);
}

/** What keeps a path from being the journal's; undefined where nothing does. */
export function journalPathProblem(journalPath: string): string | undefined {
  const socket = join(dirname(journalPath), 'godwit.sock');
  if (journalPath.includes('\0')) return 'found NUL, allowed: the path of a file';
  if (journalPath === socket)
    return 'found godwit.sock, which is the name of the socket, allowed: another name';
  const bytes = Buffer.byteLength(socket);
  if (bytes <= SOCKET_BYTES_MAX) return undefined;
  return `found a folder so deep that the socket in it, ${socket}, has ${bytes} bytes, allowed: ${SOCKET_BYTES_MAX}; choose a shorter path`;
}
