/** A point of the configuration as the driver needs it: which frames carry it, and what it is worth in one. Pure. */
import { type ByteText, bytesFrom } from '../../config/byte-text.js';
import { groupsOf } from '../../config/regex-text.js';
import type { PointConfig, SerialBinaryPointConfig, SerialTextPointConfig } from '../../config/schema.js';
import { GodwitError } from '../../core/error.js';
import type { Outcome } from '../polled-bus.js';
import { valueInFrame } from './binary-value.js';
import type { Frame } from './framer.js';
import type { NmeaField } from './nmea.js';
import { valueOfText } from './text-value.js';

export interface SerialPoint {
  readonly name: string;
  /** Sent to get it; undefined: the device sends by itself. */
  readonly request?: Uint8Array;
  readonly nmea?: NmeaField;
  /** At least so long between two readings of what comes by itself. */
  readonly everyMs: number;
  /** What the frame says of it; undefined: nothing. `text` is the frame's body. */
  take(frame: Frame, text: string): Outcome | undefined;
}

export function serialPoint(device: string, name: string, config: PointConfig): SerialPoint {
  if ('match' in config) {
    return { name, ...asked(config.request), everyMs: everyMs(config), take: takeText(config) };
  }
  if ('at' in config) {
    return { name, ...asked(config.request), everyMs: everyMs(config), take: takeBinary(config) };
  }
  if ('nmea' in config) return { name, nmea: config.nmea, everyMs: everyMs(config), take: () => undefined };
  throw new GodwitError('CONFIG', `devices.${device}.points.${name} has no match, at or nmea`, { device });
}

function asked(request: ByteText | undefined): { readonly request?: Uint8Array } {
  return request === undefined ? {} : { request: bytesFrom(request) };
}

function everyMs(config: PointConfig): number {
  return config.poll ?? 0;
}

function takeText(config: SerialTextPointConfig): SerialPoint['take'] {
  const regex = new RegExp(config.match);
  const group = config.group ?? Math.min(1, groupsOf(config.match).count);
  return (_, text) => {
    const match = regex.exec(text);
    if (match === null) return undefined;
    const found = typeof group === 'number' ? match[group] : match.groups?.[group];
    const value = found === undefined ? undefined : valueOfText(found, config);
    if (value === undefined)
      return { bad: config.texts === undefined ? `not a ${config.type}` : 'unknown text' };
    return { value, raw: Uint8Array.from(Buffer.from(found ?? '', 'latin1')) };
  };
}

function takeBinary(config: SerialBinaryPointConfig): SerialPoint['take'] {
  const begins = config.begins === undefined ? undefined : bytesFrom(config.begins);
  return ({ bytes }) => {
    if (begins !== undefined && Buffer.compare(bytes.subarray(0, begins.length), begins) !== 0)
      return undefined;
    const decoded = valueInFrame(bytes, config);
    if (decoded.kind === 'value') return { value: decoded.value, raw: decoded.raw };
    if (decoded.kind === 'no number') return { bad: 'not a number' };
    // A shorter frame is another frame, where nothing tells them apart.
    return begins === undefined ? undefined : { bad: 'frame too short' };
  };
}
