// Time per packet of the codec, against the compiled dist: node scripts/bench/codec.mjs
import { Decoder } from '../../dist/mqtt/decoder.js';
import { encode, PublishTemplate } from '../../dist/mqtt/encoder.js';
import { Receiver } from '../../dist/mqtt/receiver.js';
import { Sender } from '../../dist/mqtt/sender.js';
import { matches } from '../../dist/mqtt/topic.js';

const CHUNK_BYTES = 65_536;
const RUN_MS = 700;

/** Runs `round` (which does `count` operations) until the time is up, and prints ns per operation. */
function measure(name, count, round) {
  for (let warm = 0; warm < 20; warm += 1) round();
  const startedAt = process.hrtime.bigint();
  let rounds = 0;
  let elapsedNs = 0;
  do {
    round();
    rounds += 1;
    elapsedNs = Number(process.hrtime.bigint() - startedAt);
  } while (elapsedNs < RUN_MS * 1e6);
  console.log(`${name.padEnd(52)} ${(elapsedNs / rounds / count).toFixed(0).padStart(6)} ns`);
}

function publish(topic, qos, version, packetIdentifier, properties) {
  const payload = new Uint8Array(64).fill(120);
  return encode(
    { type: 'publish', topic, payload, qos, retain: false, dup: false, packetIdentifier, properties },
    version,
  );
}

function decodeRound(packets, protocolVersion) {
  const chunks = [];
  const stream = Buffer.concat(packets);
  for (let at = 0; at < stream.length; at += CHUNK_BYTES) chunks.push(stream.subarray(at, at + CHUNK_BYTES));
  return () => {
    const decoder = new Decoder({ maximumPacketSize: 1 << 20, receiver: 'server', protocolVersion });
    let seen = 0;
    for (const chunk of chunks) {
      decoder.push(chunk);
      while (decoder.next().kind === 'packet') seen += 1;
    }
    if (seen !== packets.length) throw new Error(`decoded ${seen} of ${packets.length}`);
  };
}

const COUNT = 20_000;
const many = (make) => Array.from({ length: COUNT }, (_, index) => make(index));
const fifty = (index) => `site/north/machine${index % 50}/temperature`;
const tenThousand = (index) => `site/north/machine${(index * 7919) % 10_000}/temperature`;
const everNew = (index) => `site/north/machine${index}/temperature`;
const id = (index) => (index % 65_535) + 1;
const user = { userProperties: [['gw', 'well-17'], ['seq', '123456']], messageExpiryInterval: 60 };

measure('decode PUBLISH QoS 0, 50 topics', COUNT, decodeRound(many((i) => publish(fifty(i), 0, 4)), 4));
measure('decode PUBLISH QoS 0, 10,000 topics', COUNT, decodeRound(many((i) => publish(tenThousand(i), 0, 4)), 4));
measure('decode PUBLISH QoS 0, 20,000 topics', COUNT, decodeRound(many((i) => publish(everNew(i), 0, 4)), 4));
measure('decode PUBLISH QoS 1, 50 topics', COUNT, decodeRound(many((i) => publish(fifty(i), 1, 4, id(i))), 4));
measure('decode PUBLISH QoS 1, 5.0', COUNT, decodeRound(many((i) => publish(fifty(i), 1, 5, id(i))), 5));
measure('decode PUBLISH QoS 1, 5.0, 3 properties', COUNT, decodeRound(many((i) => publish(fifty(i), 1, 5, id(i), user)), 5));
const puback = (i) => encode({ type: 'puback', packetIdentifier: id(i), reasonCode: 0 }, 4);
measure('decode PUBACK', COUNT, decodeRound(many(puback), 4));
measure('encode PUBLISH QoS 1', COUNT, () => {
  for (let index = 0; index < COUNT; index += 1) publish('site/north/machine17/temperature', 1, 4, 7);
});
const packet = { type: 'publish', topic: 'site/north/machine17/temperature', payload: new Uint8Array(64), qos: 1, retain: false, dup: false };
measure('PublishTemplate, made', COUNT, () => {
  for (let index = 0; index < COUNT; index += 1) new PublishTemplate(packet, 4);
});
const template = new PublishTemplate(packet, 4);
const out = Buffer.alloc(template.size);
measure('PublishTemplate.write', COUNT, () => {
  for (let index = 0; index < COUNT; index += 1) template.write(out, 0, id(index), false);
});
measure('Sender publish + puback, window 20', COUNT, () => {
  const sender = new Sender();
  sender.resume(20);
  for (let index = 0; index < COUNT; index += 1) {
    if (sender.quota === 0) sender.puback(((index - 20) % 65_535) + 1, 0);
    if (sender.publish(index, 1) === 0) throw new Error('no quota');
  }
});
measure('Sender QoS 2, three steps', COUNT, () => {
  const sender = new Sender();
  sender.resume(20);
  for (let index = 0; index < COUNT; index += 1) {
    const packetIdentifier = sender.publish(index, 2);
    sender.pubrec(packetIdentifier, 0);
    sender.pubcomp(packetIdentifier, 0);
  }
});
measure('Receiver QoS 2, four steps', COUNT, () => {
  const receiver = new Receiver();
  receiver.resume(20);
  for (let index = 0; index < COUNT; index += 1) {
    receiver.publish(id(index), 2);
    receiver.accepted(id(index), 2, 0);
    receiver.pubrel(id(index));
    receiver.completed(id(index));
  }
});
let matched = 0;
measure('matches site/+/machine17/#', COUNT, () => {
  for (let index = 0; index < COUNT; index += 1) matched += matches('site/+/machine17/#', packet.topic) ? 1 : 0;
});
