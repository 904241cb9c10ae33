/**
 * One poll of one unit: due points to blocks, blocks to readings.
 *
 *   due points ──plan──▶ blocks ──ask──▶ data ──decode──▶ good, or bad 'not a number'
 *                          ▲             refused ──▶ divide and ask the halves; one value refused alone is bad
 *                          └─ cuts ◀── learnt where both halves were given and the whole was not
 *
 * A unit that answers none of its blocks has failed the poll; the next poll begins with another block, in case it is
 * only this one that it never answers.
 */

import type { Clock } from '../../core/clock.js';
import type { Reading } from '../../core/reading.js';
import type { DeviceWatch } from '../device-watch.js';
import { worth } from '../meaning.js';
import type { RawReading } from '../raw-reading.js';
import type { Asker } from './asker.js';
import type { Outcome } from './exchange.js';
import type { Holes } from './holes.js';
import { exceptionName } from './pdu.js';
import { type ModbusPoint, rawIn, valueIn } from './point.js';
import { PointRest } from './point-rest.js';
import { type Block, type Cut, divide, type PlanLimits, planReads } from './read-plan.js';

/** After so many blocks without an answer within one poll the unit is taken to have fallen silent. */
const SILENT_BLOCKS_MAX = 2;

const EXCEPTIONS_REFUSED = new Set([2, 3]);
const EXCEPTION_ILLEGAL_FUNCTION = 1;
/** The unit is alive and asks for patience. */
const EXCEPTIONS_BUSY = new Set([5, 6]);

export interface UnitReaderParts {
  readonly points: readonly ModbusPoint[];
  readonly asker: Asker;
  readonly holes: Holes;
  readonly watch: DeviceWatch;
  readonly clock: Clock;
  readonly limits: PlanLimits;
  readonly retries: number;
  readonly offlineAfter: number;
  readonly retryMaxMs: number;
}

export type PollResult =
  | { readonly kind: 'answered'; readonly readings: readonly Reading[] }
  | { readonly kind: 'failed'; readonly why: string }
  /** Every due point rests: nothing was asked. */
  | { readonly kind: 'idle' };

interface Poll {
  readonly readings: Reading[];
  /** Cuts proven, saved together at the end. */
  readonly cuts: Cut[];
  retries: number;
  answered: boolean;
  silentBlocks: number;
  over: boolean;
  why: string;
}

export class UnitReader {
  readonly #parts: UnitReaderParts;
  readonly #byName = new Map<string, ModbusPoint>();
  readonly #rest: PointRest;
  #failedPolls = 0;

  constructor(parts: UnitReaderParts) {
    this.#parts = parts;
    this.#rest = new PointRest(parts.retryMaxMs);
    for (const point of parts.points) this.#byName.set(point.name, point);
  }

  async read(names: readonly string[], probe: boolean): Promise<PollResult> {
    const { clock, holes, limits } = this.#parts;
    const nowMs = clock.monotonicMs();
    const points: ModbusPoint[] = [];
    for (const name of names) {
      const point = this.#byName.get(name);
      if (point !== undefined && (probe || this.#rest.isDue(name, nowMs))) points.push(point);
    }
    if (points.length === 0) return { kind: 'idle' };
    const blocks = planReads(points, holes.cuts(nowMs), limits);
    const poll: Poll = {
      readings: [],
      cuts: [],
      retries: probe ? 0 : this.#parts.retries,
      answered: false,
      silentBlocks: 0,
      over: false,
      why: 'timeout',
    };
    const first = this.#failedPolls % blocks.length;
    for (const block of [...blocks.slice(first), ...blocks.slice(0, first)]) {
      if (poll.over) break;
      await this.#readBlock(poll, block);
    }
    if (poll.cuts.length > 0) holes.learn(poll.cuts, clock.monotonicMs());
    if (!poll.answered) {
      this.#failedPolls += 1;
      return { kind: 'failed', why: poll.why };
    }
    this.#failedPolls = 0;
    return { kind: 'answered', readings: poll.readings };
  }

  /** Once, for a person: nothing is learnt, nothing published. */
  async readRaw(names: readonly string[]): Promise<RawReading[]> {
    const { asker, clock, holes, limits, retries } = this.#parts;
    const readings = new Map<string, RawReading>();
    const points: ModbusPoint[] = [];
    for (const name of names) {
      const point = this.#byName.get(name);
      if (point === undefined) readings.set(name, { point: name, source: '', ...bad('unknown point') });
      else points.push(point);
    }
    for (const block of planReads(points, holes.cuts(clock.monotonicMs()), limits)) {
      const outcome = await asker.read(block, { retries, urgent: true });
      // A block that is refused as a whole says nothing about its points: each is asked alone.
      const alone = outcome.kind === 'exception' && block.points.length > 1;
      for (const point of block.points) {
        const range = { table: point.table, start: point.address, count: point.width };
        const own = alone ? await asker.read(range, { retries, urgent: true }) : outcome;
        readings.set(point.name, rawReading(point, own, alone ? point.address : block.start));
      }
    }
    return names.flatMap((name) => readings.get(name) ?? []);
  }

  /** True: the whole block was given as asked. */
  async #readBlock(poll: Poll, block: Block): Promise<boolean> {
    const outcome = await this.#parts.asker.read(block, { retries: poll.retries });
    if (outcome.kind === 'data' || outcome.kind === 'exception') {
      poll.answered = true;
      // It answers, so the rest of a probe is a poll like any other.
      poll.retries = this.#parts.retries;
    }
    switch (outcome.kind) {
      case 'data':
        this.#decode(poll, block, outcome.bytes);
        return true;
      case 'exception':
        await this.#refused(poll, block, outcome.code);
        return false;
      case 'silent':
      case 'broken':
        this.#silent(poll, block, outcome);
        return false;
      case 'sent':
        throw new Error('invariant broken: a read is answered or not');
    }
  }

  #decode(poll: Poll, block: Block, bytes: Uint8Array): void {
    const { watch } = this.#parts;
    const stamp = watch.stamp();
    for (const point of block.points) {
      const value = valueIn(point, bytes, block.start);
      this.#rest.answered(point.name);
      poll.readings.push(
        typeof value === 'object'
          ? watch.bad(point.name, value.reason)
          : watch.good(point.name, value, stamp),
      );
    }
  }

