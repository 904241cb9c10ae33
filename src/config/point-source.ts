/** Where a point's value comes from, in the words of the configuration; and what it might be worth, as an example. */
import { showBytes } from './byte-text.js';
import { parseBits, registerSource } from './register.js';
import type { GpioPointConfig, MqttPointConfig, PointConfig } from './schema.js';

/** `holding/100 float32`, `gpio 17 counting rising edges`, `simulated sine`. */
export function sourceOf(point: PointConfig, addressBase?: 0 | 1): string {
  if ('register' in point) return registerSource(point, addressBase);
  if ('simulate' in point) return `simulated ${point.simulate.wave}`;
  if ('match' in point) return `/${point.match}/${asked(point.request)}`;
  if ('at' in point) return `byte ${point.at} ${point.type}${asked(point.request)}`;
  if ('nmea' in point) return `nmea ${point.nmea}`;
  if ('gpio' in point) return gpioSource(point);
  if ('probe' in point) return `probe ${point.probe}`;
  if ('channel' in point) return `channel ${point.channel}`;
  if ('metric' in point) return point.metric;
  if ('topic' in point) return messageSource(point);
  return 'driver of your own';
}

function messageSource({ topic, json, pattern }: MqttPointConfig): string {
  const what = json ?? (pattern === undefined ? undefined : `/${pattern}/`);
  return what === undefined ? topic : `${topic} ${what}`;
}

function asked(request: Parameters<typeof showBytes>[0] | undefined): string {
  return request === undefined ? '' : ` asked with ${showBytes(request)}`;
}

export function lineName(gpio: GpioPointConfig['gpio']): string {
  if (typeof gpio === 'number') return `gpio ${gpio}`;
  return 'sysfs' in gpio ? `sysfs line ${gpio.sysfs}` : `line ${gpio.line} of ${gpio.chip}`;
}

function gpioSource({ gpio, direction, count, frequency, active_low }: GpioPointConfig): string {
  const line = lineName(gpio);
  if (count !== undefined) return `${line} counting ${edges(count)}`;
  if (frequency !== undefined) return `${line} frequency of ${edges(frequency)}`;
  return `${line} ${direction}${active_low ? ' active low' : ''}`;
}

function edges(which: 'rising' | 'falling' | 'both'): string {
  return which === 'both' ? 'all edges' : `${which} edges`;
}

export function exampleValue(point: PointConfig): string {
  const raw = exampleRaw(point);
  if (typeof raw !== 'number') return typeof raw === 'string' ? JSON.stringify(raw) : String(raw);
  return String(Number((raw * (point.scale ?? 1) + (point.offset ?? 0)).toPrecision(12)));
}

function exampleRaw(point: PointConfig): number | boolean | string {
  if ('register' in point) {
    const bits = point.bit === undefined ? undefined : parseBits(point.bit);
    if (point.type === 'bool' || (bits !== undefined && bits.from === bits.to)) return true;
    if (point.type === 'string') return 'text';
    return point.type?.startsWith('float') ? 21.5 : 215;
  }
  if ('simulate' in point) {
    const { min, max, type, decimals } = point.simulate;
    return type === 'boolean' || Number(((min + max) / 2).toFixed(type === 'integer' ? 0 : decimals));
  }
  if ('match' in point) {
    if (point.type === 'bool') return true;
    return point.type === 'string' ? 'text' : 21.5;
  }
  if ('at' in point) {
    if (point.type === 'bool' || point.bit !== undefined) return true;
    return point.type === 'string' ? 'text' : 215;
  }
  if ('nmea' in point)
    return point.nmea === 'fix' ? true : point.nmea === 'utc' ? '2024-11-21T05:40:00Z' : 21.5;
  if ('gpio' in point) return point.count === undefined && point.frequency === undefined ? true : 215;
  if ('metric' in point)
    return !/^(under|thrott|frequency_capped|soft_|link_up)/.test(point.metric) ? 21.5 : true;
  return 21.5;
}
