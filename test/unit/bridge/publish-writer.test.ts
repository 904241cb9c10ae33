import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Output } from '../../../src/bridge/output.js';
import { expirySeconds, PublishWriter } from '../../../src/bridge/publish-writer.js';
import type { Message, MessageProperties, QoS } from '../../../src/core/message.js';
import type { Record } from '../../../src/core/record.js';
import type { Route } from '../../../src/core/route.js';
import { Decoder } from '../../../src/mqtt/decoder.js';
import type { ProtocolVersion, PublishPacket } from '../../../src/mqtt/packet.js';

const route: Route = {
  bridge: 'cloud',
  lane: 'normal',
  qos: 1,
  retain: 'keep',
  strip: '',
  prefix: '',
  properties: 'all',
};
const noSamples = (): Uint8Array => new Uint8Array(0);

interface Options {
  readonly protocolVersion?: ProtocolVersion;
  readonly maximumPacketSize?: number;
  readonly retainAvailable?: boolean;
  readonly route?: Partial<Route>;
  readonly qos?: QoS;
  readonly dup?: boolean;
  readonly offset?: number;
  readonly nowMs?: number;
}

function write(message: Partial<Message>, options: Options = {}) {
  const protocolVersion = options.protocolVersion ?? 5;
  const output = new Output();
  const writer = new PublishWriter(
    output,
    noSamples,
    { gateway: 'well-17', journalId: 'abcdefgh' },
    {
      protocolVersion,
      maximumPacketSize: options.maximumPacketSize ?? 268_435_460,
      retainAvailable: options.retainAvailable ?? true,
    },
  );
  const record: Record = {
    offset: options.offset ?? 7,
    acceptedAtMs: 1_732_147_200_123,
    routes: [1],
    content: {
      kind: 'message',
      message: { topic: 'site/pump', payload: Buffer.from('x'), qos: 1, retain: false, ...message },
    },
  };
  const written = writer.write(
    record,
    { ...route, ...options.route },
    options.qos ?? 1,
    42,
    options.dup ?? false,
    options.nowMs ?? record.acceptedAtMs,
  );
  const bytes = output.take();
  if (written !== 'sent') return { written, bytes, packet: undefined };
  const decoder = new Decoder({ maximumPacketSize: 2 ** 28, receiver: 'server', protocolVersion });
  decoder.push(bytes);
  const decoded = decoder.next();
  if (decoded.kind !== 'packet') throw new Error(JSON.stringify(decoded));
  expect(decoded.bytesUsed).toBe(bytes.length);
  return { written, bytes, packet: decoded.packet as PublishPacket };
}

const identity = [
  ['gw', 'well-17'],
  ['j', 'abcdefgh'],
  ['seq', '7'],
  ['ts', '1732147200123'],
];

test('gw, j, seq and ts go along as User Properties', () => {
  expect(write({}).packet).toMatchObject({
    topic: 'site/pump',
    qos: 1,
    dup: false,
    retain: false,
    packetIdentifier: 42,
    properties: { userProperties: identity },
  });
});

test('3.1.1 has no properties', () => {
  const { packet } = write({ properties: { contentType: 'text/plain' } }, { protocolVersion: 4 });
  expect(packet?.properties).toBeUndefined();
  expect(Buffer.from(packet?.payload ?? []).toString()).toBe('x');
});

test('a rule may keep our properties to itself, the message’s own still go along', () => {
  const { packet } = write({ properties: { contentType: 'a' } }, { route: { properties: 'none' } });
  expect(packet?.properties).toEqual({ contentType: 'a' });
});

test('any message arrives as it was, with ours behind its own', () => {
  const properties: fc.Arbitrary<MessageProperties> = fc.record(
    {
      payloadFormatIndicator: fc.constantFrom(0 as const, 1 as const),
      contentType: fc.string({ unit: 'grapheme-composite' }),
      responseTopic: fc.stringMatching(/^[a-z/é€]{1,40}$/),
      correlationData: fc.uint8Array({ maxLength: 300 }),
      userProperties: fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 5 }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z/é€😀]{1,200}$/u),
      fc.uint8Array({ maxLength: 40_000 }),
      properties,
      fc.constantFrom<QoS>(0, 1, 2),
      fc.boolean(),
      (topic, payload, own, qos, retain) => {
        const { packet } = write({ topic, payload, properties: own, retain }, { qos });
        expect(packet).toMatchObject({ topic, qos, retain });
        expect(Buffer.from(packet?.payload ?? []).equals(Buffer.from(payload))).toBe(true);
        const { correlationData, userProperties, ...rest } = packet?.properties ?? {};
        const { correlationData: sentData, userProperties: sentPairs, ...sentRest } = own;
        expect(rest).toEqual(sentRest);
        expect(userProperties).toEqual([...(sentPairs ?? []), ...identity]);
        expect(correlationData === undefined ? undefined : Buffer.from(correlationData)).toEqual(
          sentData === undefined ? undefined : Buffer.from(sentData),
        );
      },
    ),
    { numRuns: 300 },
  );
});

test('offsets beyond 2^32 are written exactly', () => {
  expect(write({}, { offset: 2 ** 45 + 1 }).packet?.properties?.userProperties?.[2]).toEqual([
    'seq',
    String(2 ** 45 + 1),
  ]);
});

describe('RETAIN', () => {
  test('is kept or cleared as the rule says', () => {
    expect(write({ retain: true }).packet?.retain).toBe(true);
    expect(write({ retain: true }, { route: { retain: 'clear' } }).packet?.retain).toBe(false);
  });

  test('is cleared for a server that does not have it [MQTT5-3.2.2-14]', () => {
    expect(write({ retain: true }, { retainAvailable: false }).packet?.retain).toBe(false);
  });
});

describe('expiry', () => {
  const expiring = { properties: { messageExpiryInterval: 60 } };
  const at = 1_732_147_200_123;

  test('what is left of it goes along [MQTT5-3.3.2-6]', () => {
    expect(write(expiring, { nowMs: at + 15_500 }).packet?.properties?.messageExpiryInterval).toBe(45);
  });

  test('a message whose time is over is not sent', () => {
    expect(write(expiring, { nowMs: at + 60_000 })).toMatchObject({ written: 'expired' });
    expect(write(expiring, { nowMs: at + 60_000 }).bytes).toHaveLength(0);
  });

  test('one that was sent before goes again whatever its age, since its identifier is taken', () => {
    const { packet } = write(expiring, { nowMs: at + 90_000, dup: true });
    expect(packet).toMatchObject({ dup: true, properties: { messageExpiryInterval: 1 } });
  });

  test('a wall clock that was set back does not lengthen it', () => {
    expect(expirySeconds({ messageExpiryInterval: 60 }, at, at - 3_600_000)).toBe(60);
  });
});

describe('what the server cannot take is refused', () => {
  test('above its Maximum Packet Size, to the byte [MQTT5-3.1.2-24]', () => {
    const size = write({}).bytes.length;
    expect(write({}, { maximumPacketSize: size }).written).toBe('sent');
    expect(write({}, { maximumPacketSize: size - 1 })).toMatchObject({ written: 'refused' });
  });

  test('a topic of which strip leaves nothing', () => {
    expect(write({}, { route: { strip: 'site/pump' } }).written).toBe('refused');
  });

  test('a topic that the prefix makes too long', () => {
    expect(write({}, { route: { prefix: 'p'.repeat(65_530) } }).written).toBe('refused');
  });
});
