/**
 * A Record as bytes. Its offset is not among them: a chunk knows the offset of its first Record, and the
 * others count up from there.
 *
 *   chunk    version u8 = 1 │ slot │ slot │ …
 *   slot     size u32 │ flags u8 │ acceptedAt f64 │ routes: count, ids (varint) │ content
 *            size counts what follows it; with its highest bit set the lower bits are how many Records
 *            are no longer kept, and nothing follows
 *   flags    bits 0-1 kind: 0 message, 1 samples │ 2-3 QoS │ 4 RETAIN │ 5 has properties
 *
 *   message  topic │ properties where flagged │ payload: the rest
 *   samples  form │ count varint │ sample, sample, …
 *   form     dictionary id varint (0: the text follows) of [topic, qos, retain, format, grouped] as JSON
 *   sample   bits u8 │ name │ stamp unless as before │ value │ reason where flagged
 *            bits 0-2 type of value │ 3-4 quality │ 5 clock trusted │ 6 stamp as before │ 7 has reason
 *   name     dictionary id varint (0: the text follows) of [device, point, unit] as JSON
 *   stamp    wall f64 │ monotonic f64 │ dictionary id of the boot id
 *
 * Round trips are exact for every Content whose texts are well-formed; -0, NaN and infinities included.
 */
import type { Message, MessageProperties, QoS } from '../core/message.js';
import type { Content, Record } from '../core/record.js';
import type { PayloadFormat, Quality, Sample, SampleSet } from '../core/sample.js';
import type { Stamp } from '../core/stamp.js';
import type { Value } from '../core/value.js';
import { ByteReader, damaged } from './byte-reader.js';
import type { ByteWriter } from './byte-writer.js';
import { INLINE, type Names } from './dictionary.js';

export const CHUNK_VERSION = 1;

/** Set in a slot's size: the lower bits count Records that are no longer kept. */
const GONE = 0x8000_0000;
const KIND_SAMPLES = 1;
const HAS_PROPERTIES = 0x20;

const QUALITIES: readonly Quality[] = ['good', 'stale', 'bad'];
const VALUE = { null: 0, false: 1, true: 2, double: 3, integer: 4, bigint: 5, string: 6 } as const;
const TRUSTED = 0x20;
const STAMP_AS_BEFORE = 0x40;
const HAS_REASON = 0x80;

const HAS_FORMAT = 0x01;
const FORMAT_UTF8 = 0x02;
const HAS_EXPIRY = 0x04;
const HAS_CONTENT_TYPE = 0x08;
const HAS_RESPONSE_TOPIC = 0x10;
const HAS_CORRELATION = 0x20;
const HAS_USER_PROPERTIES = 0x40;

/** What can be said of a slot without decoding its content. */
export interface Slot {
  readonly offset: number;
  /** Where the slot begins and ends in the chunk. */
  readonly start: number;
  readonly end: number;
}

/** Appends one Record's slot. */
export function writeRecord(
  to: ByteWriter,
  content: Content,
  routes: readonly number[],
  acceptedAtMs: number,
  dictionary: Names,
): void {
  const start = to.length;
  to.u32(0);
  if (content.kind === 'message') {
    const { message } = content;
    const { properties } = message;
    to.u8((message.qos << 2) | (message.retain ? 0x10 : 0) | (properties === undefined ? 0 : HAS_PROPERTIES));
    writeEnvelope(to, routes, acceptedAtMs);
    writeMessage(to, message);
  } else {
    to.u8(KIND_SAMPLES);
    writeEnvelope(to, routes, acceptedAtMs);
    writeSamples(to, content.set, dictionary);
  }
  to.patchU32(start, to.length - start - 4);
}

/** Notes that `count` Records, which stood here, are no longer kept. */
export function writeGone(to: ByteWriter, count: number): void {
  to.u32((GONE | count) >>> 0);
}

