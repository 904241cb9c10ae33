/** Finds what the schema says about one place of the configuration, for messages and for `${NAME}`. */

import type { Path } from './config-error.js';
import { driverFileBusSchema, driverFilePointSchema, isDriverFile } from './driver-file-schema.js';
import { gpioPointSchema } from './gpio-schema.js';
import { iioPointSchema, onewirePointSchema, systemPointSchema } from './kernel-schema.js';
import { isLaterValue } from './later.js';
import { modbusPointSchema } from './modbus-schema.js';
import { mqttPointSchema } from './mqtt-schema.js';
import { nearest } from './nearest.js';
import { busSchema, configSchema, namedBusSchema, pointSchema, simulatorPointSchema } from './schema.js';
import { nmeaPointSchema, serialBinaryPointSchema, serialTextPointSchema } from './serial-schema.js';
import { entriesAt, nodeAt, type Tree, textAt } from './tree.js';
import { z } from './zod.js';

type Schema = z.core.$ZodType;

/** Undefined where the schema knows no such place. */
export function schemaAt(tree: Tree, path: Path): Schema | undefined {
  let schema: Schema | undefined = configSchema;
  for (const [index, step] of path.entries()) {
    const holder: Schema = chosen(bare(schema), tree, path.slice(0, index));
    if (holder instanceof z.ZodObject) schema = holder.shape[String(step)] as Schema | undefined;
    else if (holder instanceof z.ZodRecord) schema = holder.valueType as Schema;
    else if (holder instanceof z.ZodArray) schema = holder.element as Schema;
    else return undefined;
    if (schema === undefined) return undefined;
  }
  return chosen(bare(schema), tree, path);
}

/** The keys that the mapping at `path` may have; empty where their names are free. */
export function keysAt(tree: Tree, path: Path): readonly string[] {
  const schema = schemaAt(tree, path);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** Without default, optional and transformation. */
function bare(schema: Schema): Schema {
  let inner = schema;
  for (;;) {
    if (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
      inner = inner.def.innerType;
    } else if (inner instanceof z.ZodPipe) inner = inner.def.in;
    else return inner;
  }
}

/** Of several forms, the one that the operator meant. */
function chosen(schema: Schema, tree: Tree, path: Path): Schema {
  if (schema === busSchema) {
    return driverMeant(tree, path).option ?? schema;
  }
  if (schema === pointSchema) return pointSchemaAt(tree, path) ?? schema;
  if (schema instanceof z.ZodUnion && nodeAt(tree, path)?.kind === 'mapping') {
    return (
      (schema.options as readonly Schema[]).map(bare).find((option) => option instanceof z.ZodObject) ??
      schema
    );
  }
  if (schema instanceof z.ZodUnion && nodeAt(tree, path)?.kind === 'list') {
    return (schema.options as readonly Schema[]).find((option) => option instanceof z.ZodArray) ?? schema;
  }
  return schema;
}

export type BusOption = (typeof namedBusSchema.options)[number] | typeof driverFileBusSchema;

/** The drivers that ship with godwit. */
export const DRIVERS: readonly string[] = namedBusSchema.options.map((option) => option.shape.driver.value);

/** The driver of a bus, also where its name or the key itself has a slip; `key` is what stands for `driver`. */
export function driverMeant(tree: Tree, path: Path): { readonly key?: string; readonly option?: BusOption } {
  const keys = entriesAt(tree, path).map(([name]) => name);
  const key = keys.includes('driver')
    ? 'driver'
    : keys.find((name) => nearest(name, ['driver']) !== undefined);
  if (key === undefined) return {};
  const written = textAt(tree, [...path, key]);
  if (written === undefined || isLaterValue([...path, 'driver'], written)) return { key };
  if (/[./\\]/.test(written)) return { key, option: driverFileBusSchema };
  const driver = nearest(written, DRIVERS);
  const option = namedBusSchema.options.find((one) => one.shape.driver.value === driver);
  return option === undefined ? { key } : { key, option };
}

/** What each driver's points say their value comes from. */
const SOURCES = [
  {
    key: 'register',
    schema: modbusPointSchema,
    drivers: ['modbus-rtu', 'modbus-ascii', 'modbus-tcp', 'modbus-rtu-over-tcp'],
  },
  { key: 'match', schema: serialTextPointSchema, drivers: ['serial'] },
  { key: 'at', schema: serialBinaryPointSchema, drivers: ['serial'] },
  { key: 'nmea', schema: nmeaPointSchema, drivers: ['serial'] },
  { key: 'gpio', schema: gpioPointSchema, drivers: ['gpio'] },
  { key: 'probe', schema: onewirePointSchema, drivers: ['onewire'] },
  { key: 'channel', schema: iioPointSchema, drivers: ['iio'] },
  { key: 'metric', schema: systemPointSchema, drivers: ['system'] },
  { key: 'topic', schema: mqttPointSchema, drivers: ['mqtt'] },
  { key: 'simulate', schema: simulatorPointSchema, drivers: ['simulator'] },
] as const;

export type PointSchema = (typeof SOURCES)[number]['schema'] | typeof driverFilePointSchema;
export type SourceKey = (typeof SOURCES)[number]['key'];

export const SOURCE_KEYS: readonly SourceKey[] = SOURCES.map(({ key }) => key);

/** The keys of which a point on such a bus has one; none where the driver is a file or unknown. */
export function sourceKeysOf(driver: string | undefined): readonly SourceKey[] {
  return SOURCES.filter(({ drivers }) => (drivers as readonly string[]).includes(driver ?? '')).map(
    ({ key }) => key,
  );
}

/** By where its value comes from; where that is not said, by the driver of the device's bus. */
export function pointSchemaAt(tree: Tree, path: Path): PointSchema | undefined {
  const keys = entriesAt(tree, path).map(([name]) => nearest(name, SOURCE_KEYS));
  const driver = driverOf(tree, String(path[1]));
  const said = SOURCES.filter(({ key }) => keys.includes(key));
  if (said.length === 1 && (driver === undefined || !isDriverFile(driver))) return said[0]?.schema;
  if (driver !== undefined && isDriverFile(driver)) return driverFilePointSchema;
  return SOURCES.find(({ drivers }) => (drivers as readonly string[]).includes(driver ?? ''))?.schema;
}

/** The driver that a device's bus names, right or wrong; undefined where there is none to be found. */
export function driverOf(tree: Tree, device: string): string | undefined {
  const bus = textAt(tree, ['devices', device, 'bus']);
  return bus === undefined ? undefined : textAt(tree, ['buses', bus, 'driver']);
}
