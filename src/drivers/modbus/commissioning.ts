/** What a person with a new bus wants to know of it, beside the points of the configuration. */

import type { Asker } from './asker.js';
import type { Outcome } from './exchange.js';
import {
  IDENTIFICATION_REQUESTS_MAX,
  type IdentificationLevel,
  identificationQuestion,
  readIdentification,
} from './identification.js';
import { exceptionName, type ReadRange } from './pdu.js';

export interface FoundUnit {
  readonly unit: number;
  /** What it answered to the request that found it: data, or an exception by name. */
  readonly answer: string;
  /** `vendor`, `product`, `revision`, …: empty where it does not identify itself (function 43/14). */
  readonly identification: Readonly<Record<string, string>>;
}

export interface ModbusCommissioning {
  /** Whether there is a unit of this number, asked once for holding/0; undefined: nobody answers. */
  find(unit: number): Promise<FoundUnit | undefined>;
  /** Any registers of any unit, as a poll would read them. */
  read(unit: number, range: ReadRange): Promise<Outcome>;
}

const PROBE: ReadRange = { table: 'holding', start: 0, count: 1 };
const LEVELS: readonly IdentificationLevel[] = ['extended', 'regular', 'basic'];

export async function findUnit(unit: number, asker: Asker): Promise<FoundUnit | undefined> {
  const outcome = await asker.read(PROBE, { retries: 0, urgent: true });
  if (outcome.kind !== 'data' && outcome.kind !== 'exception') return undefined;
  const answer = outcome.kind === 'data' ? 'data' : exceptionName(outcome.code);
  return { unit, answer, identification: await identify(asker) };
}

async function identify(asker: Asker): Promise<Readonly<Record<string, string>>> {
  for (const level of LEVELS) {
    const objects: Record<string, string> = {};
    let first: number | undefined = 0;
    for (let asked = 0; first !== undefined && asked < IDENTIFICATION_REQUESTS_MAX; asked++) {
      const question = identificationQuestion(level, first);
      const outcome: Outcome = await asker.hold(true, (wire) => asker.ask(question, wire));
      // Silent, or no identification at all: the lower levels would cost a time-out each.
      if (outcome.kind === 'silent' || outcome.kind === 'broken') return objects;
      if (outcome.kind !== 'data') break;
      const part = readIdentification(outcome.bytes);
      Object.assign(objects, part.objects);
      first = part.next;
    }
    if (Object.keys(objects).length > 0) return objects;
  }
  return {};
}
