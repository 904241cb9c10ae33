/**
 * Reads a property list and holds it to the table: unknown or misplaced ones are malformed (0x81), a second one of
 * a kind and a value out of range are Protocol Errors (0x82), Topic Alias 0 is 0x94.
 */
import { Place, PROPERTY_RULES, type Properties, type PropertyRule } from './property.js';
import { ReasonCode } from './reason-code.js';
import { StringCache } from './string-cache.js';
import { decodeString, malformed, protocolError, WireFault, type WireReader } from './wire.js';

const RULES: (PropertyRule | undefined)[] = [];
for (const rule of PROPERTY_RULES) RULES[rule.id] = rule;

/** Names of User Properties, content types, response topics: a handful of texts, over and over. */
const texts = new StringCache(1024, (bytes, start, end) => decodeString(bytes, start, end, 'a property'));

/** Undefined for an empty list. `place` is one `Place` bit. */
export function readProperties(
  reader: WireReader,
  place: number,
  sender: 'client' | 'server',
): Properties | undefined {
  const length = reader.variableByteInteger('Property Length');
  if (length === 0) return undefined;
  if (length > reader.left) throw malformed('Property Length runs past the end of the packet');
  // The list is a packet within the packet: nothing in it may reach beyond its end.
  const packetEnd = reader.end;
  reader.end = reader.at + length;
  const found: Record<string, unknown> = {};
  while (reader.at < reader.end) {
    const id = reader.variableByteInteger('property identifier');
    const rule = RULES[id];
    if (rule === undefined) throw malformed(`property 0x${id.toString(16)} is unknown`);
    if ((rule.places & place) === 0) throw malformed(`${rule.name} may not stand in ${placeName(place)}`);
    if (rule.onlyFrom?.place === place && rule.onlyFrom.sender !== sender) {
      throw protocolError(`${rule.name} in ${placeName(place)} may not come from a ${sender}`);
    }
    readOne(reader, rule, place, found);
  }
  reader.end = packetEnd;
  const properties = found as Properties;
  // [MQTT5-3.3.2-14]
  if (properties.responseTopic !== undefined && /[+#]|^$/.test(properties.responseTopic)) {
    throw protocolError('responseTopic is empty or contains a wildcard');
  }
  return properties;
}

function readOne(
  reader: WireReader,
  rule: PropertyRule,
  place: number,
  found: Record<string, unknown>,
): void {
  const { name } = rule;
  if (name === 'userProperties') {
    const pair = [reader.cachedString(texts, 'User Property name'), reader.string('User Property value')];
    const list = found[name] as string[][] | undefined;
    if (list === undefined) found[name] = [pair];
    else list.push(pair);
    return;
  }
  const before = found[name];
  if (before !== undefined && (rule.repeatsIn & place) === 0) throw protocolError(`${name} stands twice`);
  const value = readValue(reader, rule);
  if (name !== 'subscriptionIdentifiers') found[name] = value;
  else if (before === undefined) found[name] = [value];
  else (before as unknown[]).push(value);
}

function readValue(reader: WireReader, rule: PropertyRule): number | string | Uint8Array {
  switch (rule.type) {
    case 'string':
      return reader.cachedString(texts, rule.name);
    case 'binary':
      return reader.binary(rule.name);
    default: {
      const value = readNumber(reader, rule);
      if (value < rule.min) {
        if (rule.name === 'topicAlias') throw new WireFault(ReasonCode.topicAliasInvalid, 'topicAlias is 0');
        throw protocolError(`${rule.name} is 0`);
      }
      return value;
    }
  }
}

function readNumber(reader: WireReader, rule: PropertyRule): number {
  switch (rule.type) {
    case 'flag': {
      const value = reader.byte(rule.name);
      if (value > 1) throw protocolError(`${rule.name} is ${value}, only 0 and 1 are allowed`);
      return value;
    }
    case 'twoByteInteger':
      return reader.twoByteInteger(rule.name);
    case 'fourByteInteger':
      return reader.fourByteInteger(rule.name);
    default:
      return reader.variableByteInteger(rule.name);
  }
}

function placeName(place: number): string {
  return Object.entries(Place).find(([, bit]) => bit === place)?.[0] ?? 'this packet';
}
