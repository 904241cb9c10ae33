/**
 * NMEA 0183: a sentence to what it says, by name. Pure.
 *
 *   $GNRMC,054000.00,A,5231.2350,N,01323.4470,E,0.13,309.62,211124,,,A*6A
 *
 * Several sentences say the same; a field is taken from the one that said it first, until that has been silent for
 * a while, so that a position is told once a second and not twice. A receiver without a fix leaves fields empty, and
 * they are bad.
 */
import type { NmeaPointConfig } from '../../config/schema.js';
import type { Value } from '../../core/value.js';

export type NmeaField = NmeaPointConfig['nmea'];

export type FieldOutcome = { readonly value: Value } | { readonly bad: string };

export type Sentence =
  | { readonly kind: 'sentence'; readonly id: string; readonly fields: readonly string[] }
  /** No sentence, or its check sum is wrong. */
  | { readonly kind: 'garbage' };

/** After so long another sentence may tell a field. */
const STEADY_MS = 5000;
const NO_FIX = 'no fix';
/** The standard says 82 characters; some receivers send more. */
const SENTENCE_MAX = 256;

export function readSentence(line: string): Sentence {
  const begin = Math.max(line.lastIndexOf('$'), line.lastIndexOf('!'));
  const text = line.slice(begin + 1).trimEnd();
  const star = text.lastIndexOf('*');
  const sum = /^[0-9a-f]{2}$/i.exec(text.slice(star + 1))?.[0];
  if (begin === -1 || star === -1 || sum === undefined || text.length > SENTENCE_MAX)
    return { kind: 'garbage' };
  let xor = 0;
  for (let index = 0; index < star; index += 1) xor ^= text.charCodeAt(index);
  if (xor !== Number.parseInt(sum, 16)) return { kind: 'garbage' };
  const [id = '', ...fields] = text.slice(0, star).split(',');
  return /^[A-Z][A-Z0-9]{2,9}$/.test(id) ? { kind: 'sentence', id, fields } : { kind: 'garbage' };
}

export class NmeaReader {
  readonly #source = new Map<NmeaField, { readonly id: string; readonly atMs: number }>();
  readonly #inView = new Map<string, number>();

  /** What a sentence says, as far as no other says it. */
  take(sentence: Sentence & { readonly kind: 'sentence' }, nowMs: number): Map<NmeaField, FieldOutcome> {
    const said = new Map<NmeaField, FieldOutcome>();
    for (const [field, outcome] of this.#fieldsOf(sentence)) {
      const source = this.#source.get(field);
      if (source !== undefined && source.id !== sentence.id && nowMs - source.atMs < STEADY_MS) continue;
      this.#source.set(field, { id: sentence.id, atMs: nowMs });
      said.set(field, outcome);
    }
    return said;
  }

