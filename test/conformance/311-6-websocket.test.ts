/** MQTT 3.1.1, chapter 6: WebSocket. */
import { expect, test } from 'vitest';
import { connect, disconnect, publish, subscribe } from './support/build.js';
import { published, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { OPCODE } from './support/web-socket.js';

const bench = usePeer();
const NONE = 'this peer has no WebSocket listener';

test('the server answers the offered sub-protocol mqtt with mqtt [MQTT311-6.0.0-4] [MQTT311-6.0.0-3]', async ({
  skip,
}) => {
  for (const subprotocols of [['mqtt'], ['other', 'mqtt']]) {
    const opened = await bench.openWebSocket({ subprotocols });
    if (opened === undefined) return skip(NONE);
    expect(opened.stream.status).toBe(101);
    expect(opened.stream.header('sec-websocket-protocol')).toBe('mqtt');
  }
});

test('packets travel in binary frames both ways, and clients of TCP and WebSocket meet [MQTT311-6.0.0-1]', async ({
  skip,
}) => {
  const opened = await bench.openWebSocket();
  if (opened === undefined) return skip(NONE);
  const { client, stream } = opened;
  const topic = bench.unique();
  client.send(connect({ clientId: bench.unique() }));
  expect((await client.expect('connack')).code).toBe(0);
  await subscribed(client, [topic]);
  await published(await bench.client(), { topic, payload: 'x' });
  expect((await client.take('publish')).payload.toString()).toBe('x');
  expect(stream.opcodes.every((opcode) => opcode === OPCODE.binary || opcode === OPCODE.continuation)).toBe(
    true,
  );
});

test('a text frame closes the connection, and what it held is not processed [MQTT311-6.0.0-1]', async ({
  skip,
}) => {
  const opened = await bench.openWebSocket();
  if (opened === undefined) return skip(NONE);
  const { client, stream } = opened;
  client.send(connect({ clientId: bench.unique() }));
  await client.expect('connack');
  stream.frame(OPCODE.text, Buffer.from([0xc0, 0x00]));
  expect(await client.closed()).toEqual([]);
});

test('packets may be split over frames octet by octet [MQTT311-6.0.0-2]', async ({ skip }) => {
  const opened = await bench.openWebSocket();
  if (opened === undefined) return skip(NONE);
  const { client } = opened;
  const topic = bench.unique();
  const octets = Buffer.concat([connect({ clientId: bench.unique() }), subscribe(4, 1, [[topic, 0]])]);
  await client.sendSlowly(Array.from(octets, (octet) => Buffer.of(octet)));
  await client.expect('connack');
  expect(await client.expect('suback')).toMatchObject({ packetIdentifier: 1, codes: [0] });
});

test('a packet may be split over the fragments of one message [MQTT311-6.0.0-2]', async ({ skip }) => {
  const opened = await bench.openWebSocket();
  if (opened === undefined) return skip(NONE);
  const { client, stream } = opened;
  const octets = connect({ clientId: bench.unique() });
  stream.frame(OPCODE.binary, octets.subarray(0, 5), false);
  stream.frame(OPCODE.continuation, octets.subarray(5, 9), false);
  stream.frame(OPCODE.continuation, octets.subarray(9), true);
  expect((await client.expect('connack')).code).toBe(0);
});

test('one frame may hold several packets and the beginning of another [MQTT311-6.0.0-2]', async ({
  skip,
}) => {
  const opened = await bench.openWebSocket();
  if (opened === undefined) return skip(NONE);
  const { client } = opened;
  const topic = bench.unique();
  const octets = Buffer.concat([
    connect({ clientId: bench.unique() }),
    subscribe(4, 1, [[topic, 0]]),
    publish(4, { topic, payload: 'one' }),
    publish(4, { topic, payload: 'two' }),
  ]);
  client.send(octets.subarray(0, -4));
  await client.expect('connack');
  await client.take('suback');
  expect((await client.take('publish')).payload.toString()).toBe('one');
  client.send(octets.subarray(-4));
  expect((await client.take('publish')).payload.toString()).toBe('two');
});

test('a WebSocket that ends without DISCONNECT publishes the Will, one with DISCONNECT does not [MQTT311-3.1.2-8]', async ({
  skip,
}) => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  for (const payload of ['discarded', 'published']) {
    const opened = await bench.openWebSocket();
    if (opened === undefined) return skip(NONE);
    opened.client.send(connect({ clientId: bench.unique(), will: { topic, payload } }));
    await opened.client.expect('connack');
    if (payload === 'discarded') {
      opened.client.send(disconnect());
      await opened.client.closed();
    } else opened.client.destroy();
  }
  expect((await watcher.take('publish')).payload.toString()).toBe('published');
});
