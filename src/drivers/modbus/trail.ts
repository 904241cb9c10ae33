/**
 * What was asked of one unit and may still be answered late, so that a new request can be told from it: pure.
 *
 * An RTU reply names neither address nor request; all that it shows is its shape: function and length. So:
 *
 *   - a request never has the shape of one that timed out and may still be answered;
 *   - on a line whose replies carry no identifier it does not have the shape of the last one either: the same block
 *     is read with one register more every other time, so that an answer given twice, or the previous answer, has
 *     the wrong length;
 *   - where the shape cannot be varied (the device refuses the register beyond), a short read of another shape goes
 *     first, a mark: once it is answered, whatever was asked before it is answered or lost, since a unit answers in
 *     order. That is a second request; only such devices, on such lines, pay it.
 *
 * What a device says about the registers beyond a block is remembered: one that refuses them, or falls silent
 * twice, is not asked for more than the block again.
 */

import { dataBytes, FUNCTION_CODES, type ReadRange } from './pdu.js';
import { ADDRESS_END, isBits } from './point.js';
import type { PlanLimits } from './read-plan.js';

export interface Attempt {
  readonly range: ReadRange;
  /** `mark`: its data are of no use, its answer is. */
  readonly purpose: 'value' | 'mark';
}

/** Later than this no reply is expected any more, even by radio. */
const LATE_REPLY_MS = 10_000;
const EXTENSION_MAX = 2;
/** Shapes tried for a mark: more than can be outstanding within LATE_REPLY_MS in practice. */
const MARK_MAX = 64;

/** More blocks than a unit is ever read in; forgetting them costs a detour. */
const GIVEN_MAX = 256;

interface Outstanding {
  readonly sentMs: number;
  readonly functionCode: number;
  readonly mayBeRefused: boolean;
}

interface Extension {
  state: 'unknown' | 'good' | 'refused';
  /** Not tried before the plain block was answered again. */
  blocked: boolean;
  silences: number;
}

export class Trail {
  readonly #tellsApart: boolean;
  readonly #limits: PlanLimits;
  /** By shape. */
  readonly #outstanding = new Map<string, Outstanding>();
  /** Ranges that were answered with data: a late answer of theirs is no exception, and they make good marks. */
  readonly #given = new Map<string, ReadRange>();
  readonly #extensions = new Map<string, Extension>();
  #lastShape: string | undefined;

  /** `tellsApart`: replies carry an identifier, so only what lies behind them (a gateway) can mix them up. */
  constructor(tellsApart: boolean, limits: PlanLimits) {
    this.#tellsApart = tellsApart;
    this.#limits = limits;
  }

