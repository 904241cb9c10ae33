/**
 * The encodings `json` and `cbor`: a Table as a document that any JSON or CBOR library reads.
 *
 *   {"godwit":1,"gw":"well-17","j":"k3v9x2ab","series":[
 *     {"topic":"site/tank/level","qos":1,"payload":["{\"ts\":",",\"value\":",",\"unit\":\"%\"}"],"near":0,"deltas":[0],
 *      "rows":[[4711,2,1732147200123,71.2],[40,1,1000,71.3]]}]}
 *
 *   godwit     version of this layout        replay      the job that sent it, where it is a replay
 *   payload    what stands before, between and after the numbers: text, {"base64":…} in json or bytes in cbor
 *   row        seq │ ts │ the payload's numbers; seq as the difference to the row before (the first to 0)
 *   near       the number that the time of acceptance is near: `ts` is told less it; absent: less the `ts` before
 *   deltas     numbers that are told as differences too, the first as it is
 *   a number   a JSON number where its shortest text is how the payload has it, else that text as a string
 *   retain     true where set; absent: not          properties   of MQTT 5.0, where the messages have any
 *
 * All messages of a batch are sorted by `seq`.
 */
import type { MessageProperties, QoS } from '../core/message.js';
import { type BatchEncoding, damaged, tooLarge } from './batch.js';
import { decodeText } from './byte-source.js';
import { fromCbor, toCbor } from './cbor.js';
import { DecimalReader, POWERS } from './decimal.js';
import { type Column, nearHole, Series, type Table } from './table.js';

const VERSION = 1;
const ENCODER = new TextEncoder();
/** Times in milliseconds are told as differences; a small counter is easier read as it is. */
const DELTA_LEAST = 1e11;

type Json =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly Json[]
  | { readonly [key: string]: Json };

export function writeDocument(table: Table, encoding: Exclude<BatchEncoding, 'columnar'>): Uint8Array {
  const { gateway, journal, replay, series } = table;
  const bytesOf = encoding === 'cbor' ? (bytes: Uint8Array) => bytes : asBase64;
  const document = {
    godwit: VERSION,
    gw: gateway,
    j: journal,
    ...(replay !== undefined && { replay }),
    series: series.map((one) => seriesDocument(one, bytesOf)),
  };
  return encoding === 'cbor' ? toCbor(document) : ENCODER.encode(JSON.stringify(document));
}

function seriesDocument(
  series: Series,
  bytesOf: (bytes: Uint8Array) => Json,
): { readonly [key: string]: Json } {
  const { columns, pieces, properties, qos, retain, seqs, topic, ts } = series;
  const near = nearHole(series);
  const deltas = columns.flatMap((column, hole) => (isTimeLike(column) ? [hole] : []));
  const texts = columns.map(() => 0);
  const rows = seqs.map((seq, row): Json[] => {
    const nearValue = columns[near]?.mantissas[row] ?? ts[row - 1] ?? 0;
    return [
      seq - (seqs[row - 1] ?? 0),
      (ts[row] as number) - nearValue,
      ...columns.map((column, hole): Json => {
        const mantissa = column.mantissas[row] as number;
        if (deltas.includes(hole)) return mantissa - (column.mantissas[row - 1] ?? 0);
        const places = column.places[row] as number;
        if (places >= 0) return numberOrText(mantissa, places);
        const text = texts[hole] as number;
        texts[hole] = text + 1;
        return column.texts[text] as string;
      }),
    ];
  });
  return {
    topic,
    qos,
    ...(retain && { retain }),
    ...(properties !== undefined && { properties: propertiesDocument(properties, bytesOf) }),
    payload: pieces.map((piece) => textOf(piece) ?? bytesOf(piece)),
    ...(near >= 0 && { near }),
    ...(deltas.length > 0 && { deltas }),
    rows,
  };
}

function isTimeLike({ mantissas, places }: Column): boolean {
  return places.every((count) => count === 0) && mantissas.every((value) => Math.abs(value) >= DELTA_LEAST);
}

/** A number, where it is written as JavaScript would write it. */
function numberOrText(mantissa: number, places: number): number | string {
  const number = mantissa / (POWERS[places] as number);
  if (places === 0 || (mantissa % 10 !== 0 && Math.abs(number) >= 1e-6)) return number;
  return number.toFixed(places);
}

function propertiesDocument(
  properties: MessageProperties,
  bytesOf: (bytes: Uint8Array) => Json,
): { readonly [key: string]: Json } {
  const { correlationData, userProperties, ...others } = properties;
  return {
    ...others,
    ...(correlationData !== undefined && { correlationData: bytesOf(correlationData) }),
    ...(userProperties !== undefined && { userProperties }),
  };
}

