/** `godwit scan modbus BUS`: which units are there, what they say they are, and what to paste into the configuration. */
import { GodwitError } from '../core/error.js';
import type { ScannedUnit } from '../gateway/unit-scan.js';
import { ExitCode } from './exit-code.js';
import { Field, type LineTried } from './field.js';
import { untilInterrupted } from './interrupted.js';

export interface ScanOptions {
  readonly units: string;
  readonly speeds?: string;
  readonly parities?: string;
  readonly json?: boolean;
}

const PARITIES = ['none', 'even', 'odd'] as const;
/** Of a line that the configuration does not say: the most common first. */
const SPEED_DEFAULT = '9600';

export async function scan(file: string, bus: string, options: ScanOptions): Promise<ExitCode> {
  const lines = linesOf(options);
  const found: { readonly unit: ScannedUnit; readonly line: LineTried | undefined }[] = [];
  const showsProgress = process.stderr.isTTY === true;
  await new Field(file).scan(
    bus,
    options.units,
    lines,
    (told, line) => {
      if ('found' in told) {
        found.push({ unit: told.found, line });
        if (showsProgress) process.stderr.write('\r\x1b[K');
        if (options.json === true) process.stdout.write(`${JSON.stringify({ ...told.found, ...line })}\n`);
        else process.stderr.write(`${describe(told.found, line)}\n`);
      } else if (showsProgress) {
        const at = line === undefined ? '' : ` at ${line.baud_rate} baud, parity ${line.parity}`;
        process.stderr.write(`\r\x1b[K${told.asked} of ${told.of} asked${at}, ${found.length} found`);
      }
    },
    untilInterrupted(),
  );
  if (showsProgress) process.stderr.write('\r\x1b[K');
  if (options.json === true) return found.length > 0 ? ExitCode.done : ExitCode.failed;
  if (found.length === 0) {
    process.stderr.write(
      `Nobody answers on ${bus}. Check A and B (swapped they are silent), the speed and the parity: godwit scan modbus ${bus} --speeds 2400,9600,19200 --parities none,even\n`,
    );
    return ExitCode.failed;
  }
  process.stdout.write(yamlOf(bus, found));
  return ExitCode.done;
}

function linesOf({ speeds, parities }: ScanOptions): readonly LineTried[] {
  if (speeds === undefined && parities === undefined) return [];
  return (speeds ?? SPEED_DEFAULT).split(',').flatMap((speed) =>
    (parities ?? 'none').split(',').map((text): LineTried => {
      const parity = PARITIES.find((one) => one === text.trim());
      const baud_rate = Number(speed);
      if (parity === undefined || !Number.isInteger(baud_rate) || baud_rate < 50) {
        throw new GodwitError(
          'FIELD',
          `Found ${speed} baud with parity ${text}; allowed: --speeds 2400,9600,19200 --parities none,even,odd`,
        );
      }
      return { baud_rate, parity };
    }),
  );
}

function describe(
  { unit, answer, identification, profiles }: ScannedUnit,
  line: LineTried | undefined,
): string {
  const said = Object.values(identification).join(' ');
  const what = [
    said === '' ? (answer === 'data' ? 'answers, does not identify itself' : `answers: ${answer}`) : said,
    ...(profiles.length === 0 ? [] : [`profile ${profiles.join(' or ')}`]),
    ...(line === undefined ? [] : [`${line.baud_rate} baud, parity ${line.parity}`]),
  ];
  return `unit ${String(unit).padEnd(4)} ${what.join('; ')}`;
}

/** A device each, with the profile that fits; what nobody knows is left to be filled in. */
export function yamlOf(
  bus: string,
  found: readonly { readonly unit: ScannedUnit; readonly line: LineTried | undefined }[],
): string {
  const devices = found.map(({ unit: { unit, identification, profiles }, line }) => {
    const [first, ...others] = profiles;
    const said = [
      ...(line === undefined ? [] : [`${line.baud_rate} baud, parity ${line.parity}`]),
      ...Object.values(identification),
      ...(others.length === 0 ? [] : [`or profile ${others.join(', ')}`]),
      ...(first === undefined ? ['no profile knows it: fill in its points'] : []),
    ];
    const what = first === undefined ? 'points: {}' : `profile: ${first}`;
    const comment = said.length === 0 ? '' : ` # ${said.join('; ').replace(/[^\x20-\x7e]/g, '?')}`;
    return `  unit${unit}: { bus: ${bus}, unit: ${unit}, ${what} }${comment}\n`;
  });
  return `devices:\n${devices.join('')}`;
}
