/**
 * A batch by series. What one topic sends again and again differs in its numbers alone, so a payload is taken apart
 * into a shape and its numbers, whoever wrote it:
 *
 *   {"ts":1732147200123,"value":21.5,"unit":"°C"}   shape  {"ts": ◯ ,"value": ◯ ,"unit":"°C"}   numbers  1732147200123  21.5
 *
 * Messages with the same topic, QoS, RETAIN, properties and shape are one series; each hole of its shape is a Column.
 * Taking apart and putting together is exact to the byte for any payload: one without numbers is a shape without holes.
 */
import type { MessageProperties, QoS } from '../core/message.js';
import { BATCH_BYTES_MAX, type Batch, type BatchMessage, damaged, tooLarge } from './batch.js';
import { DECIMAL_BYTES_MAX, DecimalReader, writeDecimal } from './decimal.js';

export interface Table {
  readonly gateway: string;
  readonly journal: string;
  readonly replay?: string;
  readonly series: readonly Series[];
  /** Which series each message is of, in the order of `seq`; each takes the next of its series. */
  readonly order: readonly number[];
}

export class Series {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties | undefined;
  /** One more than there are holes. */
  readonly pieces: readonly Uint8Array[];
  readonly columns: readonly Column[];
  readonly seqs: number[] = [];
  /** When each was accepted. */
  readonly ts: number[] = [];

  constructor(
    { topic, qos, retain, properties }: Omit<BatchMessage, 'payload' | 'seq' | 'ts'>,
    pieces: readonly Uint8Array[],
  ) {
    this.topic = topic;
    this.qos = qos;
    this.retain = retain;
    this.properties = properties;
    this.pieces = pieces;
    this.columns = pieces.slice(1).map(() => new Column());
  }

  get length(): number {
    return this.seqs.length;
  }
}

/** The numbers in one hole, one for each message of the series. */
export class Column {
  readonly mantissas: number[] = [];
  /** -1: not plainly written, its text is in `texts`. */
  readonly places: number[] = [];
  readonly texts: string[] = [];
  /** Whether trailing zeros of the fraction are not written, whatever `places` says. */
  shortest = false;

  push(mantissa: number, places: number): void {
    this.mantissas.push(mantissa);
    this.places.push(places);
  }

  pushText(text: string): void {
    this.push(0, -1);
    this.texts.push(text);
  }
}

/** More numbers than that in a payload are no reading. */
const HOLES_MAX = 64;
const SHAPED_BYTES_MAX = 4096;
/** A topic with more shapes than that sends something that has none. */
const SHAPES_TRIED_MAX = 8;

/** Takes messages apart, one by one. */
export class Tabulator {
  readonly #series: Series[] = [];
  readonly #order: number[] = [];
  readonly #byTopic = new Map<string, number[]>();
  readonly #number = new DecimalReader();
  readonly #mantissas = new Array<number>(HOLES_MAX).fill(0);
  readonly #places = new Array<number>(HOLES_MAX).fill(0);
  readonly #ends = new Array<number>(HOLES_MAX).fill(0);
  readonly #starts = new Array<number>(HOLES_MAX).fill(0);

