/**
 * Read Device Identification (function 43, MEI type 14): pure.
 *
 *   request  43 | 14 | 1 basic, 2 regular, 3 extended | first object
 *   reply    43 | 14 | the same | conformity | more follows | next object | objects | (id | length | text) …
 */

import type { Answer, Question } from './pdu.js';

const FUNCTION = 43;
const MEI_TYPE = 14;
const HEADER_BYTES = 7;
const PDU_BYTES_MAX = 253;
/** A device that always says that more follows must not be asked for ever. */
export const IDENTIFICATION_REQUESTS_MAX = 16;

export type IdentificationLevel = 'basic' | 'regular' | 'extended';

const LEVELS = { basic: 1, regular: 2, extended: 3 } as const;

const OBJECT_NAMES: Readonly<Record<number, string>> = {
  0: 'vendor',
  1: 'product',
  2: 'revision',
  3: 'url',
  4: 'name',
  5: 'model',
  6: 'application',
};

export function identificationQuestion(level: IdentificationLevel, firstObject: number): Question {
  const pdu = Uint8Array.of(FUNCTION, MEI_TYPE, LEVELS[level], firstObject);
  return {
    pdu,
    answerBytes: lengthOf,
    answerBytesMax: PDU_BYTES_MAX,
    parse: (answer): Answer => {
      if (answer[1] !== MEI_TYPE)
        return { kind: 'wrong', why: `MEI type ${answer[1]} instead of ${MEI_TYPE}` };
      if (answer[2] !== pdu[2]) return { kind: 'wrong', why: 'another level of identification' };
      if (lengthOf(answer) !== answer.length)
        return { kind: 'wrong', why: 'objects that end too early or too late' };
      return { kind: 'data', bytes: answer.subarray(2) };
    },
  };
}

export interface IdentificationPart {
  readonly objects: Readonly<Record<string, string>>;
  /** Where to go on; undefined: that was all. */
  readonly next: number | undefined;
}

/** `bytes` as the question's answer has them. */
export function readIdentification(bytes: Uint8Array): IdentificationPart {
  const objects: Record<string, string> = {};
  const [, , more = 0, next = 0, count = 0] = bytes;
  let at = 5;
  for (let index = 0; index < count; index++) {
    const [id = 0, length = 0] = bytes.subarray(at, at + 2);
    const text = new TextDecoder('latin1').decode(bytes.subarray(at + 2, at + 2 + length));
    objects[OBJECT_NAMES[id] ?? `object ${id}`] = text.replace(/[\0\s]+$/, '');
    at += 2 + length;
  }
  return { objects, next: more === 0 ? undefined : next };
}

function lengthOf(beginning: Uint8Array): number | undefined {
  const count = beginning[6];
  if (count === undefined) return undefined;
  let at = HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const length = beginning[at + 1];
    if (length === undefined) return undefined;
    at += 2 + length;
    // Longer than any PDU: it is none, and 0 says so.
    if (at > PDU_BYTES_MAX) return 0;
  }
  return at;
}
