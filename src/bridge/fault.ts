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
  | 'upgrade'
  | 'password'
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
  /** An attempt before this wall time is in vain. */
  readonly notBeforeWallMs?: number;
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

/** CONNACK with a Reason Code of 0x80 and above. */
export function connackFault(
  server: ServerUrl,
  reasonCode: ReasonCode,
  reasonString: string | undefined,
  serverReference?: string,
): Fault {
  return {
    kind: 'not-accepted',
    sentence: `${server.host}:${server.port} refused the client: ${reasonName(reasonCode)}${quoted(reasonString)}${adviceOn(CONNECT_ADVICE, reasonCode)}`,
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
    sentence: `${where} closed the connection: ${reasonName(reasonCode)}${quoted(reasonString)}${adviceOn(DISCONNECT_ADVICE, reasonCode)}`,
    reasonCode,
    byServer: !OWN_REASONS.has(reasonCode),
    ...redirection(reasonCode, serverReference),
  };
}

type Advice = { readonly [code: number]: string };

/** What to do about a refusal of CONNECT; where there is nothing to do, that it passes. */
const CONNECT_ADVICE: Advice = {
  [ReasonCode.malformedPacket]: 'does it speak the version that is set?',
  [ReasonCode.protocolError]: 'does it speak the version that is set?',
  [ReasonCode.unsupportedProtocolVersion]: 'set version to what the server speaks',
  [ReasonCode.clientIdentifierNotValid]: 'check client_id',
  [ReasonCode.badUserNameOrPassword]: 'check username and password',
  [ReasonCode.notAuthorized]: 'check the credentials and what the server allows them',
  [ReasonCode.badAuthenticationMethod]: 'it wants an authentication that a bridge does not have',
  [ReasonCode.banned]: 'ask whoever runs it to lift the ban',
  [ReasonCode.topicNameInvalid]:
    'it does not take the topic of the Will; set status to one that it takes, or to none',
  [ReasonCode.packetTooLarge]: 'it takes no CONNECT of this size; is the password a long token?',
  [ReasonCode.quotaExceeded]: 'a quota of the account is used up; it is tried again',
  [ReasonCode.serverUnavailable]: 'it is tried again',
  [ReasonCode.serverBusy]: 'it is tried again',
  [ReasonCode.connectionRateExceeded]: 'it is tried again, more rarely',
  [ReasonCode.useAnotherServer]: 'put the right one into servers',
  [ReasonCode.serverMoved]: 'put the right one into servers',
};

/** What to do about a connection that the server ended. */
const DISCONNECT_ADVICE: Advice = {
  [ReasonCode.notAuthorized]: 'do its rules allow the topics of forward and receive, and of status?',
  [ReasonCode.topicNameInvalid]: 'do its rules allow the topics of forward, and of status?',
  [ReasonCode.topicFilterInvalid]: 'does it allow the filters of receive?',
  [ReasonCode.keepAliveTimeout]: 'nothing of ours reached it in time: is the link up, and not overloaded?',
  [ReasonCode.receiveMaximumExceeded]: 'set inflight to less',
  [ReasonCode.packetTooLarge]: 'a message is larger than it takes',
  [ReasonCode.messageRateTooHigh]: 'it is tried again, more slowly',
  [ReasonCode.quotaExceeded]: 'a quota of the account is used up; it is tried again',
  [ReasonCode.administrativeAction]: 'somebody there ended it; ask whoever runs it',
  [ReasonCode.retainNotSupported]: 'set retain: clear in forward',
  [ReasonCode.qosNotSupported]: 'set a lower qos in forward and receive',
  [ReasonCode.wildcardSubscriptionsNotSupported]: 'set filters without wildcards in receive',
  [ReasonCode.useAnotherServer]: 'put the right one into servers',
  [ReasonCode.serverMoved]: 'put the right one into servers',
};

function adviceOn(advice: Advice, reasonCode: ReasonCode): string {
  const words = advice[reasonCode];
  return words === undefined ? '' : `; ${words}`;
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
