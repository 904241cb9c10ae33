import { type ConfigError, parseConfig } from '../../../src/config/parse.js';
import type { Config } from '../../../src/config/schema.js';

/** The lines as they are printed, without the file's name. */
export function errorLines(yaml: string, environment: Record<string, string> = {}): string[] {
  return errorsOf(yaml, environment).map((error) => error.line.replace('f.yaml:', ''));
}

export function errorsOf(yaml: string, environment: Record<string, string> = {}): readonly ConfigError[] {
  const { config, errors } = parseConfig(yaml, 'f.yaml', environment);
  if ((config === undefined) !== errors.length > 0)
    throw new Error('a configuration and its errors exclude each other');
  return errors;
}

export function configOf(yaml: string, environment: Record<string, string> = {}): Config {
  const { config, errors } = parseConfig(yaml, 'f.yaml', environment);
  if (config === undefined) throw new Error(errors.map((error) => error.line).join('\n'));
  return config;
}

/** A bus of each kind, a device on each; lines 1 to 12. */
export const BASE = `gateway: { id: well-17, tags: { site: north } }
buses:
  rtu: { driver: modbus-rtu, path: /dev/ttyUSB0 }
  tcp: { driver: modbus-tcp, host: 10.0.0.1 }
  sim: { driver: simulator }
devices:
  meter: { bus: rtu, unit: 1, points: { power: { register: input/12, type: float32, unit: W } } }
  tank:
    bus: tcp
    unit: 1
    points: { level: { register: holding/100 }, high: { register: discrete/12 } }
  fake: { bus: sim, points: { x: { simulate: {}, unit: "#" } } }
`;
