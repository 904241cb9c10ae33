/**
 * The encoding `columnar`, version 1: a Table (table.ts) in the fewest bytes.
 *
 *   0xC7 │ version × 16 + compression u8 │ bytes of the names, compressed and not: varint, varint │ names │ numbers
 *
 *   names    compressed: 0 not at all, 1 raw deflate, 2 brotli
 *            gateway │ journal │ replay, empty for none: texts
 *            topics: count, texts │ shapes: count, each (pieces: count, blobs) │ properties: count, blobs │
 *            texts: the rest, in the order in which numbers ask for them
 *            A text or blob stands behind its length; lengths and counts are LEB128
 *   numbers  through the range coder (range-coder.ts), integers with models that learn (number-model.ts), nothing is
 *            left in them to compress
 *            count of series │ each (topic, less the one before + 1; shape; QoS + 4 × RETAIN; properties from 1, 0 for
 *            none; messages; the hole near the time of acceptance, from 1, 0 for none; a model for each of these) │
 *            1 by (ts, series), 0 not: how messages are ordered, a plain bit
 *            then columns of integers (integer-columns.ts), in slots by their number within the series:
 *            of each series   of each hole (slot 2 + number of the hole) its numbers │ (slot 1) ts, less the near hole
 *            then             (slot 0) seq less its index in the order │ order, unless by (ts, series): of each the
 *                             series, less that which followed the one before the last time (at first the one after
 *                             it), modulo the count of series; one model
 *
 *   a hole   1 fixed places, 0 trailing zeros are not written: a plain bit │ places (a model by slot) │
 *            1 some are not plain: a plain bit; then of each 1 where not, a Chance for all │
 *            the plain ones × 10^places as a column │ of each that is not a plain bit: 0 its text is in `texts`,
 *            1 it is the shortest decimal of a double (double-xor.ts)
 */
import type { QoS } from '../core/message.js';
import { damaged, tooLarge } from './batch.js';
import { ByteSink } from './byte-sink.js';
import { ByteSource } from './byte-source.js';
import { DECIMAL_BYTES_MAX, MANTISSA_MAX, PLACES_MAX, POWERS, writeDecimal } from './decimal.js';
import { doubleOfText, XorSink, XorSource } from './double-xor.js';
import { IntegerColumnSink, IntegerColumnSource } from './integer-columns.js';
import { NumberModel } from './number-model.js';
import { propertyBlob, readPropertyBlob } from './property-blob.js';
import { Chances, RangeSink, RangeSource } from './range-coder.js';
import { type Column, nearHole, Series, type Table } from './table.js';

const SLOT_SEQ = 0;
const SLOT_TS = 1;
const SLOT_HOLES = 2;

export interface Columnar {
  readonly names: Uint8Array;
  readonly numbers: Uint8Array;
}

/** What learns along the way, on both sides alike. */
class Models {
  readonly count = new NumberModel();
  readonly topic = new NumberModel();
  readonly shape = new NumberModel();
  readonly flags = new NumberModel();
  readonly properties = new NumberModel();
  readonly length = new NumberModel();
  readonly near = new NumberModel();
  readonly order = new NumberModel();
  readonly odd = new Chances(1);
  readonly #places: NumberModel[] = [];

  places(slot: number): NumberModel {
    let model = this.#places[slot];
    if (model === undefined) {
      model = new NumberModel();
      this.#places[slot] = model;
    }
    return model;
  }
}

export function writeColumnar(table: Table): Columnar {
  return new ColumnarWriter().write(table);
}

class ColumnarWriter {
  readonly #names = new ByteSink(1024);
  readonly #texts = new ByteSink();
  readonly #numbers = new RangeSink();
  readonly #integers = new IntegerColumnSink(this.#numbers);
  readonly #models = new Models();

