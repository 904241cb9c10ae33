/** MQTT 5.0, section 4.7: Topic Names and Topic Filters. */
import { expect, test } from 'vitest';
import { connect, publish, subscribe } from './support/build.js';
import { usePeer5 } from './support/five.js';
import { before, published, refused, subscribed } from './support/flow.js';
import { P } from './support/property.js';

const bench = usePeer5();

for (const name of ['#', '+', 'a/#', 'a/+', 'a/+/b', 'a#', 'a+b']) {
  test(`'${name}' is no Topic Name: not in PUBLISH, not as Will Topic, not as Response Topic [MQTT5-4.7.0-1]`, async () => {
    const watcher = await bench.client();
    const marker = bench.unique('marker');
    await subscribed(watcher, [['#', 0]]);
    const publisher = await bench.client();
    publisher.send(publish(5, { topic: name, payload: 'x' }));
    await refused(publisher, [0x81, 0x82, 0x90]);
    const requester = await bench.client();
    requester.send(publish(5, { topic: marker, payload: 'x', properties: [[P.responseTopic, name]] }));
    await refused(requester, [0x81, 0x82, 0x90]);
    const mortal = await bench.open();
    mortal.send(connect({ version: 5, clientId: bench.unique(), will: { topic: name, payload: 'x' } }));
    await refused(mortal, [0x81, 0x82, 0x90]);
    expect(await before(watcher, await bench.client(), marker)).toEqual([]);
  });
}

for (const filter of ['a#', 'a/#/b', '##', '#/', 'a/b#', '#a', 'a/##', '+#']) {
  test(`'#' inside a filter is refused: ${filter} [MQTT5-4.7.1-1]`, async () => {
    await expectRefused(filter);
    await expectRefused(`$share/g/${filter}`);
  });
}
for (const filter of ['a+', '+a', 'a/b+', '+a/b', 'a/+b/c', '++', 'a/++']) {
  test(`'+' beside other characters is refused: ${filter} [MQTT5-4.7.1-2]`, async () => {
    await expectRefused(filter);
    await expectRefused(`$share/g/${filter}`);
  });
}

/** A failure code in SUBACK, or the end of the connection; never a grant. */
async function expectRefused(filter: string): Promise<void> {
  const client = await bench.client();
  client.send(subscribe(5, 1, [[filter, 0]]));
  const answer = await client.take('suback').catch(() => undefined);
  if (answer === undefined) await refused(client, [0x81, 0x82, 0x8f]);
  else expect(answer.codes).toEqual([0x8f]);
}

/** Filters, with names that they match and names that they do not; `$share` takes none of it away. */
const matching: ReadonlyArray<readonly [filter: string, yes: readonly string[], no: readonly string[]]> = [
  ['a/#', ['a', 'a/', 'a/b/c'], ['ab', 'A/b', 'b']],
  ['a/+', ['a/', 'a/b'], ['a', 'a/b/c', 'A/b']],
  ['a/+/c', ['a/b/c', 'a//c'], ['a/c', 'a/b/b/c', 'a/b/c/d']],
  ['+/+', ['/a', 'a/b', '/'], ['a', 'a/b/c']],
  ['/+', ['/a', '/'], ['a', '/a/b']],
  ['+/b/#', ['a/b', 'a/b/c/d', '/b'], ['a/c', 'a']],
  ['+', ['a', 'a b', ' '], ['/a', 'a/b', '/']],
  ['#', ['a', '/', 'a/b/c', ' '], []],
  ['a//b', ['a//b'], ['a/b', 'a///b', 'a/x/b']],
  ['/', ['/'], ['//', 'a']],
  ['a b', ['a b'], ['a', 'a  b', 'b']],
];
for (const [filter, yes, no] of matching) {
  for (const share of ['', '$share/group/']) {
    test(`'${share}${filter}' matches what it must and nothing else [MQTT5-4.7.1-1] [MQTT5-4.7.1-2]`, async () => {
      const [watcher, publisher] = [await bench.client(), await bench.client()];
      const marker = bench.unique('marker');
      await subscribed(watcher, [share + filter, marker]);
      for (const topic of [...yes, ...no]) await published(publisher, { topic, payload: 'x' });
      const got = await before(watcher, publisher, marker);
      expect(got.map(({ topic }) => topic).filter((topic) => topic !== marker)).toEqual(yes);
    });
  }
}

