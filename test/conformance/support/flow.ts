/** What nearly every test does, with the whole handshake: subscribe, publish, receive, and prove silence. */
import {
  acknowledge,
  disconnect,
  type Publish,
  publish,
  type Qos,
  subscribe,
  unsubscribe,
  type Wanted,
} from './build.js';
import type { Given } from './property.js';
import type { RawClient } from './raw-client.js';
import type { Acknowledged, Published, ServerPacket, Suback, Unsuback } from './read.js';
import type { Text } from './wire.js';

/** SUBSCRIBE and its SUBACK; retained messages stay in the inbox. A bare filter asks for QoS 0. */
export async function subscribed(
  client: RawClient,
  wanted: readonly (Wanted | string)[],
  properties?: readonly Given[],
): Promise<Suback> {
  const packetIdentifier = client.newIdentifier();
  const pairs = wanted.map((one): Wanted => (typeof one === 'string' ? [one, 0] : one));
  client.send(subscribe(client.version, packetIdentifier, pairs, properties));
  return client.take('suback', (suback) => suback.packetIdentifier === packetIdentifier);
}

export async function unsubscribed(client: RawClient, topicFilters: readonly Text[]): Promise<Unsuback> {
  const packetIdentifier = client.newIdentifier();
  client.send(unsubscribe(client.version, packetIdentifier, topicFilters));
  return client.take('unsuback', (unsuback) => unsuback.packetIdentifier === packetIdentifier);
}

/**
 * PUBLISH with its handshake to the end. At QoS 0, where nothing answers, PINGRESP is waited for, so that the
 * server has read it. Returns the first answer, undefined at QoS 0.
 */
export async function published(
  client: RawClient,
  options: Omit<Publish, 'packetIdentifier'>,
): Promise<Acknowledged | undefined> {
  const { qos = 0 } = options;
  if (qos === 0) {
    client.send(publish(client.version, options), 'C0 00');
    await client.take('pingresp');
    return undefined;
  }
  const packetIdentifier = client.newIdentifier();
  const ours = (answer: Acknowledged): boolean => answer.packetIdentifier === packetIdentifier;
  client.send(publish(client.version, { ...options, packetIdentifier }));
  if (qos === 1) return client.take('puback', ours);
  const answer = await client.take('pubrec', ours);
  if (answer.code < 0x80) {
    client.send(acknowledge('pubrel', packetIdentifier));
    await client.take('pubcomp', ours);
  }
  return answer;
}

/** The next PUBLISH, acknowledged to the end. */
export async function delivered(client: RawClient): Promise<Published> {
  const message = await client.take('publish');
  await settle(client, message);
  return message;
}

/** Our half of the handshake of a PUBLISH that we received. */
export async function settle(client: RawClient, message: Published): Promise<void> {
  const { packetIdentifier } = message;
  if (message.qos === 1) client.send(acknowledge('puback', packetIdentifier));
  if (message.qos !== 2) return;
  client.send(acknowledge('pubrec', packetIdentifier));
  await client.take('pubrel', (pubrel) => pubrel.packetIdentifier === packetIdentifier);
  client.send(acknowledge('pubcomp', packetIdentifier));
}

let markers = 0;

/**
 * The PUBLISH packets that `watcher` got so far: a marker that `publisher` sends on a topic the watcher subscribes
 * to comes behind them. With the same topic, publisher and QoS the standard itself promises that order. The
 * marker is acknowledged, what came before it is not.
 */
export async function before(
  watcher: RawClient,
  publisher: RawClient,
  topic: string,
  qos: Qos = 0,
): Promise<Published[]> {
  markers += 1;
  const payload = `marker ${markers}`;
  await published(publisher, { topic, payload, qos });
  const upTo = await watcher.publishedUntil((message) => message.payload.toString() === payload);
  const marker = upTo.pop();
  if (marker !== undefined) await settle(watcher, marker);
  return upTo;
}

/** DISCONNECT, and the peer's end of the connection. */
export async function left(client: RawClient, reasonCode?: number, list?: readonly Given[]): Promise<void> {
  client.send(disconnect(reasonCode, list));
  client.end();
  await client.closed();
}

/** The connection goes away without DISCONNECT; resolves when the peer has noticed. */
export async function dropped(client: RawClient): Promise<void> {
  client.end();
  await client.closed();
}

/**
 * The peer has to close. A 3.1.1 server says nothing before; a 5.0 server may send one DISCONNECT, or a CONNACK
 * where it had not sent one, with one of `codes` (none given: any). Returns the code that was sent, if any.
 */
export async function refused(client: RawClient, codes: readonly number[] = []): Promise<number | undefined> {
  const last = (await client.closed()).filter(({ type }) => type !== 'publish');
  if (last.length === 0) return undefined;
  const [farewell, ...others] = last as [ServerPacket, ...ServerPacket[]];
  const isFarewell =
    client.version === 5 &&
    others.length === 0 &&
    (farewell.type === 'connack' || farewell.type === 'disconnect') &&
    farewell.code >= 0x80 &&
    (codes.length === 0 || codes.includes(farewell.code));
  if (!isFarewell) {
    const names = last.map(({ bytes }) => bytes.subarray(0, 16).toString('hex'));
    throw new Error(`the peer closed, but first it sent ${names.join(', ')}`);
  }
  return farewell.code;
}
