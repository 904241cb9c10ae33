import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import { CertificateAge } from '../../../src/bridge/certificate-age.js';

const DAY_MS = 86_400_000;

test('a certificate is warned of from thirty days before its end, once a day', async () => {
  const endMs = Date.UTC(2031, 0, 31);
  const { cert } = await generate([{ name: 'commonName', value: 'well-17' }], {
    keySize: 2048,
    notBeforeDate: new Date(Date.UTC(2030, 0, 1)),
    notAfterDate: new Date(endMs),
  });
  const age = new CertificateAge(Buffer.from(cert));
  expect(age.toTell(endMs - 32 * DAY_MS, 0)).toBeUndefined();
  expect(age.toTell(endMs - 30 * DAY_MS, 1000)).toBe(30);
  expect(age.toTell(endMs - 30 * DAY_MS, 2000)).toBeUndefined();
  expect(age.toTell(endMs - 29 * DAY_MS, 1000 + DAY_MS)).toBe(29);
  expect(age.toTell(endMs + 2 * DAY_MS, 1000 + 2 * DAY_MS)).toBe(-2);
});