/** Undefined where they are no UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decodeText(bytes);
  } catch {
    return undefined;
  }
}

function asBase64(bytes: Uint8Array): Json {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return { base64: btoa(text) };
}

export function readDocument(bytes: Uint8Array, messagesMax: number): Table {
  const document = asObject(bytes[0] === BRACE ? fromJson(bytes) : fromCbor(bytes));
  if (document.godwit !== VERSION) throw damaged(`version ${String(document.godwit)} of its layout`);
  const all: { readonly seq: number; readonly index: number }[] = [];
  const series = asList(document.series).map((one, index) => {
    const read = readSeries(asObject(one));
    if (all.length + read.length > messagesMax) throw tooLarge(`it has more than ${messagesMax} messages`);
    for (const seq of read.seqs) all.push({ seq, index });
    return read;
  });
  const replay = document.replay;
  return {
    gateway: asText(document.gw),
    journal: asText(document.j),
    ...(replay !== undefined && { replay: asText(replay) }),
    series,
    order: all.sort((a, b) => a.seq - b.seq).map(({ index }) => index),
  };
}

const BRACE = 123;

function fromJson(bytes: Uint8Array): unknown {
  const text = decodeText(bytes);
  try {
    return JSON.parse(text);
  } catch {
    throw damaged('it is no JSON');
  }
}

function readSeries(document: { readonly [key: string]: unknown }): Series {
  const { properties, qos, retain } = document;
  const pieces = asList(document.payload).map(asBytes);
  if (pieces.length === 0 || !(qos === 0 || qos === 1 || qos === 2))
    throw damaged('a series without its names');
  const like = {
    topic: asText(document.topic),
    qos: qos as QoS,
    retain: retain === true,
    properties: properties === undefined ? undefined : readProperties(asObject(properties)),
  };
  const series = new Series(like, pieces);
  const { columns } = series;
  const near = document.near === undefined ? -1 : asInteger(document.near);
  if (near >= columns.length) throw damaged('it refers to a number that is not there');
  const deltas = new Set(asList(document.deltas ?? []).map(asInteger));
  for (const row of asList(document.rows)) readRow(series, asList(row), near, deltas);
  return series;
}

const NUMBER = new DecimalReader();

function readRow(series: Series, row: readonly unknown[], near: number, deltas: ReadonlySet<number>): void {
  const { columns, seqs, ts } = series;
  if (row.length !== columns.length + 2) throw damaged('a row with too few or too many numbers');
  columns.forEach((column, hole) => {
    const value = row[hole + 2];
    if (deltas.has(hole)) {
      column.push(asInteger(asInteger(value) + (column.mantissas.at(-1) ?? 0)), 0);
      return;
    }
    if (typeof value !== 'number' && typeof value !== 'string') throw damaged('a number that is none');
    const text = String(value);
    const spelt = ENCODER.encode(text);
    if (NUMBER.read(spelt, 0) && NUMBER.end === spelt.length && NUMBER.places >= 0)
      column.push(NUMBER.mantissa, NUMBER.places);
    else if (spelt.length === text.length) column.pushText(text);
    else throw damaged('a number with letters');
  });
  const nearValue = near < 0 ? ts.at(-1) : columns[near]?.mantissas.at(-1);
  seqs.push(asInteger(asInteger(row[0]) + (seqs.at(-1) ?? 0)));
  ts.push(asInteger(asInteger(row[1]) + (nearValue ?? 0)));
}

function readProperties(document: { readonly [key: string]: unknown }): MessageProperties {
  const { payloadFormatIndicator: format, messageExpiryInterval: expiry } = document;
  const { contentType, correlationData, responseTopic, userProperties } = document;
  if (format !== undefined && format !== 0 && format !== 1) throw damaged('a payload format that is none');
  return {
    ...(format !== undefined && { payloadFormatIndicator: format }),
    ...(expiry !== undefined && { messageExpiryInterval: asInteger(expiry) }),
    ...(contentType !== undefined && { contentType: asText(contentType) }),
    ...(responseTopic !== undefined && { responseTopic: asText(responseTopic) }),
    ...(correlationData !== undefined && { correlationData: asBytes(correlationData) }),
    ...(userProperties !== undefined && {
      userProperties: asList(userProperties).map((pair): readonly [string, string] => {
        const [name, value] = asList(pair);
        return [asText(name), asText(value)];
      }),
    }),
  };
}

function asObject(value: unknown): { readonly [key: string]: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw damaged('an object is missing');
  return value as { readonly [key: string]: unknown };
}

function asList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw damaged('a list is missing');
  return value;
}

function asText(value: unknown): string {
  if (typeof value !== 'string') throw damaged('a text is missing');
  return value;
}

function asInteger(value: unknown): number {
  if (!Number.isSafeInteger(value)) throw damaged('an integer is missing');
  return value as number;
}

/** Text, {"base64":…} or bytes. */
function asBytes(value: unknown): Uint8Array {
  if (typeof value === 'string') return ENCODER.encode(value);
  if (value instanceof Uint8Array) return value;
  const text = asText(asObject(value).base64);
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    throw damaged('base64 that is none');
  }
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