  async #refused(poll: Poll, block: Block, code: number): Promise<void> {
    const { clock, watch } = this.#parts;
    const reason = exceptionName(code);
    if (EXCEPTIONS_BUSY.has(code)) {
      this.#patience(poll, block, reason);
      return;
    }

    const halves = EXCEPTIONS_REFUSED.has(code) ? divide(block) : undefined;
    if (halves !== undefined) {
      const leftGiven = await this.#readBlock(poll, halves.left);
      if (poll.over) return;
      const rightGiven = await this.#readBlock(poll, halves.right);
      if (leftGiven && rightGiven) poll.cuts.push(halves.cut);
      return;
    }
    const nowMs = clock.monotonicMs();
    const isFirm = EXCEPTIONS_REFUSED.has(code) || code === EXCEPTION_ILLEGAL_FUNCTION;
    for (const point of block.points) {
      if (isFirm) this.#rest.refused(point.name, nowMs);
      poll.readings.push(watch.bad(point.name, reason));
    }
    if (EXCEPTIONS_REFUSED.has(code)) poll.cuts.push(...around(block));
  }

  #silent(poll: Poll, block: Block, outcome: Outcome & { readonly why: string }): void {
    poll.why = outcome.why;
    poll.silentBlocks += 1;
    // Without any answer yet it is the unit that is silent, not the block.
    if (!poll.answered || outcome.kind === 'broken' || poll.silentBlocks >= SILENT_BLOCKS_MAX)
      poll.over = true;
    if (!poll.answered || outcome.kind === 'broken') return;
    if (this.#patience(poll, block, outcome.why) < this.#parts.offlineAfter) return;
    // Some devices say nothing where others refuse: ask the halves apart from now on.
    const halves = divide(block);
    if (halves !== undefined) poll.cuts.push(halves.cut);
  }

  /** The block's points turn bad when it has failed as often as would make a device offline. */
  #patience(poll: Poll, block: Block, reason: string): number {
    const { clock, watch, offlineAfter } = this.#parts;
    const nowMs = clock.monotonicMs();
    let mostFailures = 0;
    for (const point of block.points) {
      const failures = this.#rest.silent(point.name, point.pollMs, nowMs);
      mostFailures = Math.max(mostFailures, failures);
      if (failures >= offlineAfter) poll.readings.push(watch.bad(point.name, reason));
    }
    return mostFailures;
  }
}

function rawReading(point: ModbusPoint, outcome: Outcome, start: number): RawReading {
  const { unit } = point.config;
  const where = { point: point.name, source: point.source, ...(unit === undefined ? {} : { unit }) };
  if (outcome.kind === 'exception') return { ...where, ...bad(exceptionName(outcome.code)) };
  if (outcome.kind !== 'data')
    return { ...where, ...bad(outcome.kind === 'sent' ? 'broadcast' : outcome.why) };
  const raw = Uint8Array.from(rawIn(point, outcome.bytes, start));
  const value = valueIn(point, outcome.bytes, start);
  if (typeof value === 'object') return { ...where, ...bad(value.reason), raw };
  return { ...where, value: worth(point.config, value), quality: 'good', raw };
}

function bad(reason: string): Pick<RawReading, 'value' | 'quality' | 'reason'> {
  return { value: null, quality: 'bad', reason };
}

/** Keeps what was refused out of every other block, on both sides. */
function around({ table, start, count }: Block): Cut[] {
  return [
    { table, from: start, to: start },
    { table, from: start + count, to: start + count },
  ];
}