  write(table: Table): Columnar {
    const { series } = table;
    const nearHoles = series.map(nearHole);
    const byTs = isByTs(table);
    this.#writeSeries(table, nearHoles);
    this.#numbers.plain(byTs ? 1 : 0, 1);
    series.forEach(({ columns, ts }, index) => {
      columns.forEach((column, hole) => {
        this.#writeHole(column, SLOT_HOLES + hole);
      });
      const near = columns[nearHoles[index] as number]?.mantissas;
      this.#integers.write(
        near === undefined ? ts : ts.map((at, row) => at - (near[row] as number)),
        SLOT_TS,
      );
    });
    this.#integers.write(seqsOf(table), SLOT_SEQ);
    if (!byTs) for (const off of successions(table)) this.#models.order.write(this.#numbers, off);
    this.#names.raw(this.#texts.bytes);
    return { names: this.#names.bytes, numbers: this.#numbers.finish() };
  }

  #writeSeries({ gateway, journal, replay, series }: Table, nearHoles: readonly number[]): void {
    const names = this.#names;
    const topics = new Numbered<string>();
    const shapes = new Numbered<readonly Uint8Array[]>();
    const blobs = new Numbered<Uint8Array>();
    const rows = series.map(({ pieces, properties, topic }) => {
      const blob = properties === undefined ? undefined : propertyBlob(properties);
      return {
        topic: topics.number(topic, topic),
        // Lengths first, lest two shapes look the same.
        shape: shapes.number(`${pieces.map(({ length }) => length)} ${pieces.map(latin1).join('')}`, pieces),
        blob: blob === undefined ? 0 : blobs.number(latin1(blob), blob) + 1,
      };
    });
    names.text(gateway);
    names.text(journal);
    names.text(replay ?? '');
    names.varint(topics.all.length);
    for (const topic of topics.all) names.text(topic);
    names.varint(shapes.all.length);
    for (const pieces of shapes.all) {
      names.varint(pieces.length);
      for (const piece of pieces) names.blob(piece);
    }
    names.varint(blobs.all.length);
    for (const blob of blobs.all) names.blob(blob);
    const to = this.#numbers;
    const models = this.#models;
    models.count.write(to, series.length);
    series.forEach(({ length, qos, retain }, index) => {
      const { blob, shape, topic } = rows[index] as (typeof rows)[number];
      models.topic.write(to, topic - (rows[index - 1]?.topic ?? -1) - 1);
      models.shape.write(to, shape);
      models.flags.write(to, qos + (retain ? 4 : 0));
      models.properties.write(to, blob);
      models.length.write(to, length);
      models.near.write(to, (nearHoles[index] as number) + 1);
    });
  }

  #writeHole({ mantissas, places, texts }: Column, slot: number): void {
    const { most, shortest } = styleOf(mantissas, places);
    const values: number[] = [];
    const odd: string[] = [];
    const isOdd: boolean[] = [];
    let text = 0;
    for (let row = 0; row < places.length; row += 1) {
      const count = places[row] as number;
      const mantissa = mantissas[row] as number;
      const scaled = mantissa * (POWERS[most - count] ?? 0);
      const endsInZero = count > 0 && mantissa % 10 === 0;
      const fits = count >= 0 && Math.abs(scaled) < MANTISSA_MAX && !(shortest && endsInZero);
      isOdd.push(!fits);
      if (fits) values.push(scaled);
      else if (count >= 0) odd.push(plainText(mantissa, count));
      else {
        odd.push(texts[text] as string);
        text += 1;
      }
    }
    const to = this.#numbers;
    to.plain(shortest ? 0 : 1, 1);
    this.#models.places(slot).write(to, most);
    to.plain(odd.length > 0 ? 1 : 0, 1);
    if (odd.length > 0) for (const one of isOdd) to.bit(this.#models.odd, 0, one ? 1 : 0);
    this.#integers.write(values, slot);
    const doubles = new XorSink(to);
    for (const one of odd) {
      const double = doubleOfText(one);
      to.plain(double === undefined ? 0 : 1, 1);
      if (double === undefined) this.#texts.text(one);
      else doubles.write(double);
    }
  }
}

