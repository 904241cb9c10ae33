/** Devices and points against the buses they are on. */

import { checkFieldPoint, checkGpioLines } from './check-field-points.js';
import { checkModbusDevice, checkModbusPoint, MODBUS_DEVICE_KEYS } from './check-modbus.js';
import { checkMqttPoint } from './check-mqtt.js';
import { checkTransform } from './check-point.js';
import { checkSerialBus, checkSerialPoint } from './check-serial.js';
import type { Path } from './config-error.js';
import { driverFilePointSchema, isDriverFile } from './driver-file-schema.js';
import { reportPoint } from './issue.js';
import { isLaterValue } from './later.js';
import { didYouMean, shortList } from './nearest.js';
import { refuseScaling } from './refuse-scaling.js';
import type { Report } from './report.js';
import { driverOf, SOURCE_KEYS, sourceKeysOf } from './schema-at.js';
import { entriesAt, nodeAt, plainValue, type Tree, textAt } from './tree.js';

export function checkDevices(report: Report): void {
  checkSerialPaths(report);
  checkGpioLines(report);
  for (const [bus, node] of entriesAt(report.tree, ['buses'])) checkSerialBus(report, ['buses', bus], node);
  for (const [device, node] of entriesAt(report.tree, ['devices'])) {
    const path = ['devices', device];
    if (node.kind !== 'mapping') continue;
    checkBus(report, path, node);
    const driver = driverOf(report.tree, device);
    checkUnit(report, path, node, driver);
    if (nodeAt(node, ['points']) === undefined && nodeAt(node, ['profile']) === undefined) {
      report.missing([...path, 'points'], 'points, or a profile that has them');
    }
    for (const [point, pointNode] of entriesAt(node, ['points'])) {
      const pointPath = [...path, 'points', point];
      checkTransform(report, pointPath, pointNode);
      if (!fitsDriver(report, pointPath, pointNode, driver)) continue;
      checkPoint(report, pointPath, pointNode, node);
      checkSerialPoint(report, pointPath, pointNode);
      checkFieldPoint(report, pointPath, pointNode);
      if (driver === 'mqtt') checkMqttPoint(report, pointPath, pointNode);
    }
    if (driver !== undefined && isKnown(driver) && !isDriverFile(driver))
      refuseOptions(report, path, node, driver);
  }
}

/** Two buses on one port would talk into each other's requests. */
function checkSerialPaths(report: Report): void {
  const owners = new Map<string, string>();
  for (const [bus, node] of entriesAt(report.tree, ['buses'])) {
    const path = textAt(node, ['path']);
    if (path === undefined) continue;
    const owner = owners.get(path);
    if (owner === undefined) owners.set(path, bus);
    else
      report.at(
        ['buses', bus, 'path'],
        `found ${path}, which is the port of bus ${owner} already, allowed: one bus per port`,
      );
  }
}

function checkBus(report: Report, path: Path, device: Tree): void {
  const bus = textAt(device, ['bus']);
  const buses = entriesAt(report.tree, ['buses']).map(([name]) => name);
  if (bus === undefined || bus === '' || buses.includes(bus)) return;
  const meant = didYouMean(bus, buses);
  const allowed = buses.length === 0 ? 'none, since there are no buses' : shortList(buses);
  report.at([...path, 'bus'], `found no bus ${bus}${meant === '' ? ',' : meant} allowed: ${allowed}`);
}

function isKnown(driver: string): boolean {
  return isDriverFile(driver) || sourceKeysOf(driver).length > 0;
}

function refuseOptions(report: Report, path: Path, device: Tree, driver: string): void {
  if (nodeAt(device, ['options']) === undefined) return;
  report.atKey(
    [...path, 'options'],
    `found options, which only a driver of your own has, and the bus has driver ${driver}; remove them`,
  );
}

function checkUnit(report: Report, path: Path, device: Tree, driver: string | undefined): void {
  const isOther = driver !== undefined && isKnown(driver) && !driver.startsWith('modbus');
  for (const key of isOther ? MODBUS_DEVICE_KEYS : []) {
    if (nodeAt(device, [key]) === undefined) continue;
    const what = key === 'unit' ? 'a unit number' : key;
    report.atKey([...path, key], `found ${what}, which only Modbus devices have; remove it`);
  }
  if (driver === undefined || !driver.startsWith('modbus') || isLaterValue(['buses', '*', 'driver'], driver))
    return;
  checkModbusDevice(report, path, device, driver);
}

/** Whether what the point says is worth a second look. */
function fitsDriver(report: Report, path: Path, point: Tree, driver: string | undefined): boolean {
  if (driver === undefined) return true;
  const wanted = sourceKeysOf(driver);
  const has = SOURCE_KEYS.filter((key) => nodeAt(point, [key]) !== undefined);
  if (isDriverFile(driver)) {
    const [key] = has;
    if (key !== undefined && !driverFilePointSchema.safeParse(plainValue(point)).success) {
      tellForeign(report, [...path, key], driver, 'options, which are its own');
    }
    return false;
  }
  // A driver that is not known is told already.
  if (wanted.length === 0) return true;
  const [foreign] = has.filter((key) => !wanted.includes(key));
  if (foreign !== undefined && !has.some((key) => wanted.includes(key))) {
    tellForeign(report, [...path, foreign], driver, wanted.join(', ').replace(/, (?=[^,]*$)/, ' or '));
    return false;
  }
  // A point without a source fits the drivers of users' own; here it lacks what its driver needs.
  if (has.length === 0 && driverFilePointSchema.safeParse(plainValue(point)).success) {
    reportPoint(report, path);
    return false;
  }
  return foreign === undefined;
}

function tellForeign(report: Report, path: Path, driver: string, needed: string): void {
  report.atKey(
    path,
    `found ${path.at(-1)?.toString()}, but the device is on a bus with driver ${driver}, needed: ${needed}`,
  );
}

function checkPoint(report: Report, path: Path, point: Tree, device: Tree): void {
  if (nodeAt(point, ['register']) !== undefined) checkModbusPoint(report, path, point, device);
  const simulated = nodeAt(point, ['simulate']);
  if (simulated?.kind !== 'mapping') return;
  if (textAt(simulated, ['type']) === 'boolean') refuseScaling(report, path, point);
  const [min, max] = [numberAt(simulated, 'min') ?? 0, numberAt(simulated, 'max') ?? 100];
  if (min > max) {
    const key = nodeAt(simulated, ['min']) === undefined ? 'max' : 'min';
    report.at([...path, 'simulate', key], `found min ${min} above max ${max}, allowed: min up to max`);
  }
}

function numberAt(tree: Tree, key: string): number | undefined {
  const node = nodeAt(tree, [key]);
  return node?.kind === 'scalar' && typeof node.value === 'number' ? node.value : undefined;
}
