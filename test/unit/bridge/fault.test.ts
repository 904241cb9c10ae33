import { describe, expect, test } from 'vitest';
import { CertificateTimeError } from '../../../src/bridge/certificate-fault.js';
import { connackFault, disconnectFault, reasonName } from '../../../src/bridge/fault.js';
import { parseServerUrl } from '../../../src/bridge/server-url.js';
import { socketFault, timeoutFault } from '../../../src/bridge/socket-fault.js';
import { ReasonCode } from '../../../src/mqtt/reason-code.js';
import { UpgradeRefused } from '../../../src/mqtt/web-socket.js';

const server = parseServerUrl('mqtts://mqtt.example.com:8883');
const withCode = (code: string): Error => Object.assign(new Error(`text of ${code}`), { code });

describe('each way in which a connection fails has its own words', () => {
  test.each([
    ['ENOTFOUND', 'dns', 'does not exist in DNS'],
    ['EAI_AGAIN', 'dns', 'is there a network, and do its name servers answer'],
    ['ERR_DNS_TIMEOUT', 'dns', 'no answer came'],
    ['ECONNREFUSED', 'refused', 'is the server running'],
    ['ENETUNREACH', 'unreachable', 'no route'],
    ['EHOSTUNREACH', 'unreachable', 'no route'],
    ['ETIMEDOUT', 'timeout', 'did not answer'],
    ['ECONNRESET', 'closed', 'was cut'],
    ['CERT_NOT_YET_VALID', 'clock', 'the clock of this machine is probably wrong'],
    ['CERT_HAS_EXPIRED', 'tls', 'has expired'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls', 'is for another name'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls', 'set tls.ca'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'tls', 'set tls.ca'],
    ['EPROTO', 'tls', 'TLS handshake'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls', 'does not speak TLS'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tls', 'set tls.cert and tls.key'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'tls', 'does not take our client certificate (unknown ca)'],
    ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'tls', 'our client certificate has expired'],
    ['ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL', 'tls', 'set tls.alpn'],
    ['ERR_SSL_TLSV1_UNRECOGNIZED_NAME', 'tls', 'set tls.servername'],
    ['HPE_INVALID_CONSTANT', 'upgrade', 'does not speak MQTT over WebSocket'],
    ['EWHATEVER', 'closed', 'text of EWHATEVER'],
  ])('%s', (code, kind, words) => {
    const fault = socketFault(withCode(code), server, 'open');
    expect(fault.kind).toBe(kind);
    expect(fault.sentence).toContain(words);
    expect(fault.sentence).toContain('mqtt.example.com');
  });

  test('both address families: the first reason is told', () => {
    const both = new AggregateError([withCode('ECONNREFUSED'), withCode('ENETUNREACH')]);
    expect(socketFault(both, server, 'open').kind).toBe('refused');
  });

  test('a close before CONNACK hints at the wrong port', () => {
    expect(socketFault(undefined, server, 'open').sentence).toContain('check that it is an MQTT TLS port');
    expect(socketFault(undefined, server, 'connected').sentence).toContain('without a reason');
  });
});

describe('a certificate out of its time is told with its dates and this clock', () => {
  const validity = {
    authority: undefined,
    fromMs: Date.UTC(2026, 0, 1),
    toMs: Date.UTC(2027, 0, 1),
  };

  test('not valid yet: the clock is wrong', () => {
    const fault = new CertificateTimeError('CERT_NOT_YET_VALID', validity, Date.UTC(2020, 0, 1, 0, 0, 17));
    expect(socketFault(fault, server, 'tls')).toEqual({
      kind: 'clock',
      sentence:
        'the certificate of mqtt.example.com is valid from 2026-01-01T00:00:00Z, but this clock says 2020-01-01T00:00:17Z: the clock of this machine is wrong; set it, or let it reach a time server',
      notBeforeWallMs: Date.UTC(2026, 0, 1),
    });
  });

  test('expired: whose, and when', () => {
    const authority = { ...validity, authority: 'Example CA' };
    const fault = new CertificateTimeError('CERT_HAS_EXPIRED', authority, Date.UTC(2027, 1, 1));
    const { kind, sentence } = socketFault(fault, server, 'tls');
    expect(kind).toBe('tls');
    expect(sentence).toContain('of the authority "Example CA"');
    expect(sentence).toContain('expired at 2027-01-01T00:00:00Z, and this clock says 2027-02-01T00:00:00Z');
  });
});

