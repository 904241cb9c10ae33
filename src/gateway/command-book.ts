/**
 * Every command that got as far as a device, in the durable key-value table: that it is meant to be written, before the
 * bus is touched; what became of it, before anyone is told. A repeat is known by its Correlation Data, over a restart too.
 *
 *   begun ──write──▶ done        begun, and then the process died ──▶ begun (nobody knows: it is read back)
 */
import { createHash } from 'node:crypto';
import type { KeyValueDoor } from '../core/key-value.js';

export interface CommandEntry {
  readonly id: number;
  /** When it came, ms since the epoch. */
  readonly at: number;
  readonly device: string;
  readonly point: string;
  readonly value: string | number | boolean;
  /** The bridge by which it came; absent: a client here. */
  readonly bridge?: string;
  /** Topic and Correlation Data, hashed; absent: it cannot be known again. */
  readonly mark?: string;
  readonly result?: CommandResult;
}

export type CommandResult = {
  readonly ok: boolean;
  readonly value?: unknown;
  readonly error?: string;
  readonly fault?: string;
};

/** A day of a busy plant; the oldest go. */
const ENTRIES_MAX = 1000;
const ID_DIGITS = 12;

export class CommandBook {
  readonly #door: KeyValueDoor;
  readonly #entries = new Map<number, CommandEntry>();
  readonly #marks = new Map<string, number>();
  #next = 1;

  constructor(door: KeyValueDoor) {
    this.#door = door;
    const found: CommandEntry[] = [];
    for (const [, value] of door.entries())
      found.push(JSON.parse(Buffer.from(value).toString('utf8')) as CommandEntry);
    for (const entry of found.sort((a, b) => a.id - b.id)) this.#keep(entry);
  }

  /** Oldest first. */
  get entries(): readonly CommandEntry[] {
    return [...this.#entries.values()];
  }

  known(mark: string | undefined): CommandEntry | undefined {
    const id = mark === undefined ? undefined : this.#marks.get(mark);
    return id === undefined ? undefined : this.#entries.get(id);
  }

  begin(entry: Omit<CommandEntry, 'id' | 'result'>): CommandEntry {
    const begun = { id: this.#next, ...entry };
    this.#save(begun);
    for (const id of this.#entries.keys()) {
      if (this.#entries.size <= ENTRIES_MAX) break;
      this.#forget(id);
    }
    return begun;
  }

  end(entry: CommandEntry, result: CommandResult): CommandEntry {
    const ended = { ...entry, result };
    this.#save(ended);
    return ended;
  }

  #save(entry: CommandEntry): void {
    this.#door.put(keyOf(entry.id), Buffer.from(JSON.stringify(entry)));
    this.#keep(entry);
  }

  #keep(entry: CommandEntry): void {
    this.#entries.set(entry.id, entry);
    if (entry.mark !== undefined) this.#marks.set(entry.mark, entry.id);
    this.#next = Math.max(this.#next, entry.id + 1);
  }

  #forget(id: number): void {
    const mark = this.#entries.get(id)?.mark;
    if (mark !== undefined && this.#marks.get(mark) === id) this.#marks.delete(mark);
    this.#entries.delete(id);
    this.#door.remove(keyOf(id));
  }
}

export function markOf(topic: string, correlationData: Uint8Array): string {
  return createHash('sha256').update(topic).update('\0').update(correlationData).digest('base64url');
}

function keyOf(id: number): string {
  return String(id).padStart(ID_DIGITS, '0');
}
