/**
 * Due points of one unit to the fewest reads: pure.
 *
 *   points ──sort by address──▶ Block: one read, within 125 registers or 2000 bits, gaps bridged up to a limit,
 *                               no value torn across two reads
 *
 * A Cut is a place where two neighbours must not share a read: the device refused a block across it, although it
 * gave both sides alone. A cut may span a hole that the device does not have, or have no width at all.
 */

import { isBits, type ModbusPoint, type Table } from './point.js';

export interface Block {
  readonly table: Table;
  readonly start: number;
  /** In registers, or bits. */
  readonly count: number;
  readonly points: readonly ModbusPoint[];
}

export interface Cut {
  readonly table: Table;
  readonly from: number;
  readonly to: number;
}

export interface PlanLimits {
  readonly registersMax: number;
  readonly bitsMax: number;
  readonly gapRegisters: number;
  readonly gapBits: number;
}

export const PLAN_LIMITS: PlanLimits = {
  // What fits in a PDU of 253 bytes.
  registersMax: 125,
  bitsMax: 2000,
  // Two bytes for each needless register against some 40 ms for another request at 9600 baud.
  gapRegisters: 16,
  gapBits: 256,
};

/** What a device's own keys make of them. */
export function limitsOf(keys: {
  readonly max_registers?: number | undefined;
  readonly max_bits?: number | undefined;
  readonly gap?: number | undefined;
}): PlanLimits {
  return {
    registersMax: keys.max_registers ?? PLAN_LIMITS.registersMax,
    bitsMax: keys.max_bits ?? PLAN_LIMITS.bitsMax,
    gapRegisters: keys.gap ?? PLAN_LIMITS.gapRegisters,
    gapBits: (keys.gap ?? PLAN_LIMITS.gapRegisters) * 16,
  };
}

/** Of several views of one unit. */
export function strictest(limits: readonly PlanLimits[]): PlanLimits {
  const least = (of: (each: PlanLimits) => number): number =>
    limits.reduce((least, each) => Math.min(least, of(each)), of(PLAN_LIMITS));
  return {
    registersMax: least((each) => each.registersMax),
    bitsMax: least((each) => each.bitsMax),
    gapRegisters: least((each) => each.gapRegisters),
    gapBits: least((each) => each.gapBits),
  };
}

export function planReads(points: readonly ModbusPoint[], cuts: readonly Cut[], limits: PlanLimits): Block[] {
  const blocks: Block[] = [];
  for (const table of ['holding', 'input', 'coil', 'discrete'] as const) {
    const inTable = points.filter((point) => point.table === table);
    inTable.sort((a, b) => a.address - b.address || a.width - b.width);
    const cutsInTable = cuts.filter((cut) => cut.table === table);
    blocks.push(...merge(table, inTable, cutsInTable, limits));
  }
  return blocks;
}

/** A block made of these points and nothing around them. */
export function blockOf(points: readonly ModbusPoint[]): Block {
  const [first] = points;
  if (first === undefined) throw new Error('invariant broken: a block has points');
  const start = Math.min(...points.map((point) => point.address));
  const end = Math.max(...points.map((point) => point.address + point.width));
  return { table: first.table, start, count: end - start, points };
}

/**
 * Where to divide a refused block: at the gap nearest its middle, since a hole lies in a gap more likely than in
 * what the operator named; without gaps, between two values. undefined: one value, or values that overlap.
 */
export function divide(
  block: Block,
): { readonly left: Block; readonly right: Block; readonly cut: Cut } | undefined {
  const middle = block.start + block.count / 2;
  let best: { readonly index: number; readonly cut: Cut; readonly cost: number } | undefined;
  let end = 0;
  for (const [index, point] of block.points.entries()) {
    if (index > 0 && point.address >= end) {
      const gap = point.address - end;
      const distance = Math.abs((end + point.address) / 2 - middle);
      const cost = gap > 0 ? distance : distance + block.count;
      if (best === undefined || cost < best.cost) {
        best = { index, cut: { table: block.table, from: end, to: point.address }, cost };
      }
    }
    end = Math.max(end, point.address + point.width);
  }
  if (best === undefined) return undefined;
  return {
    left: blockOf(block.points.slice(0, best.index)),
    right: blockOf(block.points.slice(best.index)),
    cut: best.cut,
  };
}

function merge(
  table: Table,
  points: readonly ModbusPoint[],
  cuts: readonly Cut[],
  limits: PlanLimits,
): Block[] {
  const unitsMax = isBits(table) ? limits.bitsMax : limits.registersMax;
  const gapMax = isBits(table) ? limits.gapBits : limits.gapRegisters;
  const blocks: Block[] = [];
  let open: ModbusPoint[] = [];
  let start = 0;
  let end = 0;
  for (const point of points) {
    const pointEnd = point.address + point.width;
    const joins =
      open.length > 0 &&
      point.address - end <= gapMax &&
      Math.max(end, pointEnd) - start <= unitsMax &&
      !cuts.some((cut) => separates(cut, end, point));
    if (!joins) {
      if (open.length > 0) blocks.push({ table, start, count: end - start, points: open });
      open = [];
      start = point.address;
      end = 0;
    }
    open.push(point);
    end = Math.max(end, pointEnd);
  }
  if (open.length > 0) blocks.push({ table, start, count: end - start, points: open });
  return blocks;
}

/** Between what ends at `end` and the point that follows; values that overlap cannot be cut apart. */
function separates(cut: Cut, end: number, point: ModbusPoint): boolean {
  return cut.from >= end && cut.to <= point.address;
}