describe('a silence is told by how far the attempt had come', () => {
  test.each([
    ['resolve', undefined, 'dns', 'was not resolved within 30 s'],
    ['connect', undefined, 'timeout', 'does a firewall swallow'],
    ['connect', 'squid:3128', 'proxy', 'the proxy squid:3128 did not answer'],
    ['proxy', 'squid:3128', 'proxy', 'the proxy squid:3128 accepts connections but did not answer'],
    ['tls', undefined, 'timeout', 'did not answer the TLS handshake'],
    ['upgrade', undefined, 'timeout', 'did not answer the request for a WebSocket'],
    ['open', undefined, 'timeout', 'accepts connections but did not answer CONNECT within 30 s'],
    ['open', 'squid:3128', 'timeout', 'through the proxy squid:3128'],
  ] as const)('%s, proxy %s', (reached, proxy, kind, words) => {
    const fault = timeoutFault(server, reached, 30_000, proxy);
    expect(fault.kind).toBe(kind);
    expect(fault.sentence).toContain(words);
  });
});

describe('a WebSocket that is refused', () => {
  const webSocket = parseServerUrl('wss://mqtt.example.com/ws');
  test.each([
    [401, 'check headers'],
    [404, 'check the path /ws in servers'],
    [200, 'check that port and path'],
    [503, 'is not well'],
  ])('%i', (status, words) => {
    const fault = socketFault(new UpgradeRefused(status, 'Words\r\nof it'), webSocket, 'upgrade');
    expect(fault.kind).toBe('upgrade');
    expect(fault.sentence).toContain(`refused the WebSocket: ${status} Words of it; `);
    expect(fault.sentence).toContain(words);
  });
});

test('a refusal is told by name, with what to check', () => {
  expect(connackFault(server, ReasonCode.badUserNameOrPassword, undefined).sentence).toBe(
    'mqtt.example.com:8883 refused the client: bad user name or password (0x86); check username and password',
  );
});

test('what the server says is shown on one line and bounded', () => {
  const { sentence } = connackFault(server, ReasonCode.banned, `a\nb${'x'.repeat(5000)}`);
  expect(sentence).toContain('"a bx');
  expect(sentence.length).toBeLessThan(400);
});

test('a take-over is named for what it is', () => {
  expect(disconnectFault(server, ReasonCode.sessionTakenOver, undefined)).toMatchObject({
    kind: 'taken-over',
  });
});

test('every Reason Code has a name, and an unknown one its number', () => {
  expect(reasonName(0x97)).toBe('quota exceeded (0x97)');
  expect(reasonName(0xee)).toBe('unknown reason (0xee)');
});

describe('server addresses', () => {
  test.each([
    ['mqtt://host', { host: 'host', port: 1883, secure: false, serverName: 'host' }],
    ['mqtts://host', { host: 'host', port: 8883, secure: true }],
    ['mqtts://10.0.0.1:443', { host: '10.0.0.1', port: 443, serverName: undefined }],
    ['ws://host', { port: 80, path: '/mqtt', secure: false }],
    ['wss://host:8443/a/b', { port: 8443, path: '/a/b', secure: true }],
    ['mqtts://host', { path: undefined }],
    ['mqtt://[::1]:1884', { host: '::1', port: 1884, serverName: undefined }],
  ])('%s', (url, expected) => expect(parseServerUrl(url)).toMatchObject(expected));

  test.each(['nonsense', 'http://host', 'mqtt://', 'mqtt://user:secret@host', 'mqtt://host:99999'])(
    '%s is refused with what would be right',
    (url) => expect(() => parseServerUrl(url)).toThrow(/write mqtt:\/\/host:1883/),
  );
});
