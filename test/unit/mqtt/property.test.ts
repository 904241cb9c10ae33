import { describe, expect, test } from 'vitest';
import { Place, type PlaceName, PROPERTY_RULES } from '../../../src/mqtt/property.js';
import { decodeOne, hex, packetOf } from './decode.js';

/** "Properties by packet" of the standard, written down independently of the table in src. */
const ALLOWED: Readonly<Record<PlaceName, string>> = {
  connect: '11 15 16 17 19 21 22 26 27',
  will: '01 02 03 08 09 18 26',
  connack: '11 12 13 15 16 1a 1c 1f 21 22 24 25 26 27 28 29 2a',
  publish: '01 02 03 08 09 0b 23 26',
  puback: '1f 26',
  pubrec: '1f 26',
  pubrel: '1f 26',
  pubcomp: '1f 26',
  subscribe: '0b 26',
  suback: '1f 26',
  unsubscribe: '26',
  unsuback: '1f 26',
  disconnect: '11 1c 1f 26',
  auth: '15 16 1f 26',
};

/** One good value of each property, with its identifier. */
const GOOD: Readonly<Record<string, string>> = {
  '01': '01 01',
  '02': '02 00 00 00 00',
  '03': '03 00 01 61',
  '08': '08 00 01 61',
  '09': '09 00 00',
  '0b': '0b ff ff ff 7f',
  '11': '11 ff ff ff ff',
  '12': '12 00 01 61',
  '13': '13 00 00',
  '15': '15 00 01 61',
  '16': '16 00 01 ff',
  '17': '17 00',
  '18': '18 00 00 00 01',
  '19': '19 01',
  '1a': '1a 00 01 61',
  '1c': '1c 00 01 61',
  '1f': '1f 00 01 61',
  '21': '21 00 01',
  '22': '22 00 00',
  '23': '23 00 01',
  '24': '24 00',
  '25': '25 01',
  '26': '26 00 01 61 00 00',
  '27': '27 00 00 00 01',
  '28': '28 01',
  '29': '29 01',
  '2a': '2a 01',
};

const FIRST: Readonly<Record<PlaceName, number>> = {
  connect: 0x10,
  will: 0x10,
  connack: 0x20,
  publish: 0x30,
  puback: 0x40,
  pubrec: 0x50,
  pubrel: 0x62,
  pubcomp: 0x70,
  subscribe: 0x82,
  suback: 0x90,
  unsubscribe: 0xa2,
  unsuback: 0xb0,
  disconnect: 0xe0,
  auth: 0xf0,
};

/** A packet of 5.0 with this property list, good in everything else. */
function withProperties(place: PlaceName, list: string): Uint8Array {
  const properties = hex(list);
  const counted = [properties.length, ...properties];
  const connect = hex('00 04 4d 51 54 54 05');
  const bodies: Readonly<Record<PlaceName, readonly number[]>> = {
    connect: [...connect, 2, 0, 0, ...counted, 0, 0],
    will: [...connect, 6, 0, 0, 0, 0, 0, ...counted, 0, 1, 0x61, 0, 0],
    connack: [0, 0, ...counted],
    publish: [0, 1, 0x61, ...counted],
    puback: [0, 1, 0, ...counted],
    pubrec: [0, 1, 0, ...counted],
    pubrel: [0, 1, 0, ...counted],
    pubcomp: [0, 1, 0, ...counted],
    subscribe: [0, 1, ...counted, 0, 1, 0x61, 0],
    suback: [0, 1, ...counted, 0],
    unsubscribe: [0, 1, ...counted, 0, 1, 0x61],
    unsuback: [0, 1, ...counted, 0],
    disconnect: [0, ...counted],
    auth: [0x18, ...counted],
  };
  return packetOf(FIRST[place], Uint8Array.from(bodies[place]));
}

function judge(place: PlaceName, list: string, receiver?: 'server' | 'client') {
  const toClient = place === 'connack' || place === 'suback' || place === 'unsuback';
  const who = receiver ?? (toClient ? 'client' : 'server');
  const first = place === 'connect' || place === 'will';
  const decoded = decodeOne(withProperties(place, list), who, first ? undefined : 5);
  return decoded.kind === 'malformed' ? decoded.reasonCode : decoded.kind;
}

