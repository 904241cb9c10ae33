/**
 * Why a bridge is not connected, in a sentence for the person who has to mend it, and a kind for a dashboard.
 */
import { ReasonCode } from '../mqtt/reason-code.js';
import type { ServerUrl } from './server-url.js';

export type FaultKind =
  | 'dns'
  | 'refused'
  | 'unreachable'
  | 'timeout'
  | 'tls'
  | 'proxy'
  | 'clock'
  | 'not-accepted'
  | 'taken-over'
  | 'keep-alive'
  | 'ack-timeout'
  | 'closed'
  | 'protocol';

export interface Fault {
  readonly kind: FaultKind;
  readonly sentence: string;
  /** The Reason Code that the server gave. */
  readonly reasonCode?: ReasonCode;
  /** The server ended a connection that worked, and not because of its own state: what it was sent may be why. */
  readonly byServer?: boolean;
  /** Where the server says to go instead (0x9C, 0x9D). */
  readonly serverReference?: string;
}

/** The server has too much to do: what it refuses goes again later, and less eagerly. */
export function isBusy(reasonCode: ReasonCode | undefined): boolean {
  return reasonCode !== undefined && BUSY.has(reasonCode);
}

const BUSY: ReadonlySet<ReasonCode> = new Set([
  ReasonCode.serverUnavailable,
  ReasonCode.serverBusy,
  ReasonCode.messageRateTooHigh,
  ReasonCode.quotaExceeded,
  ReasonCode.connectionRateExceeded,
]);

/** Ends of a connection that say nothing about what was sent over it. */
const OWN_REASONS: ReadonlySet<ReasonCode> = new Set([
  ...BUSY,
  ReasonCode.serverShuttingDown,
  ReasonCode.keepAliveTimeout,
  ReasonCode.sessionTakenOver,
  ReasonCode.useAnotherServer,
  ReasonCode.serverMoved,
  ReasonCode.maximumConnectTime,
]);

/** A connection that could not be made, or broke with an error of the socket. */
export function socketFault(error: Error | undefined, server: ServerUrl, wasConnected: boolean): Fault {
  const where = `${server.host}:${server.port}`;
  if (error === undefined) {
    return wasConnected
      ? { kind: 'closed', sentence: `${where} closed the connection without a reason`, byServer: true }
      : {
          kind: 'closed',
          sentence: `${where} closed the connection before it answered CONNECT; check that it is an MQTT ${server.secure ? 'TLS ' : ''}port`,
        };
  }
  const code = codeOf(error);
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
    case 'EAI_NODATA':
    case 'EAI_NONAME':
      return {
        kind: 'dns',
        sentence:
          code === 'ENOTFOUND'
            ? `the name ${server.host} does not exist in DNS`
            : `the name ${server.host} could not be resolved (${code}); is there a network and a name server?`,
      };
    case 'ERR_PROXY':
      return { kind: 'proxy', sentence: `${where} cannot be reached: ${error.message}` };
    case 'ECONNREFUSED':
      return { kind: 'refused', sentence: `${where} refused the connection; is the server running?` };
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'EADDRNOTAVAIL':
    case 'ENETDOWN':
    case 'EHOSTDOWN':
      return { kind: 'unreachable', sentence: `there is no route to ${where} (${code})` };
    case 'ETIMEDOUT':
      return { kind: 'timeout', sentence: `${where} did not answer` };
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
      return { kind: 'closed', sentence: `the connection to ${where} was cut (${code})` };
    case 'CERT_NOT_YET_VALID':
      return {
        kind: 'clock',
        sentence: `the certificate of ${server.host} is not valid yet: the clock of this machine is probably wrong`,
      };
    case 'CERT_HAS_EXPIRED':
      return {
        kind: 'tls',
        sentence: `the certificate of ${server.host} has expired, or the clock of this machine is wrong`,
      };
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return {
        kind: 'tls',
        sentence: `the certificate that ${where} shows is for another name; use the name it carries`,
      };
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return {
        kind: 'tls',
        sentence: `the certificate of ${server.host} is not signed by a known authority (${code}); set tls.ca to the authority's certificate`,
      };
    default:
      return code.startsWith('ERR_SSL') ||
        code.startsWith('ERR_TLS') ||
        code.startsWith('CERT_') ||
        code === 'EPROTO'
        ? { kind: 'tls', sentence: `the TLS handshake with ${where} failed: ${error.message}` }
        : { kind: 'closed', sentence: `the connection to ${where} failed: ${error.message}` };
  }
}

/** CONNACK with a Reason Code of 0x80 and above. */
export function connackFault(
  server: ServerUrl,
  reasonCode: ReasonCode,
  reasonString: string | undefined,
  serverReference?: string,
): Fault {
  const advice: { readonly [code: number]: string } = {
    [ReasonCode.badUserNameOrPassword]: '; check username and password',
    [ReasonCode.notAuthorized]: '; check the credentials and what the server allows them',
    [ReasonCode.clientIdentifierNotValid]: '; check client_id',
    [ReasonCode.unsupportedProtocolVersion]: '; set version to what the server speaks',
  };
  return {
    kind: 'not-accepted',
    sentence: `${server.host}:${server.port} refused the client: ${reasonName(reasonCode)}${quoted(reasonString)}${advice[reasonCode] ?? ''}`,
    reasonCode,
    ...redirection(reasonCode, serverReference),
  };
}

/** A DISCONNECT of the server's. */
export function disconnectFault(
  server: ServerUrl,
  reasonCode: ReasonCode,
  reasonString: string | undefined,
  serverReference?: string,
): Fault {
  const where = `${server.host}:${server.port}`;
  if (reasonCode === ReasonCode.sessionTakenOver) {
    return {
      kind: 'taken-over',
      sentence: `another client with the same client identifier connected to ${where}: a copy of this gateway?`,
      reasonCode,
    };
  }
  return {
    kind: 'closed',
    sentence: `${where} closed the connection: ${reasonName(reasonCode)}${quoted(reasonString)}`,
    reasonCode,
    byServer: !OWN_REASONS.has(reasonCode),
    ...redirection(reasonCode, serverReference),
  };
}

function redirection(
  reasonCode: ReasonCode,
  serverReference: string | undefined,
): Pick<Fault, 'serverReference'> {
  const elsewhere = reasonCode === ReasonCode.useAnotherServer || reasonCode === ReasonCode.serverMoved;
  return elsewhere && serverReference !== undefined ? { serverReference } : {};
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ReasonCode).map(([name, code]) => [
    code,
    // badUserNameOrPassword → bad user name or password
    name.replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
  ]),
);

/** The code's name in words, with its number. */
export function reasonName(reasonCode: number): string {
  return `${NAMES.get(reasonCode) ?? 'unknown reason'} (0x${reasonCode.toString(16).padStart(2, '0')})`;
}

/** What a server says is bounded, and shown on one line. */
function quoted(text: string | undefined): string {
  return text === undefined || text === '' ? '' : `, "${text.slice(0, 200).replace(/\s+/g, ' ')}"`;
}

function codeOf(error: Error): string {
  if ('code' in error && typeof error.code === 'string') return error.code;
  // Both address families failed: the first says as much as the list.
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return codeOf(error.errors[0]);
  return '';
}