/** Calls `visit` for each Record still kept in a chunk, until it says false. Throws on damage. */
export function visitSlots(chunk: Buffer, first: number, visit: (slot: Slot) => boolean | undefined): void {
  if (chunk[0] !== CHUNK_VERSION) throw damaged(`a chunk of version ${chunk[0]}`);
  let at = 1;
  let offset = first;
  while (at < chunk.length) {
    if (at + 4 > chunk.length) throw damaged('a chunk ends within a Record');
    const size = chunk.readUInt32LE(at);
    if (size >= GONE) {
      offset += size - GONE;
      at += 4;
      continue;
    }
    const end = at + 4 + size;
    if (end > chunk.length) throw damaged('a chunk ends within a Record');
    if (visit({ offset, start: at, end }) === false) return;
    offset += 1;
    at = end;
  }
}

/** Its routes alone: enough to know whom a Record concerns. */
export function readRoutes(chunk: Buffer, slot: Slot): readonly number[] {
  const from = new ByteReader(chunk, slot.start + 13, slot.end);
  return readRouteIds(from);
}

/** When it was accepted, milliseconds since the epoch. */
export function readAcceptedAt(chunk: Buffer, slot: Slot): number {
  return chunk.readDoubleLE(slot.start + 5);
}

export function readRecord(chunk: Buffer, slot: Slot, dictionary: Names): Record {
  const from = new ByteReader(chunk, slot.start + 4, slot.end);
  const flags = from.u8();
  const acceptedAtMs = from.f64();
  const routes = readRouteIds(from);
  return { offset: slot.offset, acceptedAtMs, routes, content: readContent(from, flags, dictionary) };
}

/** The Topic Name of a Record, for a report of what was lost. */
export function readTopic(chunk: Buffer, slot: Slot, dictionary: Names): string {
  const from = new ByteReader(chunk, slot.start + 4, slot.end);
  const flags = from.u8();
  from.f64();
  readRouteIds(from);
  if ((flags & 0x03) !== KIND_SAMPLES) return from.shortText();
  return parseForm(readName(from, dictionary)).topic;
}

/**
 * What names the series of a reading: the number of its form, or the form itself where the dictionary was full.
 * Undefined for a message, which is no reading.
 */
export function readSeries(chunk: Buffer, slot: Slot): number | string | undefined {
  const from = new ByteReader(chunk, slot.start + 4, slot.end);
  if ((from.u8() & 0x03) !== KIND_SAMPLES) return undefined;
  from.f64();
  readRouteIds(from);
  const id = from.varint();
  return id === INLINE ? from.text() : id;
}

function writeEnvelope(to: ByteWriter, routes: readonly number[], acceptedAtMs: number): void {
  to.f64(acceptedAtMs);
  to.varint(routes.length);
  for (const route of routes) to.varint(route);
}

function readRouteIds(from: ByteReader): readonly number[] {
  const count = from.varint();
  if (count > from.left) throw damaged('more routes than bytes');
  const routes: number[] = [];
  for (let index = 0; index < count; index += 1) routes.push(from.varint());
  return routes;
}

function readContent(from: ByteReader, flags: number, dictionary: Names): Content {
  const kind = flags & 0x03;
  if (kind === KIND_SAMPLES) return { kind: 'samples', set: readSamples(from, dictionary) };
  if (kind !== 0) throw damaged(`a Record of kind ${kind}`);
  const topic = from.shortText();
  const properties = (flags & HAS_PROPERTIES) === 0 ? undefined : readProperties(from);
  const qos = qosOf((flags >> 2) & 0x03);
  const retain = (flags & 0x10) !== 0;
  const payload = from.raw(from.left);
  const message: Message =
    properties === undefined ? { topic, payload, qos, retain } : { topic, payload, qos, retain, properties };
  return { kind: 'message', message };
}

function writeMessage(to: ByteWriter, message: Message): void {
  to.shortText(message.topic);
  if (message.properties !== undefined) writeProperties(to, message.properties);
  to.raw(message.payload);
}

