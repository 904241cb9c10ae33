/** The one door to replays: for the command line over the socket, and for commands that come by MQTT. */
import { isOpen, OPEN_JOBS_MAX, type ReplayJob, ReplayJobs } from '../bridge/replay-job.js';
import { parsePointInTime } from '../config/point-in-time.js';
import type { Clock } from '../core/clock.js';
import { validTopicFilter } from '../mqtt/topic.js';
import type { Storage } from '../storage/storage.js';
import { jsonAnswer, type Route } from '../web/route.js';

export interface ReplayDeskOptions {
  readonly storage: Pick<Storage, 'keyValue' | 'head'>;
  /** Names of those in the configuration. */
  readonly bridges: () => readonly string[];
  readonly changed: (bridge: string) => void;
  readonly clock: Clock;
}

export type ReplayAnswer =
  | { readonly ok: true; readonly job: ReplayJob }
  | { readonly ok: false; readonly error: string };

const RATE_MAX = 1_000_000;

export class ReplayDesk {
  readonly #options: ReplayDeskOptions;
  #jobs: ReplayJobs | undefined;

  constructor(options: ReplayDeskOptions) {
    this.#options = options;
  }

  /** To be asked for once the journal is open. */
  get jobs(): ReplayJobs {
    this.#jobs ??= new ReplayJobs(this.#options.storage.keyValue('replay'));
    return this.#jobs;
  }

  /** @param asked what somebody wrote: nothing of it is believed */
  begin(asked: unknown): ReplayAnswer {
    if (typeof asked !== 'object' || asked === null) return refused('the request must be a JSON object');
    const { bridge, since, until, filter, rate } = asked as Readonly<Record<string, unknown>>;
    const bridges = this.#options.bridges();
    const name = bridge ?? (bridges.length === 1 ? bridges[0] : undefined);
    if (typeof name !== 'string' || !bridges.includes(name)) {
      const known = bridges.length === 0 ? 'there is none' : `allowed: ${bridges.join(', ')}`;
      return refused(`there is no bridge ${String(name)}; ${known}`);
    }
    const nowMs = this.#options.clock.wallMs();
    const [fromMs, toMs] = [since, until].map((time) => pointInTime(time, nowMs));
    if (fromMs === undefined)
      return refused('since must be ISO 8601, milliseconds since the epoch, or an age');
    if (toMs === undefined && until !== undefined && until !== null) {
      return refused('until must be ISO 8601, milliseconds since the epoch, or an age');
    }
    if (
      filter !== undefined &&
      filter !== null &&
      !(typeof filter === 'string' && validTopicFilter(filter, 4))
    ) {
      return refused('filter must be an MQTT topic filter');
    }
    if (rate !== undefined && rate !== null && !(typeof rate === 'number' && rate > 0 && rate <= RATE_MAX)) {
      return refused(`rate must be a number above 0, up to ${RATE_MAX} a second`);
    }
    const request = { fromMs, toMs: toMs ?? null, filter: filter ?? null, rate: rate ?? null };
    const job = this.jobs.add(name, request, this.#options.storage.head, nowMs);
    if (job === undefined) return refused(`bridge ${name} has ${OPEN_JOBS_MAX} replays to do already`);
    this.#options.changed(name);
    return { ok: true, job };
  }

  cancel(id: unknown): ReplayAnswer {
    const job = typeof id === 'string' ? this.jobs.get(id) : undefined;
    if (job === undefined) return refused(`there is no replay ${String(id)}`);
    if (!isOpen(job)) return refused(`replay ${job.id} is ${job.state} already`);
    const cancelled: ReplayJob = { ...job, state: 'cancelled' };
    this.jobs.save(cancelled);
    this.#options.changed(job.bridge);
    return { ok: true, job: cancelled };
  }
}

export function replayRoutes(desk: ReplayDesk): readonly Route[] {
  const answer = (said: ReplayAnswer) => jsonAnswer(said.ok ? 200 : 400, said);
  return [
    { method: 'GET', path: '/api/replay', onlySocket: true, answer: () => jsonAnswer(200, desk.jobs.all) },
    {
      method: 'POST',
      path: '/api/replay',
      onlySocket: true,
      answer: ({ body }) => answer(desk.begin(parse(body))),
    },
    {
      method: 'POST',
      path: '/api/replay/cancel',
      onlySocket: true,
      answer: ({ body }) => answer(desk.cancel((parse(body) as { id?: unknown } | undefined)?.id)),
    },
  ];
}

/** undefined: no JSON. */
export function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) ?? undefined;
  } catch {
    return undefined;
  }
}

function pointInTime(time: unknown, nowMs: number): number | undefined {
  if (typeof time === 'number' && Number.isFinite(time)) return time;
  return typeof time === 'string' ? parsePointInTime(time, nowMs) : undefined;
}

function refused(error: string): ReplayAnswer {
  return { ok: false, error };
}
