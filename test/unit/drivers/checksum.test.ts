import { expect, test } from 'vitest';
import { checksumNames } from '../../../src/config/serial-schema.js';
import { checksum, checksumBytes } from '../../../src/drivers/checksum.js';

const DIGITS = new TextEncoder().encode('123456789');

/** The check values of the catalogue of CRCs; the sums by hand: 0x31 + … + 0x39 = 477. */
test.each([
  ['xor', 0x31n],
  ['sum', 0xddn],
  ['sum16', 0x01ddn],
  ['lrc', 0x23n],
  ['crc8', 0xf4n],
  ['crc8-maxim', 0xa1n],
  ['crc16-modbus', 0x4b37n],
  ['crc16-ccitt', 0x29b1n],
  ['crc16-xmodem', 0x31c3n],
  ['crc16-kermit', 0x2189n],
  ['crc16-arc', 0xbb3dn],
  ['crc32', 0xcbf43926n],
  ['crc32-mpeg2', 0x0376e6e7n],
] as const)('%s of 123456789 is what the catalogue says', (name, value) => {
  expect(checksum(name, DIGITS)).toBe(value);
  expect(Number(value)).toBeLessThan(2 ** (8 * checksumBytes(name)));
});

test('every name that the configuration takes is known here', () => {
  for (const name of checksumNames) expect(checksum(name, Uint8Array.of(1, 2, 3))).toBeTypeOf('bigint');
});
