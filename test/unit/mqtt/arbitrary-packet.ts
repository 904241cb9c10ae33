/** Arbitrary packets for property tests: everything that may be sent, and nothing else. */
import fc from 'fast-check';
import type { Packet, ProtocolVersion } from '../../../src/mqtt/packet.js';
import { Place, type PlaceName, PROPERTY_RULES, type Properties } from '../../../src/mqtt/property.js';
import { type ReasonCode, reasonCodeAllowed } from '../../../src/mqtt/reason-code.js';

type Side = 'client' | 'server';

const text = fc.string({ unit: 'binary', maxLength: 60 }).filter((value) => !value.includes('\0'));
const topic = text.filter((value) => value !== '' && !/[+#]/.test(value));
const filter = text.filter((value) => value !== '' && !value.startsWith('$share/'));
const binary = fc.uint8Array({ maxLength: 300 });
const identifier = fc.integer({ min: 1, max: 65_535 });
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);
const twoBytes = fc.integer({ min: 0, max: 65_535 });

/** A value of a property; also used to try every property everywhere. */
export function propertyValue(name: keyof Properties, place: number): fc.Arbitrary<unknown> {
  const rule = PROPERTY_RULES.find((candidate) => candidate.name === name)!;
  const many = (rule.repeatsIn & place) === 0 ? 1 : 4;
  if (name === 'responseTopic') return topic;
  switch (rule.type) {
    case 'flag':
      return fc.constantFrom(0, 1);
    case 'twoByteInteger':
      return fc.integer({ min: rule.min, max: 65_535 });
    case 'fourByteInteger':
      return fc.integer({ min: rule.min, max: 0xffffffff });
    case 'variableByteInteger':
      return fc.array(fc.integer({ min: rule.min, max: 268_435_455 }), { minLength: 1, maxLength: many });
    case 'string':
      return text;
    case 'binary':
      return binary;
    case 'stringPair':
      return fc.array(fc.tuple(text, text), { minLength: 1, maxLength: many });
  }
}

/** Undefined or at least one property. */
function properties(placeName: PlaceName, side: Side, must: readonly (keyof Properties)[] = []) {
  const place = Place[placeName];
  const model: Record<string, fc.Arbitrary<unknown>> = {};
  for (const rule of PROPERTY_RULES) {
    if ((rule.places & place) === 0) continue;
    if (rule.onlyFrom?.place === place && rule.onlyFrom.sender !== side) continue;
    model[rule.name] = propertyValue(rule.name, place);
  }
  return fc
    .record(model, { requiredKeys: [...must] })
    .map((found: Record<string, unknown>): Properties | undefined => {
      const kept = found as Properties;
      // Data without a method is a Protocol Error.
      if (kept.authenticationData !== undefined && kept.authenticationMethod === undefined) return undefined;
      return Object.keys(kept).length === 0 ? undefined : kept;
    });
}

type Coded = Parameters<typeof reasonCodeAllowed>[1];

function reasonCode(packet: Coded, side: Side): fc.Arbitrary<ReasonCode> {
  const codes: ReasonCode[] = [];
  for (let code = 0; code < 256; code += 1) if (reasonCodeAllowed(code, packet, side)) codes.push(code);
  return fc.constantFrom(...codes);
}

function publish(version: ProtocolVersion, side: Side): fc.Arbitrary<Packet> {
  const some = version === 5 ? properties('publish', side) : fc.constant(undefined);
  return fc
    .record({ topic, payload: binary, qos, retain: fc.boolean(), dup: fc.boolean(), identifier, some })
    .map(({ identifier: packetIdentifier, some: found, ...rest }) => ({
      type: 'publish',
      ...rest,
      dup: rest.qos > 0 && rest.dup,
      packetIdentifier: rest.qos > 0 ? packetIdentifier : undefined,
      properties: found,
    }));
}

function ack(
  type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
  version: ProtocolVersion,
  side: Side,
): fc.Arbitrary<Packet> {
  if (version === 4) return identifier.map((packetIdentifier) => ({ type, packetIdentifier, reasonCode: 0 }));
  return fc.record({
    type: fc.constant(type),
    packetIdentifier: identifier,
    reasonCode: reasonCode(type, side),
    properties: properties(type, side),
  });
}

function connect(version: ProtocolVersion): fc.Arbitrary<Packet> {
  const five = version === 5;
  const will = fc.record({
    topic,
    payload: binary,
    qos,
    retain: fc.boolean(),
    properties: five ? properties('will', 'client') : fc.constant(undefined),
  });
  return fc
    .record({
      type: fc.constant('connect' as const),
      protocolVersion: fc.constant(version),
      clientId: text,
      cleanStart: fc.boolean(),
      keepAlive: twoBytes,
      will: fc.option(will, { nil: undefined }),
      username: fc.option(text, { nil: undefined }),
      password: fc.option(binary, { nil: undefined }),
      properties: five ? properties('connect', 'client') : fc.constant(undefined),
    })
    .map((packet) => (!five && packet.username === undefined ? { ...packet, password: undefined } : packet));
}

function fromClient(version: ProtocolVersion): fc.Arbitrary<Packet>[] {
  const five = version === 5;
  const request = fc.record({
    topicFilter: filter,
    qos,
    noLocal: five ? fc.boolean() : fc.constant(false),
    retainAsPublished: five ? fc.boolean() : fc.constant(false),
    retainHandling: five ? fc.constantFrom(0 as const, 1 as const, 2 as const) : fc.constant(0 as const),
  });
  return [
    fc.record({
      type: fc.constant('subscribe' as const),
      packetIdentifier: identifier,
      subscriptions: fc.array(request, { minLength: 1, maxLength: 5 }),
      properties: five ? properties('subscribe', 'client') : fc.constant(undefined),
    }),
    fc.record({
      type: fc.constant('unsubscribe' as const),
      packetIdentifier: identifier,
      topicFilters: fc.array(filter, { minLength: 1, maxLength: 5 }),
      properties: five ? properties('unsubscribe', 'client') : fc.constant(undefined),
    }),
    fc.constant({ type: 'pingreq' }),
    five ? disconnect('client') : fc.constant({ type: 'disconnect', reasonCode: 0 }),
  ];
}

function fromServer(version: ProtocolVersion): fc.Arbitrary<Packet>[] {
  const five = version === 5;
  const connackCodes = five
    ? reasonCode('connack', 'server')
    : fc.constantFrom<ReasonCode[]>(0, 0x84, 0x85, 0x88, 0x86, 0x87);
  const subackCodes = five ? reasonCode('suback', 'server') : fc.constantFrom<ReasonCode[]>(0, 1, 2, 0x80);
  const packets: fc.Arbitrary<Packet>[] = [
    fc.record({
      type: fc.constant('connack' as const),
      sessionPresent: fc.boolean(),
      reasonCode: connackCodes,
      properties: five ? properties('connack', 'server') : fc.constant(undefined),
    }),
    fc.record({
      type: fc.constant('suback' as const),
      packetIdentifier: identifier,
      reasonCodes: fc.array(subackCodes, { minLength: 1, maxLength: 5 }),
      properties: five ? properties('suback', 'server') : fc.constant(undefined),
    }),
    fc.record({
      type: fc.constant('unsuback' as const),
      packetIdentifier: identifier,
      reasonCodes: five
        ? fc.array(reasonCode('unsuback', 'server'), { minLength: 1, maxLength: 5 })
        : fc.constant([]),
      properties: five ? properties('unsuback', 'server') : fc.constant(undefined),
    }),
    fc.constant({ type: 'pingresp' }),
  ];
  if (five) packets.push(disconnect('server'));
  return packets;
}

function disconnect(side: Side): fc.Arbitrary<Packet> {
  return fc.record({
    type: fc.constant('disconnect' as const),
    reasonCode: reasonCode('disconnect', side),
    properties: properties('disconnect', side),
  });
}

function auth(side: Side): fc.Arbitrary<Packet> {
  return fc.record({
    type: fc.constant('auth' as const),
    reasonCode: reasonCode('auth', side),
    properties: properties('auth', side, ['authenticationMethod']),
  });
}

/** Any packet that this side may send after CONNECT. */
export function arbitraryPacket(version: ProtocolVersion, side: Side): fc.Arbitrary<Packet> {
  const packets = [
    publish(version, side),
    ack('puback', version, side),
    ack('pubrec', version, side),
    ack('pubrel', version, side),
    ack('pubcomp', version, side),
    ...(side === 'client' ? fromClient(version) : fromServer(version)),
  ];
  if (version === 5) packets.push(auth(side));
  return fc.oneof(...packets);
}

export const arbitraryConnect: fc.Arbitrary<Packet> = fc.oneof(connect(4), connect(5));
