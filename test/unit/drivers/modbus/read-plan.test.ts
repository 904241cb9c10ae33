import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deviceSchema } from '../../../../src/config/schema.js';
import { isBits, type ModbusPoint, modbusPoints, type Table } from '../../../../src/drivers/modbus/point.js';
import {
  blockOf,
  type Cut,
  divide,
  PLAN_LIMITS,
  planReads,
} from '../../../../src/drivers/modbus/read-plan.js';

/** A point of the configuration that is as wide. */
function point(table: Table, address: number, width = 1): ModbusPoint {
  const name = 'p';
  const length = width === 1 ? {} : { length: width * 2 };
  const device = { bus: 'b', points: { [name]: { register: `${table}/${address}`, ...length } } };
  const [made] = modbusPoints('d', deviceSchema.parse(device));
  if (made === undefined) throw new Error('a point');
  return { ...made, name: `${table}/${address}+${width}` };
}

function spans(points: readonly ModbusPoint[], cuts: readonly Cut[] = []): string[] {
  return planReads(points, cuts, PLAN_LIMITS).map(({ table, start, count }) => `${table}/${start}+${count}`);
}

const anyPoints = fc.array(
  fc
    .record({
      table: fc.constantFrom<Table>('holding', 'input', 'coil', 'discrete'),
      address: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 65_532 })),
      width: fc.constantFrom(1, 2, 4),
    })
    .map(({ table, address, width }) => point(table, address, isBits(table) ? 1 : width)),
  { minLength: 1, maxLength: 60 },
);

const anyCuts = fc.array(
  fc.record({
    table: fc.constantFrom<Table>('holding', 'input', 'coil', 'discrete'),
    from: fc.integer({ min: 0, max: 400 }),
    more: fc.integer({ min: 0, max: 8 }),
  }),
  { maxLength: 10 },
);

describe('a read plan', () => {
  test('bridges a gap of 16 registers and not one of 17', () => {
    expect(spans([point('holding', 0), point('holding', 17)])).toEqual(['holding/0+18']);
    expect(spans([point('holding', 0), point('holding', 18)])).toEqual(['holding/0+1', 'holding/18+1']);
  });

  test('keeps the four tables apart', () => {
    const points = (['holding', 'input', 'coil', 'discrete'] as const).map((table) => point(table, 5));
    expect(spans(points)).toEqual(['holding/5+1', 'input/5+1', 'coil/5+1', 'discrete/5+1']);
  });

  test('reads 125 registers at once and begins another read with the value that would be torn', () => {
    const points = Array.from({ length: 63 }, (_, index) => point('holding', index * 2, 2));
    expect(spans(points)).toEqual(['holding/0+124', 'holding/124+2']);
  });

  test('does not read across a cut', () => {
    const points = [point('holding', 0), point('holding', 5), point('holding', 6)];
    expect(spans(points, [{ table: 'holding', from: 1, to: 5 }])).toEqual(['holding/0+1', 'holding/5+2']);
    expect(spans(points, [{ table: 'holding', from: 6, to: 6 }])).toEqual(['holding/0+6', 'holding/6+1']);
    expect(spans(points, [{ table: 'input', from: 1, to: 5 }])).toEqual(['holding/0+7']);
  });

  test('covers every point once, tears none, and stays within the limits, whatever the points and cuts', () => {
    fc.assert(
      fc.property(anyPoints, anyCuts, (points, raw) => {
        const cuts = raw.map(({ table, from, more }) => ({ table, from, to: from + more }));
        const blocks = planReads(points, cuts, PLAN_LIMITS);
        expect(new Set(blocks.flatMap((block) => block.points)).size).toBe(points.length);
        expect(blocks.flatMap((block) => block.points)).toHaveLength(points.length);
        for (const block of blocks) {
          expect(block.count).toBeLessThanOrEqual(isBits(block.table) ? 2000 : 125);
          for (const each of block.points) {
            expect(each.table).toBe(block.table);
            expect(each.address).toBeGreaterThanOrEqual(block.start);
            expect(each.address + each.width).toBeLessThanOrEqual(block.start + block.count);
          }
        }
      }),
    );
  });

  test('needs no more reads than any plan can do with, where nothing is cut', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 1000 }), { minLength: 1 }), (addresses) => {
        const blocks = planReads(
          addresses.map((address) => point('holding', address)),
          [],
          { ...PLAN_LIMITS, gapRegisters: 1000 },
        );
        // Each first register lies beyond the reach of the read before it, so none of them can be spared.
        blocks.slice(1).forEach((block, index) => {
          expect(block.start).toBeGreaterThanOrEqual((blocks[index]?.start ?? 0) + 125);
        });
      }),
    );
  });
});

describe('dividing a refused block', () => {
  test('takes the gap nearest the middle', () => {
    const points = [point('holding', 0), point('holding', 4), point('holding', 5), point('holding', 9)];
    const halves = divide(blockOf(points));
    expect(halves?.cut).toEqual({ table: 'holding', from: 1, to: 4 });
  });

  test('divides between values where there is no gap, and leaves one value alone', () => {
    const halves = divide(blockOf([point('holding', 0, 2), point('holding', 2, 2)]));
    expect(halves?.cut).toEqual({ table: 'holding', from: 2, to: 2 });
    expect(divide(blockOf([point('holding', 0, 4)]))).toBeUndefined();
  });

  test('does not divide values that overlap', () => {
    expect(divide(blockOf([point('holding', 0, 4), point('holding', 2, 2)]))).toBeUndefined();
  });

  test('gives halves that hold all points, and a cut that keeps them apart in the next plan', () => {
    fc.assert(
      fc.property(anyPoints, (points) => {
        for (const block of planReads(points, [], PLAN_LIMITS)) {
          const halves = divide(block);
          if (halves === undefined) continue;
          expect([...halves.left.points, ...halves.right.points]).toEqual(block.points);
          const next = planReads(block.points, [halves.cut], PLAN_LIMITS);
          expect(next.map(({ start, count }) => [start, count])).toEqual(
            [halves.left, halves.right].map(({ start, count }) => [start, count]),
          );
        }
      }),
    );
  });
});