  choose(block: ReadRange, nowMs: number): Attempt {
    for (const [shape, { sentMs }] of this.#outstanding) {
      if (nowMs - sentMs > LATE_REPLY_MS) this.#outstanding.delete(shape);
    }
    const plain: Attempt = { range: block, purpose: 'value' };
    if (this.#outstanding.size === 0) {
      if (this.#tellsApart) return plain;
      if (this.#lastShape === refusalOf(block) && !this.#given.has(keyOf(block))) {
        // It may be refused as well, and two refusals cannot be told apart.
        const mark = this.#givenMark(block);
        return mark === undefined ? plain : { range: mark, purpose: 'mark' };
      }
      if (this.#lastShape !== shapeOf(block)) return plain;
      const extended = this.#extended(block, 'unknown');
      if (extended !== undefined) return { range: extended, purpose: 'value' };
    } else {
      if (!this.#outstanding.has(shapeOf(block))) return plain;
      const extended = this.#extended(block, 'good');
      if (extended !== undefined) return { range: extended, purpose: 'value' };
    }
    return { range: this.#mark(block), purpose: 'mark' };
  }

  /** No answer came; it may still. */
  silent(block: ReadRange, range: ReadRange, nowMs: number): void {
    this.#remember(range, nowMs);
    if (!isExtended(block, range)) return;
    const extension = this.#extension(block, range);
    extension.silences += 1;
    extension.blocked = true;
  }

  /** Data came in the shape that only this request has: nothing earlier can come any more. */
  data(block: ReadRange, attempt: Attempt): void {
    const { range } = attempt;
    this.#outstanding.clear();
    this.#lastShape = shapeOf(range);
    if (this.#given.size >= GIVEN_MAX) this.#given.clear();
    this.#given.set(keyOf(range), range);
    if (isExtended(block, range)) {
      this.#extensions.set(extensionKey(block, range), { state: 'good', blocked: false, silences: 0 });
    } else if (attempt.purpose === 'value') {
      for (const side of [above(block, 1), below(block, 1)]) {
        const extension = this.#extensions.get(extensionKey(block, side));
        if (extension === undefined) continue;
        if (extension.silences >= 2) extension.state = 'refused';
        extension.blocked = false;
      }
    }
  }

  /**
   * Something else than a read was answered. A second copy of that answer has another function, so the next read
   * needs no other shape than its own; what timed out before may still come.
   */
  otherAnswered(): void {
    this.#lastShape = undefined;
  }

  /** An exception came. True: it may be the answer to an earlier request, so it says nothing about this one. */
  exception(block: ReadRange, range: ReadRange, nowMs: number): boolean {
    const functionCode = FUNCTION_CODES[range.table];
    const mayBeLate = [...this.#outstanding.values()].some(
      (earlier) => earlier.mayBeRefused && earlier.functionCode === functionCode,
    );
    const mayBeTheLast = this.#lastShape === refusalOf(range);
    if ((mayBeLate || mayBeTheLast) && !this.#tellsApart) {
      this.#remember(range, nowMs);
      return true;
    }
    this.#outstanding.clear();
    this.#lastShape = refusalOf(range);
    if (isExtended(block, range)) this.#extension(block, range).state = 'refused';
    return false;
  }

  #remember(range: ReadRange, sentMs: number): void {
    const mayBeRefused = !this.#given.has(keyOf(range));
    this.#outstanding.set(shapeOf(range), {
      sentMs,
      functionCode: FUNCTION_CODES[range.table],
      mayBeRefused,
    });
  }

  /** One or two registers more, above or below, in a shape that nothing else has. */
  #extended(block: ReadRange, least: 'unknown' | 'good'): ReadRange | undefined {
    for (const side of [above, below]) {
      for (let more = 1; more <= EXTENSION_MAX; more++) {
        const range = side(block, more);
        if (!this.#isPossible(range)) continue;
        const known = this.#extensions.get(extensionKey(block, range));
        const state = known?.state ?? 'unknown';
        if (state === 'refused' || known?.blocked === true) continue;
        if (least === 'good' && state !== 'good') continue;
        const shape = shapeOf(range);
        if (!this.#outstanding.has(shape) && shape !== this.#lastShape) return range;
      }
    }
    return undefined;
  }

  #givenMark(block: ReadRange): ReadRange | undefined {
    for (const range of this.#given.values()) {
      const shape = shapeOf(range);
      if (!this.#outstanding.has(shape) && shape !== this.#lastShape && shape !== shapeOf(block))
        return range;
    }
    return undefined;
  }

  #mark(block: ReadRange): ReadRange {
    const given = this.#givenMark(block);
    if (given !== undefined) return given;
    const step = stepOf(block);
    for (let length = 1; length <= MARK_MAX; length++) {
      const count = length * step;
      const range = { ...block, start: Math.min(block.start, ADDRESS_END - count), count };
      if (!this.#isPossible(range)) break;
      const shape = shapeOf(range);
      if (!this.#outstanding.has(shape) && shape !== this.#lastShape && shape !== shapeOf(block))
        return range;
    }
    // All shapes are taken: the oldest is the one least likely to be answered still.
    this.#outstanding.clear();
    return { ...block, count: step };
  }

  #isPossible({ table, start, count }: ReadRange): boolean {
    const countMax = isBits(table) ? this.#limits.bitsMax : this.#limits.registersMax;
    return start >= 0 && start + count <= ADDRESS_END && count <= countMax;
  }

  #extension(block: ReadRange, range: ReadRange): Extension {
    const key = extensionKey(block, range);
    const known = this.#extensions.get(key);
    if (known !== undefined) return known;
    const extension: Extension = { state: 'unknown', blocked: false, silences: 0 };
    this.#extensions.set(key, extension);
    return extension;
  }
}

/** Function and bytes of data: all that an RTU reply shows of its request. */
function shapeOf(range: ReadRange): string {
  return `${FUNCTION_CODES[range.table]}:${dataBytes(range.table, range.count)}`;
}

/** All that a refusal shows of its request is the function. */
function refusalOf(range: ReadRange): string {
  return `${FUNCTION_CODES[range.table]}!`;
}

function keyOf({ table, start, count }: ReadRange): string {
  return `${table}/${start}+${count}`;
}

/** By the address next to the block: it decides, however many follow. */
function extensionKey(block: ReadRange, range: ReadRange): string {
  return range.start < block.start
    ? `${block.table}<${block.start}`
    : `${block.table}>${block.start + block.count}`;
}

/** Bits are answered in whole bytes. */
function stepOf(block: ReadRange): number {
  return isBits(block.table) ? 8 : 1;
}

function above(block: ReadRange, more: number): ReadRange {
  return { ...block, count: block.count + more * stepOf(block) };
}

function below(block: ReadRange, more: number): ReadRange {
  const units = more * stepOf(block);
  return { ...block, start: block.start - units, count: block.count + units };
}

function isExtended(block: ReadRange, range: ReadRange): boolean {
  return range.start < block.start || range.start + range.count > block.start + block.count;
}
