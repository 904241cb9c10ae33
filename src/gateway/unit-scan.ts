/**
 * Which units are on a Modbus bus, and what they are: each number is asked once, those that answer identify themselves
 * and are held against the fingerprints of the profiles.
 *
 *   1 … 247 ──find──▶ nobody | unit ──fingerprints──▶ profiles that fit ──▶ YAML to paste
 */
import { modbusPointSchema } from '../config/modbus-schema.js';
import { type Fingerprint, type Profile, type ProfileSource, readProfile } from '../config/profile.js';
import type { DeviceConfig } from '../config/schema.js';
import { reasonOf } from '../core/error.js';
import type { FoundUnit, ModbusCommissioning } from '../drivers/modbus/commissioning.js';
import { type ModbusPoint, modbusPoints, valueIn } from '../drivers/modbus/point.js';

export interface ScannedUnit extends FoundUnit {
  /** Names of the profiles whose fingerprints it has. */
  readonly profiles: readonly string[];
}

export type ScanTold =
  | { readonly asked: number; readonly of: number; readonly unit: number }
  | { readonly found: ScannedUnit };

interface Known {
  readonly name: string;
  readonly marks: readonly Mark[];
}

type Mark =
  | { readonly kind: 'identification'; readonly says: RegExp }
  | {
      readonly kind: 'register';
      readonly point: ModbusPoint;
      readonly least: number;
      readonly most: number;
      readonly equals: number | string | undefined;
    };

/** @param stopped asked before each unit */
export async function scanUnits(
  bus: { readonly driver: string; readonly modbus: ModbusCommissioning },
  units: readonly number[],
  profiles: ProfileSource,
  tell: (told: ScanTold) => void,
  stopped: () => boolean,
): Promise<void> {
  const known = knownProfiles(bus.driver, profiles);
  for (const [asked, unit] of units.entries()) {
    if (stopped()) return;
    tell({ asked, of: units.length, unit });
    const found = await bus.modbus.find(unit);
    if (found === undefined) continue;
    const fitting: string[] = [];
    for (const one of known) if (await fits(bus.modbus, found, one.marks)) fitting.push(one.name);
    tell({ found: { ...found, profiles: fitting } });
  }
  tell({ asked: units.length, of: units.length, unit: units.at(-1) ?? 0 });
}

/** `1-5,9`: undefined where it is no list of unit numbers. */
export function parseUnits(text: string): readonly number[] | undefined {
  const units = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?\s*$/.exec(part);
    if (match === null) return undefined;
    const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])];
    if (from > to || to > 255) return undefined;
    for (let unit = from; unit <= to; unit += 1) units.add(unit);
  }
  return [...units];
}

function knownProfiles(driver: string, profiles: ProfileSource): readonly Known[] {
  return profiles.names.flatMap((name): Known[] => {
    const read = profiles.read(name);
    const profile = read.kind === 'text' ? readProfile(read.text, read.file).profile : undefined;
    if (profile === undefined || !profile.drivers.includes(driver) || profile.fingerprint.length === 0)
      return [];
    return [{ name, marks: profile.fingerprint.map((mark) => markOf(mark, profile)) }];
  });
}

/** Throws where the fingerprint of a profile that ships with godwit is none; a test reads them all. */
function markOf(fingerprint: Fingerprint, profile: Profile): Mark {
  if (!('register' in fingerprint))
    return { kind: 'identification', says: new RegExp(String(fingerprint.identification), 'i') };
  const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY, equals, ...keys } = fingerprint;
  const points = { mark: modbusPointSchema.parse(keys) };
  const device = { ...profile.device, bus: '', poll: 1000, points } as unknown as DeviceConfig;
  const [point] = modbusPoints('fingerprint', device);
  return { kind: 'register', point: point as ModbusPoint, least, most, equals };
}

async function fits(modbus: ModbusCommissioning, unit: FoundUnit, marks: readonly Mark[]): Promise<boolean> {
  for (const mark of marks) if (!(await has(modbus, unit, mark))) return false;
  return true;
}

async function has(modbus: ModbusCommissioning, unit: FoundUnit, mark: Mark): Promise<boolean> {
  if (mark.kind === 'identification') return mark.says.test(Object.values(unit.identification).join(' '));
  const { table, address, width } = mark.point;
  const outcome = await modbus.read(unit.unit, { table, start: address, count: width });
  if (outcome.kind !== 'data') return false;
  try {
    const value = valueIn(mark.point, outcome.bytes, address);
    if (mark.equals !== undefined) return String(value) === String(mark.equals);
    return typeof value === 'number' && value >= mark.least && value <= mark.most;
  } catch (fault) {
    throw new Error(`the fingerprint ${mark.point.source} cannot be read: ${reasonOf(fault)}`, {
      cause: fault,
    });
  }
}
