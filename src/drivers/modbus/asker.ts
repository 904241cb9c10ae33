/**
 * One block read from one unit, as often as it takes within the limits: repeats, marks and holds as the unit's Trail
 * says, and gives data only where they can belong to no other request.
 */

import type { Clock } from '../../core/clock.js';
import type { Exchange, Outcome, Request } from './exchange.js';
import { dataBytes, exceptionName, type ReadRange } from './pdu.js';
import { isBits } from './point.js';
import { type Attempt, Trail } from './trail.js';

/** What of a Line is needed here. */
export interface Wire {
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

export class Asker {
  readonly #unit: number;
  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #trail: Trail;

  constructor(unit: number, wire: Wire, clock: Clock, tellsApart: Exchange['tellsApart']) {
    this.#unit = unit;
    this.#wire = wire;
    this.#clock = clock;
    this.#trail = new Trail(tellsApart);
  }

  /** Data are those of exactly `block`. */
  async read({ table, start, count }: ReadRange, retries: number): Promise<Outcome> {
    const block: ReadRange = { table, start, count };
    let failures = 0;
    let doubts = 0;
    let refusal: Outcome | undefined;
    for (let sent = 0; sent <= retries + DETOURS_MAX; sent++) {
      const attempt = this.#trail.choose(block, this.#clock.monotonicMs());
      const outcome = await this.#wire.transact({ unit: this.#unit, range: attempt.range });
      let verdict: Outcome | 'again' | 'doubt';
      if (outcome.kind === 'data') verdict = this.#data(block, attempt, outcome.bytes);
      else if (outcome.kind === 'exception') {
        verdict = this.#exception(block, attempt, outcome.code);
        if (isSame(attempt.range, block)) refusal = outcome;
      } else {
        if (outcome.kind === 'silent') this.#trail.silent(block, attempt.range, this.#clock.monotonicMs());
        verdict = outcome;
      }
      if (verdict === 'doubt') {
        // The true answer may still be on its way: let it pass, then ask again. Refused once more, it is refused
        // (a bad reading is no wrong one), and the Trail goes on expecting the answer that may still come.
        this.#wire.hold();
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

  #data(block: ReadRange, attempt: Attempt, bytes: Uint8Array): Outcome | 'again' {
    this.#trail.data(block, attempt);
    if (attempt.purpose === 'mark') return 'again';
    const skipped = block.start - attempt.range.start;
    const from = isBits(block.table) ? skipped / 8 : skipped * 2;
    return { kind: 'data', bytes: bytes.subarray(from, from + dataBytes(block.table, block.count)) };
  }

  #exception(block: ReadRange, attempt: Attempt, code: number): Outcome | 'again' | 'doubt' {
    if (EXCEPTION_NO_UNIT.has(code)) {
      this.#trail.silent(block, attempt.range, this.#clock.monotonicMs());
      return { kind: 'silent', why: exceptionName(code) };
    }
    if (this.#trail.exception(block, attempt.range, this.#clock.monotonicMs())) return 'doubt';
    return isSame(attempt.range, block) ? { kind: 'exception', code } : 'again';
  }
}

function isSame(a: ReadRange, b: ReadRange): boolean {
  return a.start === b.start && a.count === b.count;
}
