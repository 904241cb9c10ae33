/**
 * A connection that was not made, or broke: what the socket, TLS, a proxy or a clock had against it, by how far it had
 * come. Each sentence says what to do, for a person who stands before it.
 */
import { UpgradeRefused } from '../mqtt/web-socket.js';
import { CertificateTimeError } from './certificate-fault.js';
import type { Fault } from './fault.js';
import type { ServerUrl } from './server-url.js';
import type { Stage } from './transport.js';

/** `connected`: CONNACK had come. */
export type Reached = Stage | 'connected';

/** A connection that could not be made, or broke with an error of the socket. */
export function socketFault(error: Error | undefined, server: ServerUrl, reached: Reached): Fault {
  const where = whereOf(server);
  if (error === undefined) return closedFault(server, reached);
  if (error instanceof CertificateTimeError) return timeFault(error, server);
  if (error instanceof UpgradeRefused) return upgradeFault(error, server);
  const code = codeOf(error);
  const dns = dnsFault(code, server);
  if (dns !== undefined) return dns;
  const tls = tlsFault(code, error, server);
  if (tls !== undefined) return tls;
  switch (code) {
    case 'ERR_PROXY':
      return { kind: 'proxy', sentence: `${where} cannot be reached: ${error.message}` };
    case 'ECONNREFUSED':
      return {
        kind: 'refused',
        sentence: `${where} refused the connection; is the server running, and is the port right?`,
      };
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'EADDRNOTAVAIL':
    case 'ENETDOWN':
    case 'EHOSTDOWN':
      return {
        kind: 'unreachable',
        sentence: `there is no route to ${where} (${code}); is the network up, and does it have a gateway?`,
      };
    case 'ETIMEDOUT':
      return { kind: 'timeout', sentence: `${where} did not answer` };
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
      return reached === 'tls' || reached === 'upgrade'
        ? closedFault(server, reached)
        : { kind: 'closed', sentence: `the connection to ${where} was cut (${code})` };
    default:
      if (code.startsWith('HPE_') || /subprotocol|Upgrade|Sec-WebSocket/.test(error.message)) {
        return {
          kind: 'upgrade',
          sentence: `${where} does not speak MQTT over WebSocket at ${server.path ?? '/'} (${error.message}); check port and path`,
        };
      }
      return { kind: 'closed', sentence: `the connection to ${where} failed: ${error.message}` };
  }
}

/** Nothing came of an attempt within its time: where it had come to says who kept silent. */
export function timeoutFault(
  server: ServerUrl,
  reached: Stage,
  limitMs: number,
  proxy: string | undefined,
): Fault {
  const where = whereOf(server);
  const within = `within ${limitMs / 1000} s`;
  const through = proxy === undefined ? '' : ` through the proxy ${proxy}`;
  switch (reached) {
    case 'resolve':
      return { kind: 'dns', sentence: `the name ${server.host} was not resolved ${within}; ${NAME_SERVERS}` };
    case 'connect':
      return proxy === undefined
        ? {
            kind: 'timeout',
            sentence: `${where} did not answer ${within}; is the port right, and does a firewall swallow what is sent?`,
          }
        : { kind: 'proxy', sentence: `the proxy ${proxy} did not answer ${within}` };
    case 'proxy':
      return {
        kind: 'proxy',
        sentence: `the proxy ${proxy} accepts connections but did not answer ${within}; is it a proxy of that kind, and can it reach ${where}?`,
      };
    case 'tls':
      return {
        kind: 'timeout',
        sentence: `${where} accepts connections${through} but did not answer the TLS handshake ${within}; is it a TLS port, and do large packets get through (MTU)?`,
      };
    case 'upgrade':
      return {
        kind: 'timeout',
        sentence: `${where} accepts connections${through} but did not answer the request for a WebSocket ${within}; is it a WebSocket port?`,
      };
    case 'open':
      return {
        kind: 'timeout',
        sentence: `${where} accepts connections${through} but did not answer CONNECT ${within}; ${proxy === undefined ? `is it an MQTT ${server.secure ? 'TLS ' : ''}port?` : 'the proxy may swallow what is not HTTP'}`,
      };
  }
}

const NAME_SERVERS = 'is there a network, and do its name servers answer (/etc/resolv.conf)?';

function closedFault(server: ServerUrl, reached: Reached): Fault {
  const where = whereOf(server);
  switch (reached) {
    case 'connected':
      return { kind: 'closed', sentence: `${where} closed the connection without a reason`, byServer: true };
    case 'tls':
      return {
        kind: 'tls',
        sentence: `${where} closed the connection during the TLS handshake; is it a TLS port, and does it know the name ${server.serverName ?? server.host}?`,
      };
    case 'upgrade':
      return {
        kind: 'upgrade',
        sentence: `${where} closed the connection instead of opening a WebSocket; is it a WebSocket port?`,
      };
    default:
      return {
        kind: 'closed',
        sentence: `${where} closed the connection before it answered CONNECT; check that it is an MQTT ${server.secure ? 'TLS ' : ''}port`,
      };
  }
}

