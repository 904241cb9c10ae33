/** `godwit read DEVICE[/POINT]`: what a device says now, with its bytes beside the value. */
import { interpretations } from '../drivers/interpretations.js';
import type { PlainReading } from '../gateway/field-desk.js';
import { ExitCode } from './exit-code.js';
import { Field } from './field.js';

export async function read(
  file: string,
  place: string,
  options: { readonly types?: boolean; readonly json?: boolean },
): Promise<ExitCode> {
  const [device = '', point] = splitPlace(place);
  const answers = await new Field(file).read(device, point);
  const shown =
    options.types === true ? answers.map((answer) => ({ ...answer, types: typesOf(answer) })) : answers;
  if (options.json === true) process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
  else for (const answer of answers) process.stdout.write(line(answer, options.types === true));
  return answers.every(({ quality }) => quality === 'good') ? ExitCode.done : ExitCode.failed;
}

/** The device's name ends at the first slash. */
export function splitPlace(place: string): [string, string?] {
  const at = place.indexOf('/');
  return at === -1 ? [place] : [place.slice(0, at), place.slice(at + 1)];
}

function typesOf({ raw }: PlainReading): Readonly<Record<string, string>> {
  return raw === undefined ? {} : Object.fromEntries(interpretations(Buffer.from(raw, 'hex')));
}

function line(answer: PlainReading, withTypes: boolean): string {
  const { point, source, value, unit, quality, reason, raw } = answer;
  const said =
    quality === 'good' ? `${value}${unit === undefined ? '' : ` ${unit}`}` : `bad: ${reason ?? 'no value'}`;
  const bytes = raw === undefined ? '' : `  [${raw.toUpperCase().replace(/(....)(?=.)/g, '$1 ')}]`;
  const types = withTypes
    ? Object.entries(typesOf(answer)).map(([type, text]) => `    ${type.padEnd(18)} ${text}\n`)
    : [];
  return `${point.padEnd(20)} ${said.padEnd(18)} ${source}${bytes}\n${types.join('')}`;
}
