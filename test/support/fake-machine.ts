/** A machine for the checks of `godwit doctor`: a tree of files, their owners, and what its tools print. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Finding } from '../../src/cli/doctor/finding.js';
import { type FileState, type Machine, mayOpen, statIn, type User } from '../../src/cli/doctor/machine.js';
import { FakeTree } from './fake-tree.js';

export class FakeMachine implements Machine {
  readonly tree = new FakeTree({ 'etc/group': 'root:x:0:\ndialout:x:20:eva\ngpio:x:993:\ngodwit:x:998:' });
  readonly root = this.tree.root;
  user: User = { name: 'eva', uid: 1000, groups: [1000, 20, 993] };
  nowMs = Date.UTC(2026, 5, 1);
  nodeVersion = '20.19.0';
  free = 100e9;
  flushes: readonly number[] | Error = [1, 2, 3];
  /** What a tool prints with these arguments; a fault is what it says on standard error. */
  readonly answers = new Map<string, string | Error>();
  readonly #states = new Map<string, Partial<FileState>>();

  readonly tools = {
    has: (tool: string): boolean => this.answers.has(tool),
    run: async (tool: string): Promise<string> => {
      const answer = this.answers.get(tool);
      if (typeof answer === 'string') return answer;
      throw answer ?? new Error('not found');
    },
  };

  set(files: Readonly<Record<string, string>>): this {
    this.tree.set(files);
    return this;
  }

  /** A file that belongs to a group and is a device, as ports are. */
  device(path: string, state: Partial<FileState> = {}): this {
    this.set({ [path]: '' });
    this.#states.set(join(this.root, path), { uid: 0, gid: 20, mode: 0o660, isDevice: true, ...state });
    return this;
  }

  own(path: string, state: Partial<FileState>): this {
    this.#states.set(join(this.root, path), state);
    return this;
  }

  link(path: string, target: string): this {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    symlinkSync(target, join(this.root, path));
    return this;
  }

  unit(properties: Readonly<Record<string, string>>): this {
    this.set({ 'run/systemd/system/here': '' });
    const lines = Object.entries({
      LoadState: 'loaded',
      UnitFileState: 'enabled',
      ActiveState: 'active',
      ...properties,
    });
    this.answers.set('systemctl', lines.map(([name, value]) => `${name}=${value}`).join('\n'));
    return this;
  }

  async stat(path: string): Promise<FileState | undefined> {
    const state = await statIn(path);
    const owned = { uid: 1000, gid: 1000, mode: 0o755 };
    return state === undefined ? undefined : { ...state, ...owned, ...this.#states.get(path) };
  }

  async mayUse(path: string, wanted: number): Promise<boolean> {
    const state = await this.stat(path);
    return state !== undefined && mayOpen(state, this.user, wanted);
  }

  async freeBytes(): Promise<number> {
    return this.free;
  }

  async syncMs(): Promise<readonly number[]> {
    if (this.flushes instanceof Error) throw this.flushes;
    return this.flushes;
  }
}

/** Those that are not as they should be, as `state what → fix`. */
export function troubles(found: readonly Finding[]): string[] {
  return found.flatMap(({ state, what, fix }) => (state === 'ok' ? [] : [`${state} ${what} → ${fix}`]));
}
