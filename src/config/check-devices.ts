/** Devices and points against the buses they are on. */
import { checkTransform } from './check-point.js';
import type { Path } from './config-error.js';
import { isLaterValue } from './later.js';
import { modbusPointSchema } from './modbus-schema.js';
import { didYouMean, shortList } from './nearest.js';
import { defaultType, isBitTable, parseRegister, type RegisterType, widthOf } from './register.js';
import type { Report } from './report.js';
import { driverOf } from './schema-at.js';
import { entriesAt, nodeAt, type Tree, textAt } from './tree.js';

export function checkDevices(report: Report): void {
  checkSerialPaths(report);
  for (const [device, node] of entriesAt(report.tree, ['devices'])) {
    const path = ['devices', device];
    if (node.kind !== 'mapping') continue;
    checkBus(report, path, node);
    const driver = driverOf(report.tree, device);
    checkUnit(report, path, node, driver);
    for (const [point, pointNode] of entriesAt(node, ['points'])) {
      const pointPath = [...path, 'points', point];
      checkTransform(report, pointPath, pointNode);
      if (fitsDriver(report, pointPath, pointNode, driver)) checkPoint(report, pointPath, pointNode);
    }
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

function checkUnit(report: Report, path: Path, device: Tree, driver: string | undefined): void {
  const unit = nodeAt(device, ['unit']);
  if (driver === 'simulator' && unit !== undefined) {
    report.atKey([...path, 'unit'], 'found a unit number, which only Modbus devices have; remove it');
  }
  if (driver === undefined || !driver.startsWith('modbus') || isLaterValue(['buses', '*', 'driver'], driver))
    return;
  if (unit === undefined) {
    report.missing([...path, 'unit'], "unit, the device's Modbus unit (slave) number");
    return;
  }
  const number = unit.kind === 'scalar' ? unit.value : undefined;
  if (driver !== 'modbus-rtu' || typeof number !== 'number') return;
  // 0 is the broadcast address, to which nobody answers; 248 to 255 are reserved on a serial line.
  if (number === 0 || (number > 247 && number <= 255)) {
    report.at([...path, 'unit'], `found ${number}, allowed on a serial bus: a whole number from 1 to 247`);
  }
}

function fitsDriver(report: Report, path: Path, point: Tree, driver: string | undefined): boolean {
  const [has, wanted] =
    driver === 'simulator'
      ? ['register', 'simulate']
      : driver?.startsWith('modbus')
        ? ['simulate', 'register']
        : ['', ''];
  // A key of the other driver is unknown to the point's own schema, unless the other schema took the point as a whole.
  if (wanted === '' || nodeAt(point, [has]) === undefined) return true;
  if (nodeAt(point, [wanted]) === undefined) {
    report.atKey(
      [...path, has],
      `found ${has}, but the device is on a bus with driver ${driver}, needed: ${wanted}`,
    );
  }
  return false;
}

function checkPoint(report: Report, path: Path, point: Tree): void {
  const register = parseRegister(textAt(point, ['register']) ?? '');
  if (register !== undefined) {
    const written = modbusPointSchema.shape.type.safeParse(textAt(point, ['type']));
    const type: RegisterType | undefined = written.success ? written.data : undefined;
    const bits = isBitTable(register.table);
    if (bits && type !== undefined && type !== 'bool') {
      report.at([...path, 'type'], `found ${type}, allowed for a ${register.table}: bool`);
    }
    const used = type ?? defaultType(register.table);
    if (!bits && register.address + widthOf(used) > 65_536) {
      report.at(
        [...path, 'register'],
        `found a value of type ${used} that goes beyond register 65535, allowed: up to ${register.table}/${65_536 - widthOf(used)}`,
      );
    }
    if (written.success && (bits || used === 'bool')) refuseScaling(report, path, point);
  }
  const simulated = nodeAt(point, ['simulate']);
  if (simulated?.kind !== 'mapping') return;
  if (textAt(simulated, ['type']) === 'boolean') refuseScaling(report, path, point);
  const [min, max] = [numberAt(simulated, 'min') ?? 0, numberAt(simulated, 'max') ?? 100];
  if (min > max) {
    const key = nodeAt(simulated, ['min']) === undefined ? 'max' : 'min';
    report.at([...path, 'simulate', key], `found min ${min} above max ${max}, allowed: min up to max`);
  }
}

/** true and false cannot be multiplied. */
function refuseScaling(report: Report, path: Path, point: Tree): void {
  for (const key of ['scale', 'offset']) {
    if (nodeAt(point, [key]) === undefined) continue;
    report.atKey([...path, key], `found ${key} on a value that is true or false, allowed: only on numbers`);
  }
}

function numberAt(tree: Tree, key: string): number | undefined {
  const node = nodeAt(tree, [key]);
  return node?.kind === 'scalar' && typeof node.value === 'number' ? node.value : undefined;
}