function dnsFault(code: string, { host }: ServerUrl): Fault | undefined {
  switch (code) {
    case 'ENOTFOUND':
      return { kind: 'dns', sentence: `the name ${host} does not exist in DNS; check servers` };
    case 'ERR_DNS_TIMEOUT':
      return {
        kind: 'dns',
        sentence: `the name ${host} could not be resolved: no answer came; ${NAME_SERVERS}`,
      };
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
    case 'EAI_NODATA':
    case 'EAI_NONAME':
      return { kind: 'dns', sentence: `the name ${host} could not be resolved (${code}); ${NAME_SERVERS}` };
    default:
      return undefined;
  }
}

function timeFault({ code, validity, wallMs }: CertificateTimeError, { host }: ServerUrl): Fault {
  const whose =
    validity.authority === undefined
      ? `the certificate of ${host}`
      : `the certificate of the authority "${validity.authority}", which vouches for ${host},`;
  const now = `this clock says ${isoSeconds(wallMs)}`;
  return code === 'CERT_NOT_YET_VALID'
    ? {
        kind: 'clock',
        sentence: `${whose} is valid from ${isoSeconds(validity.fromMs)}, but ${now}: the clock of this machine is wrong; set it, or let it reach a time server`,
        notBeforeWallMs: validity.fromMs,
      }
    : {
        kind: 'tls',
        sentence: `${whose} expired at ${isoSeconds(validity.toMs)}, and ${now}; if the clock is right, the certificate must be renewed there`,
      };
}

/** OpenSSL's codes, with what each wants done. Undefined: it is not about TLS. */
function tlsFault(code: string, error: Error, server: ServerUrl): Fault | undefined {
  const where = whereOf(server);
  const tls = (sentence: string): Fault => ({ kind: 'tls', sentence });
  switch (code) {
    case 'CERT_NOT_YET_VALID':
      return {
        kind: 'clock',
        sentence: `the certificate of ${server.host} is not valid yet: the clock of this machine is probably wrong`,
      };
    case 'CERT_HAS_EXPIRED':
      return tls(`the certificate of ${server.host} has expired, or the clock of this machine is wrong`);
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return tls(
        `the certificate that ${where} shows is for another name${namesIn(error)}; use a name that it carries, in servers or as tls.servername`,
      );
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return tls(
        `the certificate of ${server.host} is not signed by a known authority (${code}); set tls.ca to the authority's certificate`,
      );
    case 'CERT_SIGNATURE_FAILURE':
      return tls(
        `the certificate of ${server.host} is signed by another authority of the name that tls.ca has; was the authority renewed? Put its certificate in place of tls.ca`,
      );
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return tls(
        `${where} does not speak TLS; is it the right port, or a server without TLS (${plainScheme(server)}://)?`,
      );
    case 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED':
      return tls(`${where} wants a client certificate; set tls.cert and tls.key`);
    case 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA':
    case 'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE':
    case 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN':
    case 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED':
    case 'ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE':
      return tls(
        `${where} does not take our client certificate (${alertOf(code)}); check tls.cert, and what the server trusts`,
      );
    case 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED':
      return tls(`${where} says that our client certificate has expired; put a new one in place of tls.cert`);
    case 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL':
    case 'ERR_SSL_TLSV13_ALERT_NO_APPLICATION_PROTOCOL':
      return tls(`${where} takes none of the protocols offered; set tls.alpn to what it wants`);
    case 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME':
    case 'ERR_SSL_TLSV1_ALERT_UNRECOGNIZED_NAME':
      return tls(
        `${where} does not know the name that it was asked for; check servers, or set tls.servername`,
      );
    default:
      return code.startsWith('ERR_SSL') ||
        code.startsWith('ERR_TLS') ||
        code.startsWith('CERT_') ||
        code === 'EPROTO'
        ? tls(`the TLS handshake with ${where} failed: ${error.message}`)
        : undefined;
  }
}

function upgradeFault({ message, status }: UpgradeRefused, server: ServerUrl): Fault {
  const advice =
    status === 401 || status === 403
      ? 'check headers, such as Authorization'
      : status === 404
        ? `check the path ${server.path ?? '/'} in servers`
        : status === 511 || (status >= 300 && status < 400)
          ? 'does the network want a login first, on a page of its own?'
          : status >= 500
            ? 'the server, or what stands before it, is not well'
            : 'check that port and path are those of MQTT over WebSocket';
  return { kind: 'upgrade', sentence: `${whereOf(server)} refused the WebSocket: ${message}; ${advice}` };
}

const NAMES_SHOWN_MAX = 200;

/** `DNS:a.example, IP Address:10.0.0.1`, as the certificate has it. */
function namesIn(error: Error): string {
  const cert: unknown = 'cert' in error ? error.cert : undefined;
  if (typeof cert !== 'object' || cert === null || !('subjectaltname' in cert)) return '';
  const names = String(cert.subjectaltname ?? '').replace(/\s+/g, ' ');
  return names === '' ? '' : ` (${names.slice(0, NAMES_SHOWN_MAX)})`;
}

function alertOf(code: string): string {
  return code
    .replace(/^ERR_SSL_(TLSV1|TLSV13|SSLV3)_ALERT_/, '')
    .toLowerCase()
    .replaceAll('_', ' ');
}

function plainScheme({ path }: ServerUrl): string {
  return path === undefined ? 'mqtt' : 'ws';
}

function whereOf({ host, port }: ServerUrl): string {
  return `${host}:${port}`;
}

function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function codeOf(error: Error): string {
  if ('code' in error && typeof error.code === 'string') return error.code;
  // Several addresses failed: the first says as much as the list.
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return codeOf(error.errors[0]);
  return '';
}