  #fieldsOf({ id, fields: f }: Sentence & { readonly kind: 'sentence' }): [NmeaField, FieldOutcome][] {
    // $P…: a maker's own; else two letters say who talks and three what is said.
    if (id.startsWith('P')) return [];
    switch (id.slice(-3)) {
      case 'GGA': {
        const quality = numberIn(f[5]);
        const fixed = quality !== undefined && quality > 0;
        return [
          ...position(fixed, f[1], f[2], f[3], f[4]),
          ['fix', { value: fixed }],
          ['fix_quality', numeric(f[5])],
          ['satellites', numeric(f[6])],
          ['hdop', whenFixed(fixed, f[7])],
          ['altitude', whenFixed(fixed, f[8])],
        ];
      }
      case 'RMC': {
        const fixed = f[1] === 'A';
        return [
          ...position(fixed, f[2], f[3], f[4], f[5]),
          ['fix', { value: fixed }],
          ['speed', whenFixed(fixed, f[6])],
          ['course', whenFixed(fixed, f[7])],
          ['utc', utcOf(f[0], f[8]?.slice(0, 2), f[8]?.slice(2, 4), yearOf(f[8]?.slice(4, 6)))],
        ];
      }
      case 'GLL':
        return position(f[5] !== 'V', f[0], f[1], f[2], f[3]);
      case 'VTG':
        return [
          ['course', whenFixed(f[0] !== '', f[0])],
          ['speed', whenFixed(f[4] !== '', f[4])],
          ['speed_kmh', whenFixed(f[6] !== '', f[6])],
        ];
      case 'GSA': {
        const fixed = f[1] === '2' || f[1] === '3';
        return [
          ['pdop', whenFixed(fixed, f[14])],
          ['hdop', whenFixed(fixed, f[15])],
          ['vdop', whenFixed(fixed, f[16])],
        ];
      }
      case 'GSV':
        // Each of the sentences of one round repeats the number.
        return f[1] === '1' ? this.#satellitesInView(id, f[2]) : [];
      case 'ZDA':
        return [['utc', utcOf(f[0], f[1], f[2], f[3])]];
      case 'HDT':
      case 'HDM':
      case 'HDG':
        return [['heading', numeric(f[0])]];
      case 'DPT':
        return [['depth', numeric(f[0])]];
      case 'DBT':
        return [['depth', numeric(f[2])]];
      case 'MWV':
        return windOf(f);
      case 'MTW':
        return [['water_temperature', numeric(f[0])]];
      default:
        return [];
    }
  }

  /** Each constellation tells its own; together they are the sky. */
  #satellitesInView(id: string, text: string | undefined): [NmeaField, FieldOutcome][] {
    const count = numberIn(text);
    if (count === undefined || this.#inView.size > 16) return [];
    this.#inView.set(id, count);
    const source = this.#source.get('satellites_in_view');
    // One of them tells for all, else each would be taken for another sentence.
    if (source !== undefined && source.id !== id) return [];
    return [['satellites_in_view', { value: [...this.#inView.values()].reduce((sum, one) => sum + one, 0) }]];
  }
}

function windOf(f: readonly string[]): [NmeaField, FieldOutcome][] {
  if (f[4] !== 'A') {
    return [
      ['wind_angle', { bad: 'not valid' }],
      ['wind_speed', { bad: 'not valid' }],
    ];
  }
  const speed = numberIn(f[2]);
  // In knots, like all speeds here.
  const knots = { N: 1, K: 1 / 1.852, M: 3600 / 1852 }[f[3] ?? ''];
  return [
    ['wind_angle', numeric(f[0])],
    [
      'wind_speed',
      speed === undefined || knots === undefined
        ? { bad: 'not a number' }
        : { value: Number((speed * knots).toFixed(knots === 1 ? 6 : 2)) },
    ],
  ];
}

function position(
  fixed: boolean,
  latitude: string | undefined,
  northSouth: string | undefined,
  longitude: string | undefined,
  eastWest: string | undefined,
): [NmeaField, FieldOutcome][] {
  const [north, east] = [degrees(latitude, northSouth, 2), degrees(longitude, eastWest, 3)];
  const outcome = (value: number | undefined): FieldOutcome =>
    !fixed || value === undefined ? { bad: NO_FIX } : { value };
  return [
    ['latitude', outcome(north)],
    ['longitude', outcome(east)],
  ];
}

/** `5231.2350` N is 52° 31.2350': decimal degrees with as many places as the minutes justify. */
function degrees(text: string | undefined, side: string | undefined, digits: 2 | 3): number | undefined {
  if (text === undefined || !/^\d+(\.\d+)?$/.test(text)) return undefined;
  const point = text.indexOf('.') === -1 ? text.length : text.indexOf('.');
  if (point < digits + 2) return undefined;
  const whole = Number(text.slice(0, point - 2));
  const minutes = Number(text.slice(point - 2));
  const most = digits === 2 ? 90 : 180;
  const value = whole + minutes / 60;
  if (minutes >= 60 || value > most) return undefined;
  const places = Math.min(9, text.length - point - 1 + 3);
  const rounded = Number(value.toFixed(places));
  if (side === 'S' || side === 'W') return rounded === 0 ? 0 : -rounded;
  return side === 'N' || side === 'E' ? rounded : undefined;
}

function utcOf(
  time: string | undefined,
  day: string | undefined,
  month: string | undefined,
  year: string | undefined,
): FieldOutcome {
  const [, h, m, s, fraction = ''] = /^(\d\d)(\d\d)(\d\d)(\.\d+)?$/.exec(time ?? '') ?? [];
  const date = `${year}-${month}-${day}`;
  const text = `${date}T${h}:${m}:${s}${/[1-9]/.test(fraction) ? fraction : ''}Z`;
  const valid = h !== undefined && /^\d{4}-\d\d-\d\d$/.test(date) && !Number.isNaN(Date.parse(text));
  return valid ? { value: text } : { bad: NO_FIX };
}

/** Two digits: receivers were not built before 1980. */
function yearOf(text: string | undefined): string | undefined {
  if (text === undefined || !/^\d\d$/.test(text)) return undefined;
  return `${Number(text) >= 80 ? '19' : '20'}${text}`;
}

function whenFixed(fixed: boolean, text: string | undefined): FieldOutcome {
  return fixed && numberIn(text) !== undefined ? numeric(text) : { bad: NO_FIX };
}

function numeric(text: string | undefined): FieldOutcome {
  const value = numberIn(text);
  return value === undefined ? { bad: 'not a number' } : { value };
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^[-+]?\d+(\.\d*)?$/.test(text) ? Number(text) : undefined;
}
