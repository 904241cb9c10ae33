/** The 27 properties of MQTT 5.0 by name, as a packet carries them [MQTT5-2.2.2]. */
export interface Properties {
  readonly payloadFormatIndicator?: 0 | 1;
  readonly messageExpiryInterval?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  /** One in SUBSCRIBE; any number in a PUBLISH from the server. */
  readonly subscriptionIdentifiers?: readonly number[];
  readonly sessionExpiryInterval?: number;
  readonly assignedClientIdentifier?: string;
  readonly serverKeepAlive?: number;
  readonly authenticationMethod?: string;
  readonly authenticationData?: Uint8Array;
  readonly requestProblemInformation?: 0 | 1;
  readonly willDelayInterval?: number;
  readonly requestResponseInformation?: 0 | 1;
  readonly responseInformation?: string;
  readonly serverReference?: string;
  readonly reasonString?: string;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
  readonly topicAlias?: number;
  readonly maximumQoS?: 0 | 1;
  readonly retainAvailable?: 0 | 1;
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
  readonly maximumPacketSize?: number;
  readonly wildcardSubscriptionAvailable?: 0 | 1;
  readonly subscriptionIdentifiersAvailable?: 0 | 1;
  readonly sharedSubscriptionAvailable?: 0 | 1;
}

export type PropertyType =
  | 'flag'
  | 'twoByteInteger'
  | 'fourByteInteger'
  | 'variableByteInteger'
  | 'string'
  | 'binary'
  | 'stringPair';

/** Where properties may stand: the packets that have them, and the Will inside CONNECT. */
export const Place = {
  connect: 1 << 0,
  will: 1 << 1,
  connack: 1 << 2,
  publish: 1 << 3,
  puback: 1 << 4,
  pubrec: 1 << 5,
  pubrel: 1 << 6,
  pubcomp: 1 << 7,
  subscribe: 1 << 8,
  suback: 1 << 9,
  unsubscribe: 1 << 10,
  unsuback: 1 << 11,
  disconnect: 1 << 12,
  auth: 1 << 13,
} as const;

export type PlaceName = keyof typeof Place;

export interface PropertyRule {
  readonly id: number;
  readonly name: keyof Properties;
  readonly type: PropertyType;
  /** A set of `Place` bits. */
  readonly places: number;
  /** Places where it may stand more than once; a second one elsewhere is a Protocol Error. */
  readonly repeatsIn: number;
  /** Places where only one side may send it. */
  readonly onlyFrom?: { readonly place: number; readonly sender: 'client' | 'server' };
  /** Smallest value; a smaller one is a Protocol Error (Topic Alias: 0x94). */
  readonly min: number;
}

function places(...names: readonly PlaceName[]): number {
  return names.reduce((bits, name) => bits | Place[name], 0);
}

function rule(
  id: number,
  name: keyof Properties,
  type: PropertyType,
  where: number,
  more: Partial<PropertyRule> = {},
): PropertyRule {
  return { id, name, type, places: where, repeatsIn: 0, min: 0, ...more };
}

const EVERYWHERE = (1 << 14) - 1;
const MESSAGE = places('publish', 'will');
const BOTH_HELLOS = places('connect', 'connack');
const HELLOS_AND_AUTH = places('connect', 'connack', 'auth');
const ANSWERS = places(
  'connack',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'suback',
  'unsuback',
  'disconnect',
  'auth',
);

/** The table of the standard, section 2.2.2.2. */
export const PROPERTY_RULES: readonly PropertyRule[] = [
  rule(0x01, 'payloadFormatIndicator', 'flag', MESSAGE),
  rule(0x02, 'messageExpiryInterval', 'fourByteInteger', MESSAGE),
  rule(0x03, 'contentType', 'string', MESSAGE),
  rule(0x08, 'responseTopic', 'string', MESSAGE),
  rule(0x09, 'correlationData', 'binary', MESSAGE),
  rule(0x0b, 'subscriptionIdentifiers', 'variableByteInteger', places('publish', 'subscribe'), {
    repeatsIn: Place.publish,
    // [MQTT5-3.3.4-6]
    onlyFrom: { place: Place.publish, sender: 'server' },
    min: 1,
  }),
  rule(0x11, 'sessionExpiryInterval', 'fourByteInteger', BOTH_HELLOS | Place.disconnect, {
    // [MQTT5-3.14.2-2]
    onlyFrom: { place: Place.disconnect, sender: 'client' },
  }),
  rule(0x12, 'assignedClientIdentifier', 'string', Place.connack),
  rule(0x13, 'serverKeepAlive', 'twoByteInteger', Place.connack),
  rule(0x15, 'authenticationMethod', 'string', HELLOS_AND_AUTH),
  rule(0x16, 'authenticationData', 'binary', HELLOS_AND_AUTH),
  rule(0x17, 'requestProblemInformation', 'flag', Place.connect),
  rule(0x18, 'willDelayInterval', 'fourByteInteger', Place.will),
  rule(0x19, 'requestResponseInformation', 'flag', Place.connect),
  rule(0x1a, 'responseInformation', 'string', Place.connack),
  rule(0x1c, 'serverReference', 'string', places('connack', 'disconnect'), {
    onlyFrom: { place: Place.disconnect, sender: 'server' },
  }),
  rule(0x1f, 'reasonString', 'string', ANSWERS),
  rule(0x21, 'receiveMaximum', 'twoByteInteger', BOTH_HELLOS, { min: 1 }),
  rule(0x22, 'topicAliasMaximum', 'twoByteInteger', BOTH_HELLOS),
  // [MQTT5-3.3.2-8]
  rule(0x23, 'topicAlias', 'twoByteInteger', Place.publish, { min: 1 }),
  rule(0x24, 'maximumQoS', 'flag', Place.connack),
  rule(0x25, 'retainAvailable', 'flag', Place.connack),
  rule(0x26, 'userProperties', 'stringPair', EVERYWHERE, { repeatsIn: EVERYWHERE }),
  rule(0x27, 'maximumPacketSize', 'fourByteInteger', BOTH_HELLOS, { min: 1 }),
  rule(0x28, 'wildcardSubscriptionAvailable', 'flag', Place.connack),
  rule(0x29, 'subscriptionIdentifiersAvailable', 'flag', Place.connack),
  rule(0x2a, 'sharedSubscriptionAvailable', 'flag', Place.connack),
];