/** Sent by one side only. */
function receiverFor(place: PlaceName, id: string): 'server' | 'client' | undefined {
  if (place === 'publish' && id === '0b') return 'client';
  if (place === 'disconnect' && id === '1c') return 'client';
  return undefined;
}

/** AUTH needs its method, data needs a method. */
function completed(place: PlaceName, id: string, list: string): string {
  const needsMethod = (place === 'auth' && id !== '15') || (id === '16' && place !== 'auth');
  return needsMethod ? `${GOOD['15']} ${list}` : list;
}

const CASES = Object.keys(ALLOWED).flatMap((place) =>
  Object.keys(GOOD).map((id) => ({
    place: place as PlaceName,
    id,
    allowed: ALLOWED[place as PlaceName].split(' ').includes(id),
  })),
);

describe('properties', () => {
  test('there are 27 of them', () => {
    expect(PROPERTY_RULES.length).toBe(27);
    expect(PROPERTY_RULES.map((rule) => rule.id.toString(16).padStart(2, '0'))).toEqual(
      Object.keys(GOOD).sort(),
    );
    expect(Object.keys(Place).sort()).toEqual(Object.keys(ALLOWED).sort());
  });

  test.each(CASES)('0x$id in $place: allowed is $allowed [MQTT5-2.2.2]', ({ place, id, allowed }) => {
    const outcome = judge(place, completed(place, id, GOOD[id]!), receiverFor(place, id));
    // Where the list needs a method that may not stand there, that alone is malformed too.
    expect(outcome).toBe(allowed ? 'packet' : 0x81);
  });

  test.each(CASES.filter(({ allowed }) => allowed))('0x$id twice in $place', ({ place, id }) => {
    const repeats = id === '26' || (id === '0b' && place === 'publish');
    const list = completed(place, id, `${GOOD[id]} ${GOOD[id]}`);
    expect(judge(place, list, receiverFor(place, id))).toBe(repeats ? 'packet' : 0x82);
  });

  test.each([
    ['publish', '01 02', 0x82],
    ['connect', '17 02', 0x82],
    ['connect', '19 02', 0x82],
    ['connack', '24 02', 0x82],
    ['connack', '25 02', 0x82],
    ['connack', '28 02', 0x82],
    ['connack', '29 02', 0x82],
    ['connack', '2a 02', 0x82],
    ['connect', '21 00 00', 0x82],
    ['connack', '21 00 00', 0x82],
    ['connect', '27 00 00 00 00', 0x82],
    ['subscribe', '0b 00', 0x82],
    ['publish', '23 00 00', 0x94],
    ['publish', '08 00 00', 0x82],
    ['publish', '02 00 00 00', 0x81],
    ['publish', '23 00', 0x81],
    ['publish', '03 00 05 61', 0x81],
    ['publish', '09 00 02 61', 0x81],
    ['publish', '26 00 01 61', 0x81],
    ['publish', '03 00 02 c0 80', 0x81],
    ['connack', '12 00 03 ed a0 80', 0x81],
  ] as const)('in %s, %s is refused with %i', (place, list, code) => {
    expect(judge(place, list)).toBe(code);
  });

  test('keep their order and repeats where User Properties are concerned [MQTT5-3.3.2-18]', () => {
    const list = '26 00 01 62 00 01 31 26 00 01 61 00 01 32 26 00 01 62 00 01 31';
    expect(decodeOne(withProperties('publish', list), 'server', 5)).toMatchObject({
      packet: {
        properties: {
          userProperties: [
            ['b', '1'],
            ['a', '2'],
            ['b', '1'],
          ],
        },
      },
    });
  });

  test('may bear a name that JavaScript objects know', () => {
    const name = Buffer.from('__proto__').toString('hex');
    const list = `26 00 09 ${name} 00 01 61`;
    expect(decodeOne(withProperties('publish', list), 'server', 5)).toMatchObject({
      packet: { properties: { userProperties: [['__proto__', 'a']] } },
    });
  });
});
