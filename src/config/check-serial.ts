/** Serial buses and their points: what depends on a second value. */
import type { Path } from './config-error.js';
import { refuseScaling } from './refuse-scaling.js';
import { groupsOf, regexProblem } from './regex-text.js';
import type { Report } from './report.js';
import { nodeAt, type Tree, textAt } from './tree.js';

/** What makes a frame of its own; `idle` beside `length` does something else. */
const FRAMINGS = ['delimiter', 'length', 'end', 'regex', 'idle'];

export function checkSerialBus(report: Report, path: Path, bus: Tree): void {
  if (textAt(bus, ['driver']) !== 'serial') return;
  if (textAt(bus, ['protocol']) !== undefined) {
    for (const key of ['frame', 'checksum']) {
      if (nodeAt(bus, [key]) === undefined) continue;
      report.atKey([...path, key], `found ${key} with protocol, which says it already; remove one of them`);
    }
  }
  const frame = nodeAt(bus, ['frame']);
  if (frame?.kind !== 'mapping') return;
  const at = [...path, 'frame'];
  const has = (key: string): boolean => frame.entries.has(key);
  const framings = FRAMINGS.filter((key) => has(key) && !(key === 'idle' && has('length')));
  const [first, second] = framings;
  if (first === undefined) {
    report.at(at, 'found no way to tell where a frame ends, needed: delimiter, length, end, idle or regex');
  } else if (second !== undefined) {
    report.atKey([...at, second], `found ${first} and ${second}, allowed: one of ${FRAMINGS.join(', ')}`);
  }
  if (has('end') && !has('start'))
    report.missing([...at, 'start'], 'start, the bytes that every frame begins with');
  if (has('after_end') && !has('end')) {
    report.atKey([...at, 'after_end'], 'found after_end without end, which it follows; add end or remove it');
  }
  if (has('start') && (first === 'regex' || first === 'idle')) {
    report.atKey([...at, 'start'], `found start with ${first}, allowed: with delimiter, length or end`);
  }
}

export function checkSerialPoint(report: Report, path: Path, point: Tree): void {
  const has = (key: string): boolean => nodeAt(point, [key]) !== undefined;
  if (has('match')) checkText(report, path, point);
  if (has('at')) checkBinary(report, path, point);
  if (has('nmea') && !isNmeaBus(report, String(path[1]))) {
    report.atKey(
      [...path, 'nmea'],
      'found nmea, but the bus does not speak it; write protocol: nmea-0183 there',
    );
  }
}

function isNmeaBus(report: Report, device: string): boolean {
  const bus = textAt(report.tree, ['devices', device, 'bus']) ?? '';
  return textAt(report.tree, ['buses', bus, 'protocol']) === 'nmea-0183';
}

function checkText(report: Report, path: Path, point: Tree): void {
  const has = (key: string): boolean => nodeAt(point, [key]) !== undefined;
  checkGroup(report, path, point);
  const type = textAt(point, ['type']) ?? 'number';
  if (has('texts') || type === 'string' || type === 'bool') {
    refuseScaling(report, path, point, type === 'bool' ? undefined : 'text');
  }
  const writable = nodeAt(point, ['writable']);
  const isWritable = writable?.kind === 'scalar' && writable.value === true;
  if (isWritable && !has('write'))
    report.missing([...path, 'write'], 'write, what is sent to set it, with {value} in it');
  for (const key of ['write', 'min', 'max']) {
    if (!isWritable && has(key)) {
      report.atKey(
        [...path, key],
        `found ${key} on a point that is not writable; add writable: true or remove it`,
      );
    }
  }
  if (has('confirm') && !has('write')) {
    report.atKey([...path, 'confirm'], 'found confirm without write, whose answer it is; remove it');
  }
}

function checkGroup(report: Report, path: Path, point: Tree): void {
  const source = textAt(point, ['match']);
  const group = nodeAt(point, ['group']);
  if (source === undefined || regexProblem(source) !== undefined || group?.kind !== 'scalar') return;
  const { count, names } = groupsOf(source);
  const known = typeof group.value === 'number' ? group.value <= count : names.includes(String(group.value));
  if (known) return;
  const named = names.length === 0 ? '' : `, ${names.join(', ')}`;
  report.at(
    [...path, 'group'],
    `found ${group.source}, which match does not have, allowed: 0 to ${count}${named}`,
  );
}

function checkBinary(report: Report, path: Path, point: Tree): void {
  const has = (key: string): boolean => nodeAt(point, [key]) !== undefined;
  const type = textAt(point, ['type']) ?? 'uint8';
  if (type === 'string' && !has('length'))
    report.missing([...path, 'length'], 'length, the bytes of the string');
  if (type !== 'string' && has('length')) {
    report.atKey(
      [...path, 'length'],
      `found length, which only a string has, and the type is ${type}; remove it`,
    );
  }
  if (has('bit') && !/^u?int(8|16|24|32)$/.test(type)) {
    report.atKey([...path, 'bit'], `found bit of a ${type}, allowed: of a whole number of up to 32 bits`);
  }
  if (has('bit') || type === 'bool' || type === 'string') {
    refuseScaling(report, path, point, type === 'string' ? 'text' : undefined);
  }
}
