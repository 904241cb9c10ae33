/** A replay as it is kept in the journal's key-value table: what is asked for, and how far it has come. */
import type { KeyValueDoor } from '../core/key-value.js';

export interface ReplayRequest {
  /** Milliseconds since the epoch: from this on, and before that. */
  readonly fromMs: number;
  /** null: without end. */
  readonly toMs: number | null;
  readonly filter: string | null;
  /** Messages a second; null: as fast as its share of the window allows. */
  readonly rate: number | null;
}

export interface ReplayJob extends ReplayRequest {
  readonly id: string;
  readonly bridge: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly state: 'waiting' | 'running' | 'done' | 'cancelled';
  /** The first offset that is not done with, and the last that concerns it: accepted later is not history. */
  readonly next: number;
  readonly last: number;
  readonly sent: number;
  /** Refused by the server, or its time over. */
  readonly skipped: number;
  /** When the Record sent last was accepted. */
  readonly reached: number | null;
}

/** Jobs that are over, kept to be looked at. */
const OVER_MAX = 20;
/** Jobs that are not, of one bridge. */
export const OPEN_JOBS_MAX = 20;

export class ReplayJobs {
  readonly #door: KeyValueDoor;
  readonly #jobs = new Map<string, ReplayJob>();
  #nextId = 1;

  constructor(door: KeyValueDoor) {
    this.#door = door;
    const saved = [...door.entries()].map(
      ([, value]) => JSON.parse(Buffer.from(value).toString()) as ReplayJob,
    );
    for (const job of saved.sort((a, b) => Number(a.id) - Number(b.id))) {
      this.#jobs.set(job.id, job);
      this.#nextId = Number(job.id) + 1;
    }
  }

  /** Oldest first. */
  get all(): readonly ReplayJob[] {
    return [...this.#jobs.values()];
  }

  /** The one whose turn it is: jobs of a bridge go one after the other. */
  current(bridge: string): ReplayJob | undefined {
    return this.all.find((job) => job.bridge === bridge && isOpen(job));
  }

  /** undefined: too many are open. */
  add(bridge: string, request: ReplayRequest, last: number, nowMs: number): ReplayJob | undefined {
    const open = this.all.filter((job) => job.bridge === bridge && isOpen(job));
    if (open.length >= OPEN_JOBS_MAX) return undefined;
    const { fromMs, toMs, filter, rate } = request;
    const job: ReplayJob = {
      id: String(this.#nextId),
      bridge,
      ...{ fromMs, toMs, filter, rate },
      created: nowMs,
      state: 'waiting',
      ...{ next: 1, last, sent: 0, skipped: 0, reached: null },
    };
    this.#nextId += 1;
    this.save(job);
    return job;
  }

  get(id: string): ReplayJob | undefined {
    return this.#jobs.get(id);
  }

  save(job: ReplayJob): void {
    this.#jobs.set(job.id, job);
    this.#door.put(job.id, Buffer.from(JSON.stringify(job)));
    const over = this.all.filter((each) => !isOpen(each));
    for (const { id } of over.slice(0, Math.max(0, over.length - OVER_MAX))) {
      this.#jobs.delete(id);
      this.#door.remove(id);
    }
  }
}

export function isOpen({ state }: ReplayJob): boolean {
  return state === 'waiting' || state === 'running';
}
