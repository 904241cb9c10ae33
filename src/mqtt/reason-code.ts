/** The Reason Codes of MQTT 5.0 [MQTT5-2.4]. 3.1.1 return codes are mapped onto them at the codec. */
export const ReasonCode = {
  success: 0x00,
  grantedQoS1: 0x01,
  grantedQoS2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;

export type ReasonCode = (typeof ReasonCode)[keyof typeof ReasonCode];

const NAMES = new Map<number, string>(Object.entries(ReasonCode).map(([name, code]) => [code, name]));

/** For logs: `notAuthorized (0x87)`. */
export function reasonName(reasonCode: number): string {
  const hex = `0x${reasonCode.toString(16).padStart(2, '0')}`;
  const name = NAMES.get(reasonCode);
  return name === undefined ? hex : `${name} (${hex})`;
}

type CodedPacket =
  | 'connack'
  | 'puback'
  | 'pubrec'
  | 'pubrel'
  | 'pubcomp'
  | 'suback'
  | 'unsuback'
  | 'disconnect'
  | 'auth';

const PUBLISH_ANSWER = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASE_ANSWER = [0x00, 0x92];
const DISCONNECT_EITHER = [0x00, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];

/**
 * Which codes a packet may carry, by who sends it [MQTT5-3.2.2-8], [MQTT5-3.4.2-1], [MQTT5-3.14.2-1] and their like.
 * Read with two courtesies: 0x8c in a server's DISCONNECT, which the standard's two tables see differently, and 0x9b
 * in a client's, which section 3.3.4 lets it use.
 */
const FROM_SERVER: Readonly<Record<CodedPacket, ReadonlySet<number>>> = {
  connack: new Set([
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99,
    0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
  ]),
  puback: new Set(PUBLISH_ANSWER),
  pubrec: new Set(PUBLISH_ANSWER),
  pubrel: new Set(RELEASE_ANSWER),
  pubcomp: new Set(RELEASE_ANSWER),
  suback: new Set([0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]),
  unsuback: new Set([0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
  disconnect: new Set([
    ...DISCONNECT_EITHER,
    0x87,
    0x89,
    0x8b,
    0x8c,
    0x8d,
    0x8e,
    0x8f,
    0x9a,
    0x9b,
    0x9c,
    0x9d,
    0x9e,
    0x9f,
    0xa0,
    0xa1,
    0xa2,
  ]),
  auth: new Set([0x00, 0x18]),
};

const FROM_CLIENT: Readonly<Record<CodedPacket, ReadonlySet<number>>> = {
  ...FROM_SERVER,
  disconnect: new Set([...DISCONNECT_EITHER, 0x04, 0x9b]),
  auth: new Set([0x18, 0x19]),
};

/** Whether a packet of this type may carry the code in 5.0. */
export function reasonCodeAllowed(
  code: number,
  packet: CodedPacket,
  sender: 'client' | 'server',
): code is ReasonCode {
  return (sender === 'server' ? FROM_SERVER : FROM_CLIENT)[packet].has(code);
}

/** The Return Codes of a 3.1.1 CONNACK, 0 to 5, as Reason Codes. */
const CONNACK_RETURN_CODES: readonly ReasonCode[] = [
  ReasonCode.success,
  ReasonCode.unsupportedProtocolVersion,
  ReasonCode.clientIdentifierNotValid,
  ReasonCode.serverUnavailable,
  ReasonCode.badUserNameOrPassword,
  ReasonCode.notAuthorized,
];

/** Undefined for the reserved ones, 6 and above. */
export function fromReturnCode(returnCode: number): ReasonCode | undefined {
  return CONNACK_RETURN_CODES[returnCode];
}

/** What 3.1.1 can say: where it has no word of its own, 5 for what concerns the client, else 3 "server unavailable". */
export function toReturnCode(reasonCode: ReasonCode): number {
  const returnCode = CONNACK_RETURN_CODES.indexOf(reasonCode);
  if (returnCode >= 0) return returnCode;
  const clientIsUnwelcome =
    reasonCode === ReasonCode.banned || reasonCode === ReasonCode.badAuthenticationMethod;
  return clientIsUnwelcome ? 5 : 3;
}