function writeProperties(to: ByteWriter, properties: MessageProperties): void {
  const { payloadFormatIndicator, messageExpiryInterval, contentType } = properties;
  const { responseTopic, correlationData, userProperties } = properties;
  to.u8(
    (payloadFormatIndicator === undefined ? 0 : HAS_FORMAT) |
      (payloadFormatIndicator === 1 ? FORMAT_UTF8 : 0) |
      (messageExpiryInterval === undefined ? 0 : HAS_EXPIRY) |
      (contentType === undefined ? 0 : HAS_CONTENT_TYPE) |
      (responseTopic === undefined ? 0 : HAS_RESPONSE_TOPIC) |
      (correlationData === undefined ? 0 : HAS_CORRELATION) |
      (userProperties === undefined ? 0 : HAS_USER_PROPERTIES),
  );
  if (messageExpiryInterval !== undefined) to.f64(messageExpiryInterval);
  if (contentType !== undefined) to.text(contentType);
  if (responseTopic !== undefined) to.text(responseTopic);
  if (correlationData !== undefined) to.blob(correlationData);
  if (userProperties === undefined) return;
  to.varint(userProperties.length);
  for (const [name, value] of userProperties) {
    to.text(name);
    to.text(value);
  }
}

function readProperties(from: ByteReader): MessageProperties {
  const bits = from.u8();
  return {
    ...((bits & HAS_FORMAT) !== 0 && { payloadFormatIndicator: (bits & FORMAT_UTF8) === 0 ? 0 : 1 }),
    ...((bits & HAS_EXPIRY) !== 0 && { messageExpiryInterval: from.f64() }),
    ...((bits & HAS_CONTENT_TYPE) !== 0 && { contentType: from.text() }),
    ...((bits & HAS_RESPONSE_TOPIC) !== 0 && { responseTopic: from.text() }),
    ...((bits & HAS_CORRELATION) !== 0 && { correlationData: from.blob() }),
    ...((bits & HAS_USER_PROPERTIES) !== 0 && { userProperties: readUserProperties(from) }),
  };
}

function readUserProperties(from: ByteReader): (readonly [string, string])[] {
  const count = from.varint();
  if (count > from.left) throw damaged('more User Properties than bytes');
  const pairs: (readonly [string, string])[] = [];
  for (let index = 0; index < count; index += 1) pairs.push([from.text(), from.text()]);
  return pairs;
}

type Form = Omit<SampleSet, 'samples'>;

function parseForm(text: string): Form {
  const [topic, qos, retain, format, grouped] = parseNames(text) as [
    string,
    QoS,
    boolean,
    PayloadFormat,
    boolean,
  ];
  if (typeof topic !== 'string' || typeof format !== 'object') throw damaged('a form that is none');
  return { topic, qos, retain, format, grouped };
}

/** The names of a series, from the dictionary or the Record itself. */
function parseNames(text: string): readonly unknown[] {
  let names: unknown;
  try {
    names = JSON.parse(text);
  } catch {
    throw damaged('names that are not JSON');
  }
  if (!Array.isArray(names)) throw damaged('names that are no list');
  return names;
}

function writeSamples(to: ByteWriter, set: SampleSet, dictionary: Names): void {
  writeName(to, JSON.stringify([set.topic, set.qos, set.retain, set.format, set.grouped]), dictionary);
  to.varint(set.samples.length);
  let before: Stamp | undefined;
  for (const sample of set.samples) {
    writeSample(to, sample, before, dictionary);
    before = sample.stamp;
  }
}

function readSamples(from: ByteReader, dictionary: Names): SampleSet {
  const form = parseForm(readName(from, dictionary));
  const count = from.varint();
  if (count > from.left) throw damaged('more samples than bytes');
  const samples: Sample[] = [];
  let before: Stamp | undefined;
  for (let index = 0; index < count; index += 1) {
    const sample = readSample(from, before, dictionary);
    samples.push(sample);
    before = sample.stamp;
  }
  return { ...form, samples };
}

