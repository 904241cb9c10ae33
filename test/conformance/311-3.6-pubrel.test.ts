/** MQTT 3.1.1, sections 3.4 to 3.7: PUBACK, PUBREC, PUBREL, PUBCOMP. */
import { expect, test } from 'vitest';
import { acknowledge, publish } from './support/build.js';
import { published, refused, subscribed } from './support/flow.js';
import { usePeer } from './support/peer.js';
import { packet, u16 } from './support/wire.js';

const bench = usePeer();

for (const firstOctet of [0x60, 0x61, 0x63, 0x66, 0x6a]) {
  test(`PUBREL ${firstOctet.toString(16)} closes the connection and releases nothing [MQTT311-3.6.1-1]`, async () => {
    const client = await bench.client();
    client.send(publish(4, { topic: bench.unique(), qos: 2, packetIdentifier: 1 }));
    await client.expect('pubrec');
    client.send(packet(firstOctet, u16(1)));
    await refused(client);
  });
}

test('the server sends PUBREL with flags 0010 [MQTT311-3.6.1-1] [MQTT311-2.2.2-1]', async () => {
  const topic = bench.unique();
  const subscriber = await bench.client();
  await subscribed(subscriber, [[topic, 2]]);
  await published(await bench.client(), { topic, qos: 2 });
  const { packetIdentifier } = await subscriber.take('publish');
  subscriber.send(acknowledge('pubrec', packetIdentifier));
  expect((await subscriber.expect('pubrel')).bytes[0]).toBe(0x62);
});
