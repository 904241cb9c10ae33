/**
 * Clean Session × Retain × subscribed QoS × published QoS, as a table, in both versions. Client X subscribes and
 * leaves; one message M is published while it is away; X comes back. Column A: it does not subscribe again.
 * Column B: it subscribes to the same topic with the same QoS.
 */
import { expect, test } from 'vitest';
import type { Qos, Version } from './support/build.js';
import { delivered, left, published, settle, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { P } from './support/property.js';
import type { RawClient } from './support/raw-client.js';
import type { Published } from './support/read.js';

const bench = usePeer();

/** A copy of M: retained (sent because of subscribing) or not, and whether a server may also leave it out. */
interface Copy {
  readonly retain: boolean;
  readonly optional: boolean;
}
const due = (retain: boolean): Copy => ({ retain, optional: false });
const may = (retain: boolean): Copy => ({ retain, optional: true });

interface Row {
  readonly number: number;
  readonly clean: boolean;
  readonly retain: boolean;
  readonly granted: readonly Qos[];
  readonly qos: readonly Qos[];
  readonly a: readonly Copy[];
  readonly b: readonly Copy[];
  readonly rules: string;
}

/** What this broker keeps of retained QoS 0 messages it also sends: published and subscribed promptly, it is due. */
const rows: readonly Row[] = [
  row(1, true, false, [0], [0], [], [], 'dropped notStored'),
  row(2, true, false, [0], [1, 2], [], [], 'dropped notStored'),
  row(3, true, false, [1, 2], [0], [], [], 'dropped notStored'),
  row(4, true, false, [1, 2], [1, 2], [], [], 'dropped notStored'),
  row(5, true, true, [0], [0], [], [due(true)], 'dropped onSubscribe newest marked'),
  row(6, true, true, [0], [1, 2], [], [due(true)], 'stored onSubscribe marked lower'),
  row(7, true, true, [1, 2], [0], [], [due(true)], 'onSubscribe newest marked lower'),
  row(8, true, true, [1, 2], [1, 2], [], [due(true)], 'stored onSubscribe marked lower'),
  row(9, false, false, [0], [0], [may(false)], [may(false)], 'queued'),
  row(10, false, false, [0], [1, 2], [may(false)], [may(false)], 'queued lower'),
  row(11, false, false, [1, 2], [0], [may(false)], [may(false)], 'queued'),
  row(12, false, false, [1, 2], [1, 2], [due(false)], [due(false)], 'resumed queued everySession lower'),
  row(13, false, true, [0], [0], [may(false)], [may(false), due(true)], 'again newest marked live'),
  row(14, false, true, [0], [1, 2], [may(false)], [may(false), due(true)], 'again stored marked live'),
  row(15, false, true, [1, 2], [0], [may(false)], [may(false), due(true)], 'again newest marked live'),
  row(16, false, true, [1, 2], [1, 2], [due(false)], [due(false), due(true)], 'queued again marked live'),
];

function row(
  number: number,
  clean: boolean,
  retain: boolean,
  granted: readonly Qos[],
  qos: readonly Qos[],
  a: readonly Copy[],
  b: readonly Copy[],
  rules: string,
): Row {
  return { number, clean, retain, granted, qos, a, b, rules };
}

/** The rules that decide the rows, as both versions number them. */
const RULES: Readonly<Record<string, { readonly 4: string; readonly 5: string }>> = {
  dropped: { 4: '[MQTT311-3.1.2-6]', 5: '[MQTT5-3.1.2-4]' },
  notStored: { 4: '[MQTT311-3.3.1-12]', 5: '[MQTT5-3.3.1-8]' },
  onSubscribe: { 4: '[MQTT311-3.3.1-6]', 5: '[MQTT5-3.3.1-9]' },
  newest: { 4: '[MQTT311-3.3.1-7]', 5: '[MQTT5-3.3.1-5]' },
  marked: { 4: '[MQTT311-3.3.1-8]', 5: '[MQTT5-3.3.1-9]' },
  stored: { 4: '[MQTT311-3.3.1-5]', 5: '[MQTT5-3.3.1-5]' },
  lower: { 4: '[MQTT311-3.8.4-6]', 5: '[MQTT5-3.8.4-8]' },
  queued: { 4: '[MQTT311-3.1.2-5]', 5: '[MQTT5-3.1.2-5]' },
  resumed: { 4: '[MQTT311-3.1.2-4]', 5: '[MQTT5-3.1.2-5]' },
  everySession: { 4: '[MQTT311-4.5.0-1]', 5: '[MQTT5-4.5.0-1]' },
  again: { 4: '[MQTT311-3.8.4-3]', 5: '[MQTT5-3.8.4-4]' },
  live: { 4: '[MQTT311-3.3.1-9]', 5: '[MQTT5-3.3.1-12]' },
};

for (const version of [4, 5] as const) {
  for (const one of rows) {
    for (const granted of one.granted) {
      for (const qos of one.qos) {
        for (const column of ['A', 'B'] as const) {
          const ids = one.rules.split(' ').map((rule) => ruleOf(rule)[version]);
          const name = `row ${one.number}${column}, ${version === 4 ? '3.1.1' : '5.0'}, subscribed ${granted}, published ${qos}`;
          test(`${name} ${[...new Set(ids)].join(' ')}`, () => check(version, one, granted, qos, column));
        }
      }
    }
  }
}

function ruleOf(name: string): { readonly 4: string; readonly 5: string } {
  const rule = RULES[name];
  if (rule === undefined) throw new Error(`no rule is called ${name}`);
  return rule;
}

async function check(version: Version, one: Row, granted: Qos, qos: Qos, column: 'A' | 'B'): Promise<void> {
  const [clientId, topic] = [bench.unique(), bench.unique()];
  const properties = one.clean ? [] : [[P.sessionExpiryInterval, 3600] as const];
  const options = { version, clientId, clean: one.clean, properties };
  const first = await bench.client(options);
  expect((await subscribed(first, [[topic, granted]])).codes).toEqual([granted]);
  await left(first);
  const publisher = await bench.client({ version });
  // The retained copy in row 5 to 8 must be M, not an older message that M replaced.
  if (one.retain) {
    await published(publisher, { topic: `${topic}/other`, qos: 1, retain: true, payload: 'other' });
  }
  await published(publisher, { topic, qos, retain: one.retain, payload: 'M' });
  const { client, connack } = await bench.connect(options);
  expect(connack.sessionPresent).toBe(!one.clean);
  if (column === 'B') await subscribed(client, [[topic, granted]]);
  expectCopies(
    await upToMarker(client, publisher, `${topic}/marker`, granted),
    column === 'A' ? one.a : one.b,
    {
      topic,
      qos: Math.min(granted, qos),
    },
  );
}

/** All that came before a message published after everything else; acknowledged on the way. */
async function upToMarker(
  client: RawClient,
  publisher: RawClient,
  marker: string,
  qos: Qos,
): Promise<Published[]> {
  await subscribed(client, [[marker, qos]]);
  await published(publisher, { topic: marker, qos, payload: 'marker' });
  const got: Published[] = [];
  for (;;) {
    const message = await client.take('publish');
    await settle(client, message);
    if (message.topic === marker) return got;
    got.push(message);
  }
}

function expectCopies(
  got: readonly Published[],
  copies: readonly Copy[],
  like: { topic: string; qos: number },
): void {
  for (const message of got) {
    expect(message).toMatchObject({ ...like, dup: false, payload: Buffer.from('M') });
  }
  for (const retain of [false, true]) {
    const count = got.filter((message) => message.retain === retain).length;
    const allowed = copies.filter((copy) => copy.retain === retain);
    expect(count, `copies with RETAIN ${retain ? 1 : 0}`).toBeLessThanOrEqual(allowed.length);
    expect(count, `copies with RETAIN ${retain ? 1 : 0}`).toBeGreaterThanOrEqual(
      allowed.filter(({ optional }) => !optional).length,
    );
  }
}

for (const version of [4, 5] as const) {
  const id = version === 4 ? '[MQTT311-4.6.0-6] [MQTT311-3.3.1-5]' : '[MQTT5-4.6.0-5] [MQTT5-3.3.1-5]';
  test(`of several messages published meanwhile all are queued in order and the last is retained, ${version === 4 ? '3.1.1' : '5.0'} ${id}`, async () => {
    const [clientId, topic] = [bench.unique(), bench.unique()];
    const options = {
      version,
      clientId,
      clean: false,
      properties: [[P.sessionExpiryInterval, 3600] as const],
    };
    const first = await bench.client(options);
    await subscribed(first, [[topic, 1]]);
    await left(first);
    const publisher = await bench.client({ version });
    for (const payload of ['1', '2', '3'])
      await published(publisher, { topic, qos: 1, retain: true, payload });
    const client = await bench.client(options);
    await subscribed(client, [[topic, 1]]);
    const got = [
      await delivered(client),
      await delivered(client),
      await delivered(client),
      await delivered(client),
    ];
    const bySource = (retain: boolean): string[] =>
      got.filter((message) => message.retain === retain).map(({ payload }) => payload.toString());
    expect(bySource(false)).toEqual(['1', '2', '3']);
    expect(bySource(true)).toEqual(['3']);
  });
}