/** The most places of one, and whether the fractions have no zeros at their end. */
function styleOf(
  mantissas: readonly number[],
  places: readonly number[],
): { readonly most: number; readonly shortest: boolean } {
  let most = 0;
  let isFixed = true;
  let isShortest = true;
  for (let row = 0; row < places.length; row += 1) {
    const count = places[row] as number;
    if (count > most) most = count;
    if (count !== places[0]) isFixed = false;
    if (count > 0 && (mantissas[row] as number) % 10 === 0) isShortest = false;
  }
  return { most, shortest: isShortest || !isFixed };
}

/** Numbers things in the order in which they first come. */
class Numbered<T> {
  readonly all: T[] = [];
  readonly #numbers = new Map<string, number>();

  number(key: string, one: T): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.all.length;
      this.#numbers.set(key, number);
      this.all.push(one);
    }
    return number;
  }
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function isByTs({ order, series }: Table): boolean {
  const next = series.map(() => 0);
  let lastTs = Number.NEGATIVE_INFINITY;
  let lastIndex = 0;
  for (const index of order) {
    const row = next[index] as number;
    next[index] = row + 1;
    const ts = (series[index] as Series).ts[row] as number;
    if (ts < lastTs || (ts === lastTs && index < lastIndex)) return false;
    lastTs = ts;
    lastIndex = index;
  }
  return true;
}

function seqsOf({ order, series }: Table): number[] {
  const next = series.map(() => 0);
  return order.map((index, place) => {
    const row = next[index] as number;
    next[index] = row + 1;
    return ((series[index] as Series).seqs[row] as number) - place;
  });
}

function successions({ order, series }: Table): number[] {
  const successor = series.map((_, index) => (index + 1) % series.length);
  let before = series.length - 1;
  return order.map((index) => {
    const off = (index - (successor[before] as number) + series.length) % series.length;
    successor[before] = index;
    before = index;
    return off;
  });
}

function plainText(mantissa: number, places: number): string {
  const bytes = new Uint8Array(DECIMAL_BYTES_MAX);
  return latin1(bytes.subarray(0, writeDecimal(bytes, 0, mantissa, places, false)));
}

export function readColumnar(
  names: Uint8Array,
  numbers: Uint8Array,
  limits: { readonly bytesMax: number; readonly messagesMax: number },
): Table {
  return new ColumnarReader(names, numbers).read(limits);
}

interface Row {
  readonly like: ConstructorParameters<typeof Series>[0];
  readonly pieces: readonly Uint8Array[];
  readonly length: number;
  readonly near: number;
}

class ColumnarReader {
  readonly #names: ByteSource;
  readonly #numbers: RangeSource;
  readonly #integers: IntegerColumnSource;
  readonly #models = new Models();

  constructor(names: Uint8Array, numbers: Uint8Array) {
    this.#names = new ByteSource(names);
    this.#numbers = new RangeSource(numbers);
    this.#integers = new IntegerColumnSource(this.#numbers);
  }

