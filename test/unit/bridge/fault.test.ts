import { describe, expect, test } from 'vitest';
import { connackFault, disconnectFault, reasonName, socketFault } from '../../../src/bridge/fault.js';
import { parseServerUrl } from '../../../src/bridge/server-url.js';
import { ReasonCode } from '../../../src/mqtt/reason-code.js';

const server = parseServerUrl('mqtts://mqtt.example.com:8883');
const withCode = (code: string): Error => Object.assign(new Error(`text of ${code}`), { code });

describe('each way in which a connection fails has its own words', () => {
  test.each([
    ['ENOTFOUND', 'dns', 'does not exist in DNS'],
    ['EAI_AGAIN', 'dns', 'is there a network and a name server?'],
    ['ECONNREFUSED', 'refused', 'is the server running?'],
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
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls', 'TLS handshake'],
    ['EWHATEVER', 'closed', 'text of EWHATEVER'],
  ])('%s', (code, kind, words) => {
    const fault = socketFault(withCode(code), server, false);
    expect(fault.kind).toBe(kind);
    expect(fault.sentence).toContain(words);
    expect(fault.sentence).toContain('mqtt.example.com');
  });

  test('both address families: the first reason is told', () => {
    const both = new AggregateError([withCode('ECONNREFUSED'), withCode('ENETUNREACH')]);
    expect(socketFault(both, server, false).kind).toBe('refused');
  });

  test('a close before CONNACK hints at the wrong port', () => {
    expect(socketFault(undefined, server, false).sentence).toContain('check that it is an MQTT TLS port');
    expect(socketFault(undefined, server, true).sentence).toContain('without a reason');
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
    ['mqtt://[::1]:1884', { host: '::1', port: 1884, serverName: undefined }],
  ])('%s', (url, expected) => expect(parseServerUrl(url)).toMatchObject(expected));

  test.each(['nonsense', 'http://host', 'mqtt://', 'mqtt://user:secret@host', 'mqtt://host:99999'])(
    '%s is refused with what would be right',
    (url) => expect(() => parseServerUrl(url)).toThrow(/write mqtt:\/\/host:1883/),
  );
});
