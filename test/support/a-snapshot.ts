import type { Snapshot } from '../../src/core/snapshot.js';

/** A gateway in good health, for tests that look at one; say what is different. */
export function aSnapshot(different: Partial<Snapshot> = {}): Snapshot {
  return {
    gateway: 'well-17',
    version: '0.1.0',
    state: 'running',
    since: 1_732_147_200_000,
    clock: { now: 1_732_147_260_000, trusted: true },
    devices: {
      tank: {
        bus: 'plc',
        state: 'online',
        since: 1_732_147_201_000,
        polls: 60,
        failures: 1,
        points: { level: { value: 71.2, unit: '%', quality: 'good', ts: 1_732_147_260_000 } },
      },
    },
    buses: { plc: { driver: 'modbus-tcp', state: 'up', requests: 61, timeouts: 1, errors: 0 } },
    broker: {
      listeners: ['mqtt://127.0.0.1:1883'],
      connections: 2,
      sessions: 3,
      subscriptions: 4,
      retained: 5,
      messagesReceived: 6,
      messagesSent: 7,
      messagesDropped: 8,
      bytesReceived: 9,
      bytesSent: 10,
      loginsFailed: 11,
      connectionsThrottled: 12,
      publishesDenied: 13,
      connectionsRefused: 14,
      subscriptionsRefused: 15,
      protocolErrors: 16,
    },
    bridges: {
      cloud: {
        state: 'connected',
        since: 1_732_147_202_000,
        server: 'mqtt://mqtt.example.com:1883',
        waiting: 11,
        inFlight: 12,
        delivered: 13,
        lost: 14,
        eta: null,
        sessionsLost: 15,
      },
    },
    journal: {
      state: 'ok',
      path: '/var/lib/godwit/journal.db',
      bytes: 16,
      records: 17,
      oldest: 1_732_147_200_500,
      newest: null,
      commits: 18,
      commitMs: 19,
      bytesAppended: 20,
    },
    memory: { rss: 21, heapUsed: 22, external: 23 },
    ...different,
  };
}
