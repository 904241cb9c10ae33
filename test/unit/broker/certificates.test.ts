import { X509Certificate } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { CertificateWatch, validityOf } from '../../../src/broker/certificates.js';
import { SaidLog } from '../../support/bridge-bench.js';
import { Authority, type Signed } from '../../support/certificates.js';
import { FakeClock } from '../../support/fake-clock.js';

const DAY_MS = 86_400_000;
const ENDS = Date.UTC(2027, 0, 31);
let signed: Signed;
let renewed: Signed;

beforeAll(async () => {
  const authority = await Authority.make();
  const notBefore = new Date(Date.UTC(2026, 0, 1));
  signed = await authority.sign('here', { notBefore, notAfter: new Date(ENDS) });
  renewed = await authority.sign('here', { notBefore, notAfter: new Date(ENDS + 365 * DAY_MS) });
});

test('a certificate is fine until 30 days before its end', () => {
  const certificate = new X509Certificate(signed.cert);
  expect(validityOf(certificate, Date.UTC(2025, 11, 31))).toBe('not yet');
  expect(validityOf(certificate, ENDS - 30 * DAY_MS - 1)).toBe('fine');
  expect(validityOf(certificate, ENDS - 30 * DAY_MS)).toBe('soon');
  expect(validityOf(certificate, ENDS - 1)).toBe('soon');
  expect(validityOf(certificate, ENDS)).toBe('expired');
});

test('one that expires is told when it begins to, when it has, and when it is replaced: once each', () => {
  const clock = new FakeClock({ wallMs: ENDS - 31 * DAY_MS });
  const log = new SaidLog();
  const watch = new CertificateWatch(clock, log);
  watch.watch('mqtts://127.0.0.1:8883', signed);
  expect(log.said).toEqual([]);
  clock.advance(10 * DAY_MS);
  expect(log.said).toMatchObject([
    {
      level: 'warn',
      fields: { listener: 'mqtts://127.0.0.1:8883', key: 'cert', subject: 'CN=here', days: 30 },
      sentence: 'The certificate of a listener expires soon; replace its file and send SIGHUP',
    },
  ]);
  clock.advance(30 * DAY_MS);
  expect(log.said.slice(1)).toMatchObject([{ level: 'error', fields: { key: 'cert' } }]);
  watch.watch('mqtts://127.0.0.1:8883', renewed);
  expect(log.said.slice(2)).toMatchObject([
    { level: 'info', sentence: 'The certificate of a listener is valid again' },
  ]);
  watch.stop();
  clock.advance(400 * DAY_MS);
  expect(log.said).toHaveLength(3);
});

test('the authority of client certificates is watched too, and a clock that is wrong is suspected', () => {
  const clock = new FakeClock({ wallMs: 0 });
  const log = new SaidLog();
  new CertificateWatch(clock, log).watch('wss://127.0.0.1:8884/mqtt', { ...renewed, clientCa: signed.cert });
  expect(log.said).toMatchObject([
    { level: 'warn', fields: { key: 'cert' } },
    { level: 'warn', fields: { key: 'client_ca' } },
  ]);
  expect(log.said[0]?.sentence).toContain('the clock of this machine is wrong');
});
