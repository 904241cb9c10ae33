import { expect, test } from 'vitest';
import { type Agreed, agree, type Capabilities } from '../../../src/broker/connect.js';
import type { ConnectPacket } from '../../../src/mqtt/packet.js';

const capabilities: Capabilities = {
  receiveMaximum: 100,
  maximumPacketSize: 1024,
  maximumQoS: 2,
  retainAvailable: true,
  topicAliasMaximum: 10,
  keepAliveSecondsMax: 600,
  sessionExpirySecondsMax: 1000,
};

function agreed(packet: Partial<ConnectPacket>): Agreed {
  const result = agree(connect(packet), capabilities, () => 'made-up');
  if ('refused' in result) throw new Error(result.why);
  return result;
}

function connect(packet: Partial<ConnectPacket>): ConnectPacket {
  return { type: 'connect', protocolVersion: 5, clientId: 'one', cleanStart: true, keepAlive: 60, ...packet };
}

test('an empty Client Identifier gets one, and is told so [MQTT5-3.1.3-6] [MQTT5-3.1.3-7] [MQTT5-3.2.2-16]', () => {
  const { clientId, told } = agreed({ clientId: '', cleanStart: false });
  expect(clientId).toBe('made-up');
  expect(told?.assignedClientIdentifier).toBe('made-up');
  expect(agreed({}).told).not.toHaveProperty('assignedClientIdentifier');
});

test('3.1.1: an empty Client Identifier needs Clean Session 1, else 0x02 [MQTT311-3.1.3-7] [MQTT311-3.1.3-8]', () => {
  const packet = connect({ protocolVersion: 4, clientId: '', cleanStart: false });
  expect(agree(packet, capabilities, () => 'x')).toMatchObject({ refused: 0x85 });
  expect(agreed({ protocolVersion: 4, clientId: '', cleanStart: true }).clientId).toBe('made-up');
});

test('a longer Keep Alive than allowed, or none, is replaced in 5.0 and left alone in 3.1.1 [MQTT5-3.1.2-21] [MQTT5-3.2.2-22]', () => {
  expect(agreed({ keepAlive: 0 })).toMatchObject({ keepAliveSeconds: 600, told: { serverKeepAlive: 600 } });
  expect(agreed({ keepAlive: 601 })).toMatchObject({ keepAliveSeconds: 600, told: { serverKeepAlive: 600 } });
  expect(agreed({ keepAlive: 60 }).told).not.toHaveProperty('serverKeepAlive');
  expect(agreed({ protocolVersion: 4, keepAlive: 0 })).toMatchObject({
    keepAliveSeconds: 0,
    told: undefined,
  });
});

test('Session Expiry is capped and told; Clean Session is mapped onto it', () => {
  const endless = { sessionExpiryInterval: 0xffff_ffff };
  expect(agreed({ properties: endless })).toMatchObject({
    expiryIntervalSeconds: 1000,
    told: { sessionExpiryInterval: 1000 },
  });
  expect(agreed({}).expiryIntervalSeconds).toBe(0);
  expect(agreed({ protocolVersion: 4, cleanStart: false }).expiryIntervalSeconds).toBe(1000);
  expect(agreed({ protocolVersion: 4, cleanStart: true }).expiryIntervalSeconds).toBe(0);
});

test("the client's limits hold for what is sent to it", () => {
  const properties = { receiveMaximum: 5, maximumPacketSize: 200, topicAliasMaximum: 3 };
  expect(agreed({ properties })).toMatchObject({
    sendMaximum: 5,
    maximumPacketSize: 200,
    topicAliasMaximum: 3,
  });
  expect(agreed({})).toMatchObject({ sendMaximum: 100, maximumPacketSize: Number.POSITIVE_INFINITY });
});

test('what the broker does not offer is told in CONNACK, and what it does is not [MQTT5-3.2.2-9]', () => {
  expect(agreed({}).told).not.toHaveProperty('maximumQoS');
  expect(agreed({}).told).not.toHaveProperty('retainAvailable');
  const little = { ...capabilities, maximumQoS: 1, retainAvailable: false, topicAliasMaximum: 0 } as const;
  expect(agree(connect({}), little, () => 'x')).toMatchObject({
    told: { maximumQoS: 1, retainAvailable: 0, topicAliasMaximum: 0 },
  });
});

test.each([4, 5] as const)(
  'a Will beyond what is offered is refused, version %i [MQTT5-3.2.2-12] [MQTT5-3.2.2-13]',
  (protocolVersion) => {
    const will = { topic: 'a', payload: new Uint8Array(0), qos: 2, retain: true } as const;
    const packet = connect({ protocolVersion, will });
    expect(agree(packet, { ...capabilities, maximumQoS: 1 }, () => 'x')).toMatchObject({ refused: 0x9b });
    expect(agree(packet, { ...capabilities, retainAvailable: false }, () => 'x')).toMatchObject({
      refused: 0x9a,
    });
    expect(agree(packet, capabilities, () => 'x')).not.toHaveProperty('refused');
  },
);
