/**
 * What is asked of one unit. A block is read as often as it takes within the limits: repeats, marks and holds as
 * the unit's Trail says, and gives data only where they can belong to no other request. Between two attempts the
 * line is free for whoever else waits for it.
 */

import type { Clock } from '../../core/clock.js';
import type { Outcome, Request } from './exchange.js';
import type { Gate, Lane } from './gate.js';
import { dataBytes, exceptionName, type Question, type ReadRange, readQuestion } from './pdu.js';
import { isBits } from './point.js';
import type { PlanLimits } from './read-plan.js';
import { type Attempt, Trail } from './trail.js';

/** What of a Line is needed here. */
export interface Wire extends Lane {
  transact(request: Request): Promise<Outcome>;
  hold(): void;
}

/** Requests besides the repetitions: marks and extensions refused. More in one read means that it leads nowhere. */
const DETOURS_MAX = 6;

/** Refusals of unknown origin in one read. */
const DOUBTS_MAX = 2;

const EXCEPTION_BUSY = new Set([5, 6]);
/** A gateway says for the unit that it did not answer. */
const EXCEPTION_NO_UNIT = new Set([10, 11]);

export interface AskerSettings {
  readonly unit: number;
  readonly gate: Gate<Wire>;
  readonly clock: Clock;
  /** Whether replies carry an identifier. */
  readonly tellsApart: boolean;
  /** What the unit gives at once. */
  readonly limits: PlanLimits;
  /** Pause before each request to this unit. */
  readonly gapMs: number;
}

export interface ReadOptions {
  readonly retries: number;
  /** Before the polls that wait. */
  readonly urgent?: boolean;
  /** The line that the caller holds already, and goes on to hold. */
  readonly held?: Wire;
}

type Verdict = Outcome | 'again' | 'doubt';

interface Once {
  readonly verdict: Verdict;
  /** The very block was refused, perhaps by the answer to another request. */
  readonly refusal?: Outcome;
}

export class Asker {
  readonly #settings: AskerSettings;
  readonly #trail: Trail;

  constructor(settings: AskerSettings) {
    this.#settings = settings;
    this.#trail = new Trail(settings.tellsApart, settings.limits);
  }

  /** Holds a line while `use` runs: nothing of ours comes between its requests. */
  async hold<Result>(urgent: boolean, use: (wire: Wire) => Promise<Result>): Promise<Result> {
    const { gate, unit } = this.#settings;
    const wire = await gate.acquire(unit, urgent);
    try {
      return await use(wire);
    } finally {
      gate.release(unit, wire);
    }
  }

  /** Anything but a read, once, on a line that the caller holds. */
  async ask(question: Question, held: Wire): Promise<Outcome> {
    const { unit, gapMs } = this.#settings;
    const outcome = await held.transact({ unit, question, gapMs });
    if (outcome.kind === 'data') this.#trail.otherAnswered();
    return outcome;
  }

  /** Data are those of exactly `block`. */
  async read({ table, start, count }: ReadRange, options: ReadOptions): Promise<Outcome> {
    const block: ReadRange = { table, start, count };
    const { retries, held, urgent = false } = options;
    let failures = 0;
    let doubts = 0;
    let refusal: Outcome | undefined;
    for (let sent = 0; sent <= retries + DETOURS_MAX; sent++) {
      const attempt = (wire: Wire): Promise<Once> => this.#readOnce(block, wire);
      const { verdict, refusal: refused } = await (held === undefined
        ? this.hold(urgent, attempt)
        : attempt(held));
      refusal = refused ?? refusal;
      if (verdict === 'doubt') {
        doubts += 1;
        if (doubts >= DOUBTS_MAX && refusal !== undefined) return refusal;
        continue;
      }
      if (verdict === 'again') continue;
      const mayRepeat =
        verdict.kind === 'silent' || (verdict.kind === 'exception' && EXCEPTION_BUSY.has(verdict.code));
      if (!mayRepeat || failures >= retries) return verdict;
      failures += 1;
    }
    return refusal ?? { kind: 'silent', why: 'answers cannot be told apart' };
  }

  async #readOnce(block: ReadRange, wire: Wire): Promise<Once> {
    const { clock, unit, gapMs } = this.#settings;
    const attempt = this.#trail.choose(block, clock.monotonicMs());
    const outcome = await wire.transact({ unit, question: readQuestion(attempt.range), gapMs });
    if (outcome.kind === 'data') return { verdict: this.#data(block, attempt, outcome.bytes) };
    if (outcome.kind !== 'exception') {
      if (outcome.kind === 'silent') this.#trail.silent(block, attempt.range, clock.monotonicMs());
      return { verdict: outcome };
    }
    const verdict = this.#exception(block, attempt, outcome.code);
    // The true answer may still be on its way: let it pass, then ask again. Refused once more, it is refused
    // (a bad reading is no wrong one), and the Trail goes on expecting the answer that may still come.
    if (verdict === 'doubt') wire.hold();
    return isSame(attempt.range, block) ? { verdict, refusal: outcome } : { verdict };
  }

  #data(block: ReadRange, attempt: Attempt, bytes: Uint8Array): Outcome | 'again' {
    this.#trail.data(block, attempt);
    if (attempt.purpose === 'mark') return 'again';
    const skipped = block.start - attempt.range.start;
    const from = isBits(block.table) ? skipped / 8 : skipped * 2;
    return { kind: 'data', bytes: bytes.subarray(from, from + dataBytes(block.table, block.count)) };
  }

  #exception(block: ReadRange, attempt: Attempt, code: number): Verdict {
    const nowMs = this.#settings.clock.monotonicMs();
    if (EXCEPTION_NO_UNIT.has(code)) {
      this.#trail.silent(block, attempt.range, nowMs);
      return { kind: 'silent', why: exceptionName(code) };
    }
    if (this.#trail.exception(block, attempt.range, nowMs)) return 'doubt';
    return isSame(attempt.range, block) ? { kind: 'exception', code } : 'again';
  }
}

function isSame(a: ReadRange, b: ReadRange): boolean {
  return a.start === b.start && a.count === b.count;
}
