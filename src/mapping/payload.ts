/**
 * Samples to bytes, at the moment they leave.
 *
 *   json      {"ts":1732147200123,"value":21.5,"unit":"°C"}
 *             {"ts":…,"value":21.5,"unit":"°C","quality":"stale"}
 *             {"ts":…,"value":null,"quality":"bad","reason":"timeout"}
 *   grouped   {"ts":…,"values":{"level":null,"high":false},"quality":{"level":"bad"},"reason":{"level":"timeout"}}
 *   fields    {"ts":…,"min":20.1,"max":22.5,"count":60,"window":60000,"unit":"°C"}   windows, alarms
 *   template  {value} {unit} ──▶ 21.5 °C
 *   value     21.5   true   open   null, where the value is bad: an empty payload would delete what is retained
 *
 * `ts` of a group is that of its newest sample. Written by hand: JSON.stringify knows no bigint and is slower.
 */
import { type PayloadPart, type PayloadPlace, payloadParts } from '../config/payload-template.js';
import type { Sample, SampleSet } from '../core/sample.js';
import type { Value } from '../core/value.js';

export interface PayloadOptions {
  /** Whether samples of an untrusted clock say so: `"clock":"untrusted"`. */
  readonly markUntrusted?: boolean;
}

export function encodePayload(set: SampleSet, options?: PayloadOptions): Uint8Array {
  const [first] = set.samples;
  if (first === undefined) return new Uint8Array(0);
  const mark = options?.markUntrusted === true;
  if (set.format.shape === 'fields' && set.grouped) return Buffer.from(fieldsJson(set.samples, mark));
  if (set.grouped) return Buffer.from(groupJson(set.samples, mark));
  if (set.format.kind === 'template') return Buffer.from(filled(set.format.template ?? '', first));
  return Buffer.from(set.format.kind === 'value' ? bareText(first.value) : sampleJson(first, mark));
}

function sampleJson(sample: Sample, mark: boolean): string {
  let json = `{"ts":${timestamp(sample.stamp.wallMs)},"value":${valueJson(sample.value)}`;
  if (sample.quality === 'good') {
    if (sample.unit !== undefined) json += `,"unit":${JSON.stringify(sample.unit)}`;
  } else if (sample.quality === 'stale') {
    if (sample.unit !== undefined) json += `,"unit":${JSON.stringify(sample.unit)}`;
    json += ',"quality":"stale"';
  } else {
    json += ',"quality":"bad"';
    if (sample.reason !== undefined) json += `,"reason":${JSON.stringify(sample.reason)}`;
  }
  return mark && !sample.stamp.trusted ? `${json},"clock":"untrusted"}` : `${json}}`;
}

function groupJson(samples: readonly Sample[], mark: boolean): string {
  let newestMs = 0;
  let trusted = true;
  let values = '';
  let qualities = '';
  let reasons = '';
  for (const sample of samples) {
    const name = JSON.stringify(sample.point);
    if (sample.stamp.wallMs > newestMs) newestMs = sample.stamp.wallMs;
    trusted &&= sample.stamp.trusted;
    values += `${values === '' ? '' : ','}${name}:${valueJson(sample.value)}`;
    if (sample.quality !== 'good') {
      qualities += `${qualities === '' ? '' : ','}${name}:"${sample.quality}"`;
    }
    if (sample.quality === 'bad' && sample.reason !== undefined) {
      reasons += `${reasons === '' ? '' : ','}${name}:${JSON.stringify(sample.reason)}`;
    }
  }
  let json = `{"ts":${timestamp(newestMs)},"values":{${values}}`;
  if (qualities !== '') json += `,"quality":{${qualities}}`;
  if (reasons !== '') json += `,"reason":{${reasons}}`;
  return mark && !trusted ? `${json},"clock":"untrusted"}` : `${json}}`;
}

/** The unit is said once, for all that have one. */
function fieldsJson(samples: readonly Sample[], mark: boolean): string {
  const [first] = samples as readonly [Sample];
  let json = `{"ts":${timestamp(first.stamp.wallMs)}`;
  let inner: string | undefined;
  for (const { point, value } of samples) {
    const slash = point.indexOf('/');
    const outer = slash === -1 ? undefined : point.slice(0, slash);
    if (inner !== undefined && outer !== inner) json += '}';
    if (outer === undefined) json += `,${JSON.stringify(point)}:${valueJson(value)}`;
    else {
      json += outer === inner ? ',' : `,${JSON.stringify(outer)}:{`;
      json += `${JSON.stringify(point.slice(slash + 1))}:${valueJson(value)}`;
    }
    inner = outer;
  }
  if (inner !== undefined) json += '}';
  const unit = samples.find((sample) => sample.unit !== undefined)?.unit;
  if (unit !== undefined) json += `,"unit":${JSON.stringify(unit)}`;
  return mark && !first.stamp.trusted ? `${json},"clock":"untrusted"}` : `${json}}`;
}

function filled(template: string, sample: Sample): string {
  let text = '';
  for (const part of partsOf(template)) text += 'text' in part ? part.text : placeText(part.place, sample);
  return text;
}

function placeText(place: string, sample: Sample): string {
  switch (place as PayloadPlace) {
    case 'value':
      return bareText(sample.value);
    case 'unit':
      return sample.unit ?? '';
    case 'ts':
      return String(timestamp(sample.stamp.wallMs));
    case 'quality':
      return sample.quality;
    case 'reason':
      return sample.reason ?? '';
    case 'device':
      return sample.device;
    case 'point':
      return sample.point;
  }
  // A journal of another version may know more.
  return `{${place}}`;
}

/** Rules are few; what the journal brings of older ones must not pile up. */
const TEMPLATES_MAX = 1000;
const templates = new Map<string, readonly PayloadPart[]>();

function partsOf(template: string): readonly PayloadPart[] {
  let parts = templates.get(template);
  if (parts === undefined) {
    if (templates.size >= TEMPLATES_MAX) templates.clear();
    parts = payloadParts(template);
    templates.set(template, parts);
  }
  return parts;
}

function bareText(value: Value | null): string {
  return typeof value === 'string' ? value : valueJson(value);
}

function valueJson(value: Value | null): string {
  switch (typeof value) {
    case 'number':
      // JSON has no NaN and no infinity; mapping turns both bad before they come here.
      return Number.isFinite(value) ? `${value}` : 'null';
    case 'string':
      return JSON.stringify(value);
    default:
      return String(value);
  }
}

/** A repaired timestamp may have a fraction; consumers expect whole milliseconds. */
function timestamp(wallMs: number): number {
  return Math.round(wallMs);
}
