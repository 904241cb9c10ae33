/** Writes a property list, its size computed first. A property in a packet that may not have it is a bug of ours. */
import { invariant } from '../core/error.js';
import { PROPERTY_RULES, type Properties, type PropertyRule } from './property.js';
import {
  STRING_BYTES_MAX,
  utf8Size,
  variableByteIntegerSize,
  writeBinary,
  writeFourByteInteger,
  writeString,
  writeTwoByteInteger,
  writeVariableByteInteger,
} from './wire.js';

const RULES = new Map<string, PropertyRule>(PROPERTY_RULES.map((rule) => [rule.name, rule]));

type PropertyValue = Properties[keyof Properties];

/** Without the Property Length in front. `place` is one `Place` bit. */
export function propertiesSize(properties: Properties | undefined, place: number): number {
  if (properties === undefined) return 0;
  let size = 0;
  for (const name in properties) {
    const value = properties[name as keyof Properties];
    if (value === undefined) continue;
    const rule = RULES.get(name);
    invariant(
      rule !== undefined && (rule.places & place) !== 0,
      `property ${name} is allowed in this packet`,
    );
    size += valueSize(rule, value);
  }
  return size;
}

function valueSize(rule: PropertyRule, value: PropertyValue): number {
  // Every identifier of the table fits one octet.
  switch (rule.type) {
    case 'flag':
      return 2;
    case 'twoByteInteger':
      return 3;
    case 'fourByteInteger':
      return 5;
    case 'string':
      return 3 + stringSize(value as string);
    case 'binary': {
      const { length } = value as Uint8Array;
      invariant(length <= STRING_BYTES_MAX, `property ${rule.name} fits its length field`);
      return 3 + length;
    }
    case 'variableByteInteger': {
      let size = 0;
      for (const id of value as readonly number[]) size += 1 + variableByteIntegerSize(id);
      return size;
    }
    default: {
      let size = 0;
      for (const [name, text] of value as NonNullable<Properties['userProperties']>) {
        size += 5 + stringSize(name) + stringSize(text);
      }
      return size;
    }
  }
}

/** As `utf8Size`, and sure to fit a length field. */
export function stringSize(text: string): number {
  const size = utf8Size(text);
  invariant(size <= STRING_BYTES_MAX, 'a string fits its length field');
  return size;
}

/** With the Property Length in front; `size` is `propertiesSize` of the same list. Returns the offset behind it. */
export function writeProperties(
  bytes: Buffer,
  offset: number,
  properties: Properties | undefined,
  size: number,
): number {
  let at = writeVariableByteInteger(bytes, offset, size);
  if (size === 0) return at;
  for (const name in properties) {
    const value = properties[name as keyof Properties];
    const rule = RULES.get(name);
    if (value !== undefined && rule !== undefined) at = writeValue(bytes, at, rule, value);
  }
  return at;
}

function writeValue(bytes: Buffer, offset: number, rule: PropertyRule, value: PropertyValue): number {
  let at = offset;
  switch (rule.type) {
    case 'variableByteInteger':
      for (const id of value as readonly number[]) {
        bytes[at] = rule.id;
        at = writeVariableByteInteger(bytes, at + 1, id);
      }
      return at;
    case 'stringPair':
      for (const [name, text] of value as NonNullable<Properties['userProperties']>) {
        bytes[at] = rule.id;
        at = writeString(bytes, at + 1, name, utf8Size(name));
        at = writeString(bytes, at, text, utf8Size(text));
      }
      return at;
  }
  bytes[at++] = rule.id;
  switch (rule.type) {
    case 'flag':
      bytes[at] = value as number;
      return at + 1;
    case 'twoByteInteger':
      return writeTwoByteInteger(bytes, at, value as number);
    case 'fourByteInteger':
      return writeFourByteInteger(bytes, at, value as number);
    case 'string':
      return writeString(bytes, at, value as string, utf8Size(value as string));
    case 'binary':
      return writeBinary(bytes, at, value as Uint8Array);
  }
}