for (const filter of ['#', '+/x', '+/#', '+', '+/x/y', '$share/g/#', '$share/g/+/x']) {
  test(`'${filter}' does not match topics that begin with $ [MQTT5-4.7.2-1]`, async () => {
    const [watcher, publisher] = [await bench.client(), await bench.client()];
    const marker = bench.unique('marker');
    const dollar = bench.unique('$d');
    await subscribed(watcher, [filter, marker]);
    const open = await bench.client();
    await subscribed(open, [`${dollar}/#`, marker]);
    for (const topic of [dollar, `${dollar}/x`, `${dollar}/x/y`]) {
      await published(publisher, { topic, payload: 'x' });
    }
    const got = await before(watcher, publisher, marker);
    expect(got.filter(({ topic }) => topic.startsWith('$'))).toEqual([]);
    // A server may keep $ topics to itself; if it passes them on, then to those who name them.
    const named = (await before(open, publisher, marker))
      .map(({ topic }) => topic)
      .filter((topic) => topic !== marker);
    expect([[], [dollar, `${dollar}/x`, `${dollar}/x/y`]]).toContainEqual(named);
  });
}

test('only the first character counts: $ further inside is an ordinary character [MQTT5-4.7.2-1]', async () => {
  const [watcher, publisher] = [await bench.client(), await bench.client()];
  const prefix = bench.unique();
  await subscribed(watcher, [`+/$x`, `${prefix}/end`]);
  await published(publisher, { topic: `${prefix}/$x`, payload: 'x' });
  const got = await before(watcher, publisher, `${prefix}/end`);
  expect(got.map(({ topic }) => topic)).toEqual([`${prefix}/$x`]);
});

test('retained messages on $ topics do not come by filters that begin with a wildcard [MQTT5-4.7.2-1]', async () => {
  const [watcher, publisher] = [await bench.client(), await bench.client()];
  const [dollar, marker] = [bench.unique('$d'), bench.unique('marker')];
  await published(publisher, { topic: `${dollar}/x`, qos: 1, retain: true, payload: 'x' });
  await subscribed(watcher, ['#', '+/x', marker]);
  const got = await before(watcher, publisher, marker);
  expect(got.filter(({ topic }) => topic.startsWith('$'))).toEqual([]);
  await published(publisher, { topic: `${dollar}/x`, qos: 1, retain: true });
});

test('an empty Topic Name without an alias closes the connection [MQTT5-4.7.3-1]', async () => {
  const client = await bench.client();
  client.send(publish(5, { topic: '', payload: 'x' }));
  await refused(client, [0x82]);
});

test('an empty Topic Filter, Will Topic or Response Topic is refused [MQTT5-4.7.3-1]', async () => {
  await expectRefused('');
  const mortal = await bench.open();
  mortal.send(connect({ version: 5, clientId: bench.unique(), will: { topic: '', payload: 'x' } }));
  await refused(mortal, [0x81, 0x82, 0x90]);
});

test('U+0000 in a Topic Name, filter, Will Topic or Response Topic closes the connection [MQTT5-4.7.3-2]', async () => {
  const topic = Buffer.from('a\0b');
  const will = { topic, payload: 'x' };
  for (const bytes of [
    publish(5, { topic, payload: 'x' }),
    subscribe(5, 1, [[topic, 0]]),
    publish(5, { topic: 'a', payload: 'x', properties: [[P.responseTopic, topic]] }),
  ]) {
    const client = await bench.client();
    client.send(bytes);
    await refused(client, [0x81]);
  }
  const mortal = await bench.open();
  mortal.send(connect({ version: 5, clientId: bench.unique(), will }));
  await refused(mortal, [0x81]);
});

test('a Topic Name and a filter of 65,535 octets work [MQTT5-4.7.3-3]', async () => {
  const topic = 'é'.repeat(30_000) + 'x'.repeat(5535);
  expect(Buffer.byteLength(topic)).toBe(65_535);
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  await published(await bench.client(), { topic, payload: 'x' });
  expect((await watcher.take('publish')).topic).toBe(topic);
});

const different: ReadonlyArray<readonly [string, string, string]> = [
  ['case', 'Aa', 'aA'],
  ['composed and decomposed é', '\u00e9', 'e\u0301'],
  ['an empty level', 'a//b', 'a/b'],
  ['a slash at the end', 'a', 'a/'],
  ['a slash at the start', 'a', '/a'],
  ['a blank', 'a', 'a '],
  ['full and half width', '\uff21', 'A'],
  ['percent escapes', '%41', 'A'],
];
for (const [what, one, other] of different) {
  test(`topics that differ in ${what} are different [MQTT5-4.7.3-4]`, async () => {
    const [watcher, publisher] = [await bench.client(), await bench.client()];
    const prefix = bench.unique();
    await subscribed(watcher, [`${prefix}/${one}`, `${prefix}/end`]);
    await published(publisher, { topic: `${prefix}/${other}`, payload: 'other' });
    await published(publisher, { topic: `${prefix}/${one}`, payload: 'one' });
    const got = await before(watcher, publisher, `${prefix}/end`);
    expect(got.map(({ topic }) => topic)).toEqual([`${prefix}/${one}`]);
  });
}
