/**
 * Packets that a client sends, right by default and wrong where a test says so. `version` is the Protocol Level:
 * 4 is MQTT 3.1.1, 5 is MQTT 5.0, which adds properties and option bits in the same places.
 */
import { type Given, properties } from './property.js';
import { packet, type Text, text, u8, u16 } from './wire.js';

export type Version = 4 | 5;
export type Qos = 0 | 1 | 2;

export interface Will {
  readonly topic: Text;
  readonly payload?: Text;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly properties?: readonly Given[];
}

export interface Connect {
  readonly version?: Version;
  /** Protocol Name and Level as they go out, where they differ from what `version` says. */
  readonly protocolName?: Text;
  readonly protocolLevel?: number;
  readonly clientId?: Text;
  /** Clean Session in 3.1.1, Clean Start in 5.0. */
  readonly clean?: boolean;
  readonly keepAlive?: number;
  readonly will?: Will;
  readonly userName?: Text;
  readonly password?: Text;
  /** Connect Flags in place of those that follow from the fields. */
  readonly flags?: number;
  /** The payload in place of that which follows from the fields. */
  readonly payload?: Uint8Array;
  readonly properties?: readonly Given[];
}

export function connect(options: Connect = {}): Buffer {
  const { version = 4, clean = true, will, userName, password } = options;
  const flags =
    (userName === undefined ? 0 : 0x80) |
    (password === undefined ? 0 : 0x40) |
    (will === undefined ? 0 : 0x04 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0)) |
    (clean ? 0x02 : 0);
  const payload = Buffer.concat([
    text(options.clientId ?? ''),
    ...(will === undefined
      ? []
      : [...given(version, will.properties), text(will.topic), text(will.payload ?? '')]),
    ...(userName === undefined ? [] : [text(userName)]),
    ...(password === undefined ? [] : [text(password)]),
  ]);
  return packet(
    0x10,
    text(options.protocolName ?? 'MQTT'),
    u8(options.protocolLevel ?? version),
    u8(options.flags ?? flags),
    u16(options.keepAlive ?? 0),
    ...given(version, options.properties),
    options.payload ?? payload,
  );
}

export interface Publish {
  readonly topic: Text;
  readonly payload?: Text;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  /** Needed above QoS 0. */
  readonly packetIdentifier?: number;
  readonly properties?: readonly Given[];
}

export function publish(version: Version, options: Publish): Buffer {
  const { qos = 0, packetIdentifier } = options;
  return packet(
    0x30 | (options.dup === true ? 8 : 0) | (qos << 1) | (options.retain === true ? 1 : 0),
    text(options.topic),
    ...(packetIdentifier === undefined ? [] : [u16(packetIdentifier)]),
    ...given(version, options.properties),
    Buffer.from((options.payload ?? '') as string),
  );
}

export type Acknowledgement = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
const FIRST_OCTET: Readonly<Record<Acknowledgement, number>> = {
  puback: 0x40,
  pubrec: 0x50,
  pubrel: 0x62,
  pubcomp: 0x70,
};

/** Without a Reason Code the short form, which is the only one of 3.1.1. */
export function acknowledge(
  type: Acknowledgement,
  packetIdentifier: number,
  reasonCode?: number,
  list?: readonly Given[],
): Buffer {
  return packet(
    FIRST_OCTET[type],
    u16(packetIdentifier),
    ...(reasonCode === undefined ? [] : [u8(reasonCode)]),
    ...(list === undefined ? [] : [properties(list)]),
  );
}

/** A Topic Filter with its QoS or, in 5.0, its whole octet of Subscription Options. */
export type Wanted = readonly [topicFilter: Text, options: number];

export function subscribe(
  version: Version,
  packetIdentifier: number,
  wanted: readonly Wanted[],
  list?: readonly Given[],
): Buffer {
  return packet(
    0x82,
    u16(packetIdentifier),
    ...given(version, list),
    ...wanted.flatMap(([topicFilter, options]) => [text(topicFilter), u8(options)]),
  );
}

export function unsubscribe(
  version: Version,
  packetIdentifier: number,
  topicFilters: readonly Text[],
  list?: readonly Given[],
): Buffer {
  return packet(
    0xa2,
    u16(packetIdentifier),
    ...given(version, list),
    ...topicFilters.map((topicFilter) => text(topicFilter)),
  );
}

export function pingreq(): Buffer {
  return packet(0xc0);
}

/** Without a Reason Code the short form: normal disconnection. */
export function disconnect(reasonCode?: number, list?: readonly Given[]): Buffer {
  return packet(
    0xe0,
    ...(reasonCode === undefined ? [] : [u8(reasonCode)]),
    ...(list === undefined ? [] : [properties(list)]),
  );
}

export function auth(reasonCode: number, list: readonly Given[]): Buffer {
  return packet(0xf0, u8(reasonCode), properties(list));
}

/** Properties stand in packets of 5.0 alone. */
function given(version: Version, list: readonly Given[] | undefined): Buffer[] {
  return version === 5 ? [properties(list)] : [];
}
