/** The 27 properties of MQTT 5.0: which type each has, and how a list of them stands in a packet. */
import { type Text, text, u8, u16, u32, vbi } from './wire.js';

/** The identifiers under their names in the standard. */
export const P = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiryInterval: 0x11,
  assignedClientIdentifier: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelayInterval: 0x18,
  requestResponseInformation: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
  wildcardSubscriptionAvailable: 0x28,
  subscriptionIdentifierAvailable: 0x29,
  sharedSubscriptionAvailable: 0x2a,
} as const;

/** What is read: numbers, text, Binary Data, a pair. What is written may hold bytes in place of text. */
export type PropertyValue = number | string | Buffer | readonly [string, string];
export type Property = readonly [identifier: number, value: PropertyValue];
export type Given = readonly [
  identifier: number,
  value: number | string | Uint8Array | readonly [Text, Text],
];

type Kind = 'byte' | 'u16' | 'u32' | 'vbi' | 'text' | 'binary' | 'pair';

const KINDS: Readonly<Record<Kind, readonly number[]>> = {
  byte: [0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a],
  u16: [0x13, 0x21, 0x22, 0x23],
  u32: [0x02, 0x11, 0x18, 0x27],
  vbi: [0x0b],
  text: [0x03, 0x08, 0x12, 0x15, 0x1a, 0x1c, 0x1f],
  binary: [0x09, 0x16],
  pair: [0x26],
};

const KIND = new Map<number, Kind>(
  (Object.entries(KINDS) as [Kind, readonly number[]][]).flatMap(([kind, identifiers]) =>
    identifiers.map((identifier) => [identifier, kind] as const),
  ),
);

export function kindOf(identifier: number): Kind | undefined {
  return KIND.get(identifier);
}

/** Property Length and the properties. Nothing is checked: tests write what they must not. */
export function properties(list: readonly Given[] = []): Buffer {
  const body = Buffer.concat(list.map(([identifier, value]) => property(identifier, value)));
  return Buffer.concat([vbi(body.length), body]);
}

/** One property, without a Property Length before it. */
export function property(identifier: number, value: Given[1]): Buffer {
  return Buffer.concat([vbi(identifier), encode(kindOf(identifier), value)]);
}

function encode(kind: Kind | undefined, value: Given[1]): Buffer {
  if (typeof value === 'number') {
    if (kind === 'u16') return u16(value);
    if (kind === 'u32') return u32(value);
    return kind === 'vbi' ? vbi(value) : u8(value);
  }
  if (typeof value === 'string' || value instanceof Uint8Array) return text(value);
  return Buffer.concat([text(value[0]), text(value[1])]);
}

/** The value of a property that occurs once; undefined where it is absent. */
export function propertyOf(from: { readonly properties: readonly Property[] }, identifier: number) {
  return from.properties.find(([at]) => at === identifier)?.[1];
}

/** All values of a property, in order. */
export function propertiesOf(from: { readonly properties: readonly Property[] }, identifier: number) {
  return from.properties.filter(([at]) => at === identifier).map(([, value]) => value);
}