function writeSample(to: ByteWriter, sample: Sample, before: Stamp | undefined, dictionary: Names): void {
  const { stamp, value, reason } = sample;
  const asBefore = before !== undefined && sameStamp(stamp, before);
  const type = valueType(value);
  to.u8(
    type |
      (QUALITIES.indexOf(sample.quality) << 3) |
      (stamp.trusted ? TRUSTED : 0) |
      (asBefore ? STAMP_AS_BEFORE : 0) |
      (reason === undefined ? 0 : HAS_REASON),
  );
  const { device, point, unit } = sample;
  writeName(to, JSON.stringify(unit === undefined ? [device, point] : [device, point, unit]), dictionary);
  if (!asBefore) {
    to.f64(stamp.wallMs);
    to.f64(stamp.monotonicMs);
    writeName(to, stamp.bootId, dictionary);
  }
  writeValue(to, type, value);
  if (reason !== undefined) to.text(reason);
}

function readSample(from: ByteReader, before: Stamp | undefined, dictionary: Names): Sample {
  const bits = from.u8();
  const [device, point, unit] = parseNames(readName(from, dictionary)) as [string, string, string?];
  if (typeof device !== 'string' || typeof point !== 'string') throw damaged('a sample without its names');
  const quality = QUALITIES[(bits >> 3) & 0x03];
  if (quality === undefined) throw damaged('an unknown quality');
  const trusted = (bits & TRUSTED) !== 0;
  let stamp: Stamp;
  if ((bits & STAMP_AS_BEFORE) === 0) {
    stamp = { wallMs: from.f64(), monotonicMs: from.f64(), bootId: readName(from, dictionary), trusted };
  } else {
    if (before === undefined) throw damaged('a first sample without its stamp');
    stamp = before;
  }
  const value = readValue(from, bits & 0x07);
  return {
    device,
    point,
    ...(unit !== undefined && { unit }),
    value,
    quality,
    ...((bits & HAS_REASON) !== 0 && { reason: from.text() }),
    stamp,
  };
}

function sameStamp(a: Stamp, b: Stamp): boolean {
  return (
    Object.is(a.wallMs, b.wallMs) &&
    Object.is(a.monotonicMs, b.monotonicMs) &&
    a.trusted === b.trusted &&
    a.bootId === b.bootId
  );
}

function valueType(value: Value | null): number {
  switch (typeof value) {
    case 'boolean':
      return value ? VALUE.true : VALUE.false;
    case 'number':
      return Number.isInteger(value) && Math.abs(value) < 2 ** 31 && !Object.is(value, -0)
        ? VALUE.integer
        : VALUE.double;
    case 'bigint':
      return VALUE.bigint;
    case 'string':
      return VALUE.string;
    default:
      return VALUE.null;
  }
}

function writeValue(to: ByteWriter, type: number, value: Value | null): void {
  // Small integers in zigzag: 0, -1, 1, -2, … so that most take one or two bytes.
  if (type === VALUE.integer)
    to.varint((value as number) < 0 ? -2 * (value as number) - 1 : 2 * (value as number));
  else if (type === VALUE.double) to.f64(value as number);
  else if (type === VALUE.bigint) to.text((value as bigint).toString());
  else if (type === VALUE.string) to.text(value as string);
}

function readValue(from: ByteReader, type: number): Value | null {
  switch (type) {
    case VALUE.null:
      return null;
    case VALUE.false:
      return false;
    case VALUE.true:
      return true;
    case VALUE.double:
      return from.f64();
    case VALUE.integer: {
      const zigzag = from.varint();
      return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    }
    case VALUE.bigint: {
      const digits = from.text();
      if (!/^-?\d+$/.test(digits)) throw damaged('an integer that is none');
      return BigInt(digits);
    }
    case VALUE.string:
      return from.text();
    default:
      throw damaged(`a value of type ${type}`);
  }
}

function writeName(to: ByteWriter, text: string, dictionary: Names): void {
  const id = dictionary.id(text);
  to.varint(id);
  if (id === INLINE) to.text(text);
}

function readName(from: ByteReader, dictionary: Names): string {
  const id = from.varint();
  if (id === INLINE) return from.text();
  const text = dictionary.text(id);
  if (text === undefined) throw damaged(`dictionary entry ${id} is missing`);
  return text;
}

function qosOf(bits: number): QoS {
  if (bits > 2) throw damaged(`QoS ${bits}`);
  return bits as QoS;
}