  read({ bytesMax, messagesMax }: { readonly bytesMax: number; readonly messagesMax: number }): Table {
    const { gateway, journal, replay, rows } = this.#readSeries(messagesMax);
    const count = rows.reduce((sum, { length }) => sum + length, 0);
    // A column that costs no bit must not take any memory either.
    const holes = rows.reduce((sum, { length, pieces }) => sum + length * (pieces.length - 1), 0);
    if (holes * DECIMAL_BYTES_MAX > bytesMax) throw tooLarge(`its payloads take more than ${bytesMax} bytes`);
    const byTs = this.#numbers.plain(1) === 1;
    const series = rows.map(({ length, like, near, pieces }) => {
      const one = new Series(like, pieces);
      one.columns.forEach((column, hole) => {
        this.#readHole(column, length, SLOT_HOLES + hole);
      });
      const hole = one.columns[near - 1];
      this.#integers.read(length, SLOT_TS).forEach((ts, row) => {
        one.ts.push(ts + (hole?.mantissas[row] ?? 0));
      });
      return one;
    });
    const seqs = this.#integers.read(count, SLOT_SEQ);
    const order = byTs ? orderByTs(series) : this.#readOrder(count, series.length);
    order.forEach((index, place) => {
      series[index]?.seqs.push((seqs[place] as number) + place);
    });
    if (series.some(({ seqs, ts }) => seqs.length !== ts.length)) throw damaged('a series is not complete');
    return { gateway, journal, ...(replay !== '' && { replay }), series, order };
  }

  #readSeries(messagesMax: number): { gateway: string; journal: string; replay: string; rows: Row[] } {
    const names = this.#names;
    const list = <T>(one: () => T): T[] => Array.from({ length: names.count() }, one);
    const gateway = names.text();
    const journal = names.text();
    const replay = names.text();
    const topics = list(() => names.text());
    const shapes = list(() => list(() => names.blob()));
    const properties = list(() => readPropertyBlob(names.blob()));
    const from = this.#numbers;
    const models = this.#models;
    const rows: Row[] = [];
    let topic = -1;
    let messages = 0;
    for (let left = models.count.readCount(from, messagesMax); left > 0; left -= 1) {
      topic += 1 + models.topic.read(from);
      const name = topics[topic];
      const pieces = shapes[models.shape.read(from)];
      const flags = models.flags.readCount(from, 6);
      const blob = models.properties.readCount(from, properties.length);
      const length = models.length.readCount(from, Number.MAX_SAFE_INTEGER);
      messages += length;
      if (messages > messagesMax) throw tooLarge(`it has more than ${messagesMax} messages`);
      if (name === undefined || pieces === undefined || pieces.length === 0 || flags === 3) {
        throw damaged('a series without its names');
      }
      const near = models.near.readCount(from, pieces.length - 1);
      const qos = (flags & 3) as QoS;
      const like = { topic: name, qos, retain: flags > 3, properties: properties[blob - 1] };
      rows.push({ like, pieces, length, near });
    }
    return { gateway, journal, replay, rows };
  }

  #readHole(column: Column, length: number, slot: number): void {
    const from = this.#numbers;
    column.shortest = from.plain(1) === 0;
    const places = this.#models.places(slot).readCount(from, PLACES_MAX);
    if (from.plain(1) === 0) {
      for (const value of this.#integers.read(length, slot)) column.push(value, places);
      return;
    }
    let plain = 0;
    const isOdd = Array.from({ length }, () => {
      const odd = from.bit(this.#models.odd, 0);
      plain += 1 - odd;
      return odd === 1;
    });
    const values = this.#integers.read(plain, slot);
    const doubles = new XorSource(from);
    let next = 0;
    for (const odd of isOdd) {
      if (odd) column.pushText(from.plain(1) === 1 ? String(doubles.read()) : asAscii(this.#names.text()));
      else {
        column.push(values[next] as number, places);
        next += 1;
      }
    }
  }

  #readOrder(count: number, seriesCount: number): number[] {
    const successor = Array.from({ length: seriesCount }, (_, index) => (index + 1) % seriesCount);
    let before = seriesCount - 1;
    return Array.from({ length: count }, () => {
      const off = this.#models.order.readCount(this.#numbers, seriesCount - 1);
      const index = (off + (successor[before] as number)) % seriesCount;
      successor[before] = index;
      before = index;
      return index;
    });
  }
}

/** They are spellings of numbers. */
function asAscii(text: string): string {
  for (let at = 0; at < text.length; at += 1) {
    if (text.charCodeAt(at) > 0x7f) throw damaged('a number with letters');
  }
  return text;
}

function orderByTs(series: readonly Series[]): number[] {
  const all: { readonly index: number; readonly ts: number }[] = [];
  series.forEach((one, index) => {
    for (const ts of one.ts) all.push({ index, ts });
  });
  // What is the same stays in the order of the series: the sort is stable.
  return all.sort((a, b) => a.ts - b.ts).map(({ index }) => index);
}