  add(message: BatchMessage): void {
    const { payload, topic } = message;
    let candidates = this.#byTopic.get(topic);
    if (candidates === undefined) {
      candidates = [];
      this.#byTopic.set(topic, candidates);
    }
    for (const index of candidates) {
      const series = this.#series[index] as Series;
      if (!isSameKind(series, message) || !this.#fits(series.pieces, payload)) continue;
      this.#push(index, series, message);
      return;
    }
    const series = new Series(message, this.#shape(payload));
    const index = this.#series.length;
    this.#series.push(series);
    candidates.unshift(index);
    if (candidates.length > SHAPES_TRIED_MAX) candidates.pop();
    this.#push(index, series, message);
  }

  finish(names: Omit<Batch, 'messages'>): Table {
    const { gateway, journal, replay } = names;
    return {
      gateway,
      journal,
      ...(replay !== undefined && { replay }),
      series: this.#series,
      order: this.#order,
    };
  }

  #push(index: number, series: Series, { payload, seq, ts }: BatchMessage): void {
    this.#order.push(index);
    series.seqs.push(seq);
    series.ts.push(ts);
    const { columns } = series;
    for (let hole = 0; hole < columns.length; hole += 1) {
      const column = columns[hole] as Column;
      const places = this.#places[hole] as number;
      if (places >= 0) column.push(this.#mantissas[hole] as number, places);
      else column.pushText(asciiText(payload, this.#starts[hole] as number, this.#ends[hole] as number));
    }
  }

  /** Whether the payload has this shape; if so, its numbers are noted. */
  #fits(pieces: readonly Uint8Array[], payload: Uint8Array): boolean {
    let at = 0;
    const holes = pieces.length - 1;
    for (let hole = 0; ; hole += 1) {
      const piece = pieces[hole] as Uint8Array;
      const { length } = piece;
      if (at + length > payload.length) return false;
      for (let index = 0; index < length; index += 1) {
        if (payload[at + index] !== piece[index]) return false;
      }
      at += length;
      if (hole === holes) return at === payload.length;
      if (!this.#number.read(payload, at)) return false;
      this.#note(hole, at);
      at = this.#number.end;
    }
  }

  #note(hole: number, start: number): void {
    const { end, mantissa, places } = this.#number;
    this.#starts[hole] = start;
    this.#ends[hole] = end;
    this.#mantissas[hole] = mantissa;
    this.#places[hole] = places;
  }

  /** Finds the holes of a payload that fits no series yet, and notes its numbers. */
  #shape(payload: Uint8Array): readonly Uint8Array[] {
    if (payload.length > SHAPED_BYTES_MAX || !isText(payload)) return [payload.slice()];
    const pieces: Uint8Array[] = [];
    let pieceAt = 0;
    let at = 0;
    while (at < payload.length && pieces.length < HOLES_MAX) {
      if (!mayBegin(payload, at) || !this.#number.read(payload, at)) {
        at += 1;
        continue;
      }
      const { end } = this.#number;
      // In quotes only where it is all that they hold: no hole in a date or an address.
      if (payload[at - 1] === QUOTE && payload[end] !== QUOTE) {
        at += 1;
        continue;
      }
      this.#note(pieces.length, at);
      pieces.push(payload.slice(pieceAt, at));
      pieceAt = end;
      at = end;
    }
    pieces.push(payload.slice(pieceAt));
    return pieces;
  }
}

const QUOTE = 34;

/** Not within a word or a number. */
function mayBegin(payload: Uint8Array, at: number): boolean {
  const before = payload[at - 1];
  if (before === undefined) return true;
  const isWord =
    (before >= 48 && before <= 57) ||
    (before >= 65 && before <= 90) ||
    (before >= 97 && before <= 122) ||
    before === 95 ||
    before === 46 ||
    before === 45 ||
    before === 43;
  return !isWord;
}

function isText(payload: Uint8Array): boolean {
  for (const byte of payload) if (byte < 32 && byte !== 10 && byte !== 13 && byte !== 9) return false;
  return true;
}

function isSameKind(series: Series, message: BatchMessage): boolean {
  return (
    series.qos === message.qos &&
    series.retain === message.retain &&
    isSameProperties(series.properties, message.properties)
  );
}

function isSameProperties(a: MessageProperties | undefined, b: MessageProperties | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  return (
    a.payloadFormatIndicator === b.payloadFormatIndicator &&
    a.messageExpiryInterval === b.messageExpiryInterval &&
    a.contentType === b.contentType &&
    a.responseTopic === b.responseTopic &&
    isSameBytes(a.correlationData, b.correlationData) &&
    a.userProperties?.length === b.userProperties?.length &&
    (a.userProperties ?? []).every(([name, value], index) => {
      const other = b.userProperties?.[index];
      return other?.[0] === name && other[1] === value;
    })
  );
}

function isSameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function asciiText(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 1) text += String.fromCharCode(bytes[at] as number);
  return text;
}

/** A reading is accepted soon after it was read. */
const NEAR_MS = 24 * 3600 * 1000;

/** Which hole holds the time at which the reading was taken, so that `ts` is near it; -1: none. */
export function nearHole({ columns, ts }: Series): number {
  return columns.findIndex(
    ({ mantissas, places }) =>
      places.every((count) => count === 0) &&
      mantissas.every((value, row) => Math.abs(value - (ts[row] as number)) < NEAR_MS),
  );
}

/** Puts the messages together again. */
export function messagesOf(table: Table, bytesMax = BATCH_BYTES_MAX): BatchMessage[] {
  const { order, series } = table;
  const bytes = new Uint8Array(payloadBytesMost(series, bytesMax));
  const next = new Array<number>(series.length).fill(0);
  const nextTexts = series.map(({ columns }) => columns.map(() => 0));
  const messages: BatchMessage[] = [];
  let at = 0;
  let before = -1;
  for (const index of order) {
    const one = series[index];
    const row = next[index];
    if (one === undefined || row === undefined || row >= one.length) throw damaged('a message of no series');
    next[index] = row + 1;
    const start = at;
    const { columns, pieces } = one;
    for (let hole = 0; hole < pieces.length; hole += 1) {
      const piece = pieces[hole] as Uint8Array;
      // A call costs more than so few bytes.
      if (piece.length > 16) bytes.set(piece, at);
      else for (let place = 0; place < piece.length; place += 1) bytes[at + place] = piece[place] as number;
      at += piece.length;
      const column = columns[hole];
      if (column === undefined) continue;
      const places = column.places[row] as number;
      if (places >= 0) {
        at = writeDecimal(bytes, at, column.mantissas[row] as number, places, column.shortest);
        continue;
      }
      const texts = nextTexts[index] as number[];
      const text = column.texts[texts[hole] as number] as string;
      texts[hole] = (texts[hole] as number) + 1;
      for (let place = 0; place < text.length; place += 1) bytes[at + place] = text.charCodeAt(place);
      at += text.length;
    }
    const { properties, qos, retain, topic } = one;
    const seq = one.seqs[row] as number;
    if (seq <= before) throw damaged('its messages are out of order');
    before = seq;
    const payload = bytes.subarray(start, at);
    const ts = one.ts[row] as number;
    messages.push(
      properties === undefined
        ? { topic, payload, qos, retain, seq, ts }
        : { topic, payload, qos, retain, properties, seq, ts },
    );
  }
  return messages;
}

/** So much is set aside at once; a small batch must not ask for much. */
function payloadBytesMost(series: readonly Series[], bytesMax: number): number {
  let most = 0;
  for (const { columns, length, pieces } of series) {
    most += length * pieces.reduce((sum, piece) => sum + piece.length, columns.length * DECIMAL_BYTES_MAX);
    for (const { texts } of columns) for (const text of texts) most += text.length;
    if (most > bytesMax) throw tooLarge(`its payloads take more than ${bytesMax} bytes`);
  }
  return most;
}
