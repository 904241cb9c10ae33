import { expect, test } from 'vitest';
import {
  fromReturnCode,
  reasonCodeAllowed,
  reasonName,
  toReturnCode,
} from '../../../src/mqtt/reason-code.js';

const ACK = '00 10 80 83 87 90 91 97 99';
const EITHER = '00 80 81 82 83 90 93 94 95 96 97 98 99';

/** Table F4 of the standard's facts, written down independently of the one in src. */
test.each([
  ['connack', 'server', '00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f'],
  ['puback', 'client', ACK],
  ['puback', 'server', ACK],
  ['pubrec', 'client', ACK],
  ['pubrel', 'server', '00 92'],
  ['pubcomp', 'client', '00 92'],
  ['suback', 'server', '00 01 02 80 83 87 8f 91 97 9e a1 a2'],
  ['unsuback', 'server', '00 11 80 83 87 8f 91'],
  ['disconnect', 'client', `00 04 80 81 82 83 90 93 94 95 96 97 98 99 9b`],
  ['disconnect', 'server', `${EITHER} 87 89 8b 8c 8d 8e 8f 9a 9b 9c 9d 9e 9f a0 a1 a2`],
  ['auth', 'client', '18 19'],
  ['auth', 'server', '00 18'],
] as const)('%s from a %s carries exactly %s', (packet, sender, codes) => {
  const allowed: string[] = [];
  for (let code = 0; code < 256; code += 1) {
    if (reasonCodeAllowed(code, packet, sender)) allowed.push(code.toString(16).padStart(2, '0'));
  }
  expect(allowed).toEqual(codes.split(' ').sort());
});

test('the Return Codes of 3.1.1 are mapped both ways, reserved ones are not', () => {
  for (let code = 0; code <= 5; code += 1) expect(toReturnCode(fromReturnCode(code)!)).toBe(code);
  expect(fromReturnCode(6)).toBeUndefined();
});

test('a code has a name for the log, an unknown one its number', () => {
  expect(reasonName(0x87)).toBe('notAuthorized (0x87)');
  expect(reasonName(0x00)).toBe('success (0x00)');
  expect(reasonName(0xff)).toBe('0xff');
});
