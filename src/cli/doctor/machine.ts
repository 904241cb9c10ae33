/** The machine that `godwit doctor` looks at. Tests put a tree of files, a user and made-up tools in its place. */
import { access, open, readFile, realpath, rm, stat, statfs } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, relative } from 'node:path';
import { SystemTools, type Tools } from '../../drivers/gpio/tool-process.js';
import { namesIn } from '../../drivers/kernel-file.js';

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly groups: readonly number[];
}

export interface FileState {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly isDevice: boolean;
  readonly bytes: number;
}

export interface Machine {
  /** Where its file system begins. */
  readonly root: string;
  readonly tools: Pick<Tools, 'run' | 'has'>;
  readonly user: User;
  readonly nowMs: number;
  readonly nodeVersion: string;
  /** Undefined where there is no such file, or it may not be seen. */
  stat(path: string): Promise<FileState | undefined>;
  /** Whether this user may do that with it. */
  mayUse(path: string, wanted: number): Promise<boolean>;
  freeBytes(folder: string): Promise<number>;
  /** How long the disk takes for a small file to be safe, several times over. */
  syncMs(folder: string): Promise<readonly number[]>;
}

export function thisMachine(): Machine {
  const tools = new SystemTools();
  return {
    root: '/',
    tools,
    user: {
      name: nameOfUser(),
      uid: process.getuid?.() ?? 0,
      groups: [process.getgid?.() ?? 0, ...(process.getgroups?.() ?? [])],
    },
    nowMs: Date.now(),
    nodeVersion: process.versions.node,
    stat: statIn,
    mayUse: (path, wanted) =>
      access(path, wanted).then(
        () => true,
        () => false,
      ),
    freeBytes: async (folder) => {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    },
    syncMs: measureSync,
  };
}

export async function statIn(path: string): Promise<FileState | undefined> {
  try {
    const state = await stat(path);
    const { uid, gid, mode, size } = state;
    return { uid, gid, mode, isDevice: state.isCharacterDevice(), bytes: size };
  } catch {
    // That it cannot be seen is the answer.
    return undefined;
  }
}

/** The bits of a mode, for one class of users, and of access(2). */
export const Wanted = { write: 2, enterAndWrite: 3, readAndWrite: 6 } as const;

export function at(machine: Machine, path: string): string {
  return join(machine.root, path);
}

/** Where symbolic links lead, as a path of that machine; undefined: nowhere. */
export async function realPath(machine: Machine, path: string): Promise<string | undefined> {
  try {
    return `/${relative(await realpath(machine.root), await realpath(at(machine, path)))}`;
  } catch {
    // Nothing there, or it may not be seen.
    return undefined;
  }
}

/** Undefined where it is not there or may not be read. */
export async function textOf(machine: Machine, path: string): Promise<string | undefined> {
  return readFile(at(machine, path), 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

/** Empty where there is no such folder, or it may not be read. */
export async function filesIn(machine: Machine, folder: string): Promise<string[]> {
  return namesIn(at(machine, folder)).catch(() => []);
}

/** By the bits of its mode. Access lists are not looked at: they are given to whoever sits at the screen, not to services. */
export function mayOpen({ uid, gid, mode }: FileState, user: User, wanted: number): boolean {
  if (user.uid === 0) return true;
  const bits = user.uid === uid ? mode >> 6 : user.groups.includes(gid) ? mode >> 3 : mode;
  return (bits & wanted) === wanted;
}

export async function groupName(machine: Machine, gid: number): Promise<string | undefined> {
  return groupLines((await textOf(machine, '/etc/group')) ?? '').find((group) => group.gid === gid)?.name;
}

export function groupLines(text: string): { name: string; gid: number; members: string[] }[] {
  return text.split('\n').map((line) => {
    const [name = '', , gid = '', members = ''] = line.split(':');
    return { name, gid: Number(gid), members: members.split(',') };
  });
}

const SYNCS = 8;
/** A card that takes longer has been found out by then. */
const SYNCS_MS_MAX = 3000;
const SYNC_BYTES = 4096;

async function measureSync(folder: string): Promise<number[]> {
  const path = join(folder, `.doctor-${process.pid}.tmp`);
  const file = await open(path, 'wx', 0o600);
  const taken: number[] = [];
  try {
    const startMs = performance.now();
    for (let index = 0; index < SYNCS && performance.now() - startMs < SYNCS_MS_MAX; index += 1) {
      const fromMs = performance.now();
      await file.write(Buffer.alloc(SYNC_BYTES, index), 0, SYNC_BYTES, index * SYNC_BYTES);
      await file.datasync();
      taken.push(performance.now() - fromMs);
    }
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
  return taken;
}

function nameOfUser(): string {
  try {
    return userInfo().username;
  } catch {
    // A user without a name, as in a container.
    return String(process.getuid?.() ?? 'USER');
  }
}
