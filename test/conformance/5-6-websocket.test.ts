/** MQTT 5.0, chapter 6: WebSocket. */
import { expect, test } from 'vitest';
import { connect, disconnect, publish, subscribe } from './support/build.js';
import { Five } from './support/five.js';
import { published, refused, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { P, propertyOf } from './support/property.js';
import type { RawClient } from './support/raw-client.js';
import { type Handshake, OPCODE, type WebSocketStream } from './support/web-socket.js';

const peer = usePeer();
const bench = new Five(peer);

interface Opened {
  readonly client: RawClient;
  readonly stream: WebSocketStream;
}

/** The test is skipped where the peer has no WebSocket listener. */
function webSocketTest(
  name: string,
  run: (open: (handshake?: Handshake) => Promise<Opened>) => Promise<void>,
) {
  test(name, async ({ skip }) => {
    skip(peer.peer.webSocketPort === undefined, 'this peer has no WebSocket listener');
    await run(async (handshake) => {
      const opened = await peer.openWebSocket(handshake, 5);
      if (opened === undefined) throw new Error('the WebSocket listener has gone');
      return opened;
    });
  });
}

async function connected({ client }: Opened): Promise<void> {
  client.send(connect({ version: 5, clientId: bench.unique() }));
  expect((await client.expect('connack')).code).toBe(0);
}

webSocketTest(
  'the server answers the offered sub-protocol mqtt with mqtt [MQTT5-6.0.0-4] [MQTT5-6.0.0-3]',
  async (open) => {
    for (const subprotocols of [['mqtt'], ['other', 'mqtt']]) {
      const { stream } = await open({ subprotocols });
      expect(stream.status).toBe(101);
      expect(stream.header('sec-websocket-protocol')).toBe('mqtt');
    }
  },
);

webSocketTest(
  'packets travel in binary frames both ways, and clients of TCP and WebSocket meet [MQTT5-6.0.0-1]',
  async (open) => {
    const opened = await open();
    await connected(opened);
    const topic = bench.unique();
    await subscribed(opened.client, [topic]);
    const properties = [[P.contentType, 'text/plain']] as const;
    await published(await bench.client(), { topic, payload: 'x', properties });
    const message = await opened.client.take('publish');
    expect(message.payload.toString()).toBe('x');
    expect(propertyOf(message, P.contentType)).toBe('text/plain');
    const data = opened.stream.opcodes.filter(
      (opcode) => opcode !== OPCODE.binary && opcode !== OPCODE.continuation,
    );
    expect(data).toEqual([]);
  },
);

webSocketTest(
  'a text frame closes the connection, what it held is not processed, and the Will is published [MQTT5-6.0.0-1]',
  async (open) => {
    const topic = bench.unique();
    const watcher = await bench.client();
    await subscribed(watcher, [topic]);
    const { client, stream } = await open();
    client.send(connect({ version: 5, clientId: bench.unique(), will: { topic, payload: 'will' } }));
    await client.expect('connack');
    stream.frame(OPCODE.text, publish(5, { topic, payload: 'text' }));
    await refused(client);
    expect((await watcher.take('publish')).payload.toString()).toBe('will');
  },
);

webSocketTest('packets may be split over frames octet by octet [MQTT5-6.0.0-2]', async (open) => {
  const { client } = await open();
  const octets = Buffer.concat([
    connect({ version: 5, clientId: bench.unique() }),
    subscribe(5, 1, [[bench.unique(), 0]]),
  ]);
  await client.sendSlowly(Array.from(octets, (octet) => Buffer.of(octet)));
  await client.expect('connack');
  expect(await client.expect('suback')).toMatchObject({ packetIdentifier: 1, codes: [0] });
});

webSocketTest('a packet may be split over the fragments of one message [MQTT5-6.0.0-2]', async (open) => {
  const { client, stream } = await open();
  const octets = connect({ version: 5, clientId: bench.unique() });
  stream.frame(OPCODE.binary, octets.subarray(0, 5), false);
  stream.frame(OPCODE.continuation, octets.subarray(5, 9), false);
  stream.frame(OPCODE.continuation, octets.subarray(9), true);
  expect((await client.expect('connack')).code).toBe(0);
});

webSocketTest(
  'one frame may hold several packets and the beginning of another [MQTT5-6.0.0-2]',
  async (open) => {
    const { client } = await open();
    const topic = bench.unique();
    const octets = Buffer.concat([
      connect({ version: 5, clientId: bench.unique() }),
      subscribe(5, 1, [[topic, 0]]),
      publish(5, { topic, payload: 'one' }),
      publish(5, { topic, payload: 'two' }),
    ]);
    client.send(octets.subarray(0, -4));
    await client.expect('connack');
    await client.take('suback');
    expect((await client.take('publish')).payload.toString()).toBe('one');
    client.send(octets.subarray(-4));
    expect((await client.take('publish')).payload.toString()).toBe('two');
  },
);

webSocketTest(
  'a fault in a packet is answered by DISCONNECT in a binary frame too [MQTT5-6.0.0-1]',
  async (open) => {
    const opened = await open();
    await connected(opened);
    opened.client.send('C1 00');
    await refused(opened.client, [0x81]);
  },
);

webSocketTest('DISCONNECT over WebSocket discards the Will [MQTT5-6.0.0-1]', async (open) => {
  const topic = bench.unique();
  const watcher = await bench.client();
  await subscribed(watcher, [topic]);
  for (const payload of ['discarded', 'published']) {
    const { client } = await open();
    client.send(connect({ version: 5, clientId: bench.unique(), will: { topic, payload } }));
    await client.expect('connack');
    if (payload === 'published') client.destroy();
    else {
      client.send(disconnect());
      await client.closed();
    }
  }
  expect((await watcher.take('publish')).payload.toString()).toBe('published');
});
