/**
 * What is measured, and what it is held against. A case is one load on several sides in turn; `ratios` divide one side's
 * CPU time per message by another's, and `limit` is what was promised of it.
 */

const ALL = ['godwit', 'mosquitto', 'aedes'];
/** The gateway with its journal too: what the storage beside it costs. */
const WITH_GATEWAY = ['godwit', 'gateway', 'mosquitto', 'aedes'];

/** Publishers have at most 20 messages unacknowledged. */
const fanIn = (qos) => ({ layout: 'fan-in', publishers: 50, subscribers: 1, qos, size: 64 });
const fanOut = (qos) => ({ layout: 'fan-out', publishers: 1, subscribers: 50, qos, size: 64 });
const topics = (count) => ({ ...fanIn(0), topics: count });
/** The warm-up is long enough for every topic to have come once: what is measured is the plant in its daily round. */
const spread = (count) => ({
  ...{ layout: 'spread', publishers: 50, subscribers: 50, qos: 0, size: 64, topics: count },
  ...{ warmup: 4 },
});

export const CASES = [
  versus('fan-in-q0', 'QoS 0, 50 publishers → 1 wildcard subscriber', fanIn(0), ALL, 'mosquitto', 0.42),
  versus('fan-in-q1', 'QoS 1, the same', fanIn(1), WITH_GATEWAY, 'mosquitto', 0.5),
  versus('fan-out-q0', 'QoS 0, 1 → 50 subscribers', fanOut(0), ALL, 'mosquitto', 0.2),
  versus('fan-out-q1', 'QoS 1, the same', fanOut(1), ALL, 'mosquitto', 0.33),
  versus(
    'pairs-q2',
    'QoS 2, 25 pairs',
    { layout: 'pairs', publishers: 25, subscribers: 25, qos: 2, size: 64 },
    ALL,
    'mosquitto',
    0.33,
  ),
  versus(
    'paced-q1',
    'QoS 1, 2,000/s paced over 50 publishers',
    { ...fanIn(1), rate: 2000, warmup: 5, seconds: 4 },
    // Nothing to batch: what is left is mostly Node.js and the kernel.
    [...WITH_GATEWAY, 'bare'],
    'aedes',
    0.45,
  ),
  {
    name: 'access-q1',
    what: 'fan-in QoS 1 with password and ACL of 100 lines, and with TLS too',
    sides: [
      { name: 'godwit', broker: 'godwit', load: fanIn(1) },
      { name: 'godwit +acl', broker: 'godwit', load: fanIn(1), auth: true },
      { name: 'godwit +acl+tls', broker: 'godwit', load: fanIn(1), auth: true, tls: true },
      { name: 'mosquitto', broker: 'mosquitto', load: fanIn(1) },
      { name: 'mosquitto +acl', broker: 'mosquitto', load: fanIn(1), auth: true },
      { name: 'mosquitto +acl+tls', broker: 'mosquitto', load: fanIn(1), auth: true, tls: true },
    ],
    ratios: [
      { of: 'godwit +acl', to: 'godwit', limit: 1.5 },
      { of: 'godwit +acl+tls', to: 'godwit +acl' },
      { of: 'mosquitto +acl+tls', to: 'mosquitto +acl' },
    ],
  },
  {
    name: 'spread',
    what: '100,000 distinct subscriptions of 50 subscribers, each message to one of them, against 100',
    sides: [
      { name: 'godwit 100', broker: 'godwit', load: spread(100) },
      { name: 'godwit 100,000', broker: 'godwit', load: spread(100_000) },
      { name: 'mosquitto 100', broker: 'mosquitto', load: spread(100) },
      { name: 'mosquitto 100,000', broker: 'mosquitto', load: spread(100_000) },
    ],
    ratios: [
      { of: 'godwit 100,000', to: 'godwit 100', limit: 2 },
      { of: 'mosquitto 100,000', to: 'mosquitto 100' },
    ],
  },
  {
    name: 'topics',
    what: '10,000 topics in random order against fifty, fan-in QoS 0',
    sides: [
      { name: 'godwit 50', broker: 'godwit', load: topics(50) },
      { name: 'godwit 10,000', broker: 'godwit', load: topics(10_000) },
      { name: 'mosquitto 50', broker: 'mosquitto', load: topics(50) },
      { name: 'mosquitto 10,000', broker: 'mosquitto', load: topics(10_000) },
    ],
    ratios: [
      { of: 'godwit 10,000', to: 'godwit 50', limit: 1.3 },
      { of: 'mosquitto 10,000', to: 'mosquitto 50' },
    ],
  },
  {
    name: 'connections',
    what: 'first CONNECT after start, memory idle and with 1,000 connections',
    sides: WITH_GATEWAY.map((broker) => ({
      name: broker,
      broker,
      load: { layout: 'idle', publishers: 1000, seconds: 2 },
    })),
    ratios: [],
    bounds: [
      { of: 'godwit', key: 'firstConnectMs', limit: 250 },
      { of: 'godwit', key: 'idleMB', limit: 62 },
      { of: 'godwit', key: 'kibPerConnection', limit: 16 },
    ],
  },
];

function versus(name, what, load, brokers, rival, limit) {
  return {
    name,
    what,
    sides: brokers.map((broker) => ({ name: broker, broker, load })),
    ratios: [
      { of: 'godwit', to: rival, limit },
      ...brokers
        .filter((broker) => broker !== 'godwit' && broker !== rival)
        .map((broker) => (broker === 'gateway' ? { of: broker, to: 'godwit' } : { of: 'godwit', to: broker })),
    ],
    /** Its p99 latency must not be above this side's. */
    p99: { of: 'godwit', to: 'mosquitto' },
  };
}
