/**
 * The Snapshot as Prometheus text, version 0.0.4: a list of what each metric is and where it is found. Names
 * begin with `godwit_` and end in their unit, counters in `_total`; states are 1 for the one that holds.
 */
import type { Snapshot } from '../core/snapshot.js';

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function metricsText(snapshot: Snapshot): string {
  let text = '';
  for (const metric of METRICS) {
    const values = metric.values(snapshot);
    if (values.length === 0) continue;
    text += `# HELP ${metric.name} ${metric.help}\n# TYPE ${metric.name} ${metric.type}\n`;
    for (const [labels, value] of values) text += `${metric.name}${labelText(labels)} ${numberText(value)}\n`;
  }
  return text;
}

type Labels = { readonly [label: string]: string };
type Values = readonly (readonly [Labels, number])[];

interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly values: (snapshot: Snapshot) => Values;
}

function one(
  type: Metric['type'],
  name: string,
  help: string,
  value: (snapshot: Snapshot) => number | null,
): Metric {
  return {
    name: `godwit_${name}`,
    type,
    help,
    values: (snapshot) => {
      const number = value(snapshot);
      return number === null ? [] : [[{}, number]];
    },
  };
}

type Kind = 'devices' | 'buses' | 'bridges';

function each<K extends Kind>(
  kind: K,
  type: Metric['type'],
  name: string,
  help: string,
  value: (item: Snapshot[K][string]) => number | null,
): Metric {
  return {
    name: `godwit_${name}`,
    type,
    help,
    values: (snapshot) => {
      // A union of the three records is no record of its items for the compiler; the entries are.
      const items: [string, Snapshot[K][string]][] = Object.entries(snapshot[kind]);
      return items.flatMap(([key, item]) => {
        const number = value(item);
        return number === null ? [] : [[{ [LABELS[kind]]: key }, number] as const];
      });
    },
  };
}

const LABELS = { devices: 'device', buses: 'bus', bridges: 'bridge' } as const;

const METRICS: readonly Metric[] = [
  {
    name: 'godwit_info',
    type: 'gauge',
    help: 'Which gateway, and its version.',
    values: ({ gateway, version }) => [[{ gateway, version }, 1]],
  },
  one(
    'gauge',
    'start_time_seconds',
    'When the gateway started, seconds since the epoch.',
    (s) => s.since / 1000,
  ),
  one('gauge', 'clock_trusted', 'Whether the wall clock is believed.', (s) => Number(s.clock.trusted)),
  each('devices', 'gauge', 'device_online', 'Whether the device answers.', (d) =>
    Number(d.state === 'online'),
  ),
  each('devices', 'counter', 'device_polls_total', 'Polls of the device.', (d) => d.polls),
  each('devices', 'counter', 'device_poll_failures_total', 'Polls that failed.', (d) => d.failures),
  each(
    'devices',
    'counter',
    'device_polls_skipped_total',
    'Polls that a late bus left out.',
    (d) => d.skipped ?? null,
  ),
  each('buses', 'gauge', 'bus_up', 'Whether the port or host of the bus is usable.', (b) =>
    Number(b.state === 'up'),
  ),
  each('buses', 'counter', 'bus_requests_total', 'Requests sent on the bus.', (b) => b.requests),
  each('buses', 'counter', 'bus_timeouts_total', 'Requests without an answer in time.', (b) => b.timeouts),
  each('buses', 'counter', 'bus_errors_total', 'Requests answered wrongly or refused.', (b) => b.errors),
  each(
    'buses',
    'counter',
    'bus_discarded_bytes_total',
    'Bytes on a serial line that were part of no message.',
    (b) => b.discarded ?? 0,
  ),
  each('buses', 'counter', 'bus_writes_total', 'Writes asked of the bus.', (b) => b.writes ?? null),
  each(
    'buses',
    'counter',
    'bus_busy_seconds_total',
    'Time in which the line was taken.',
    (b) => b.busySeconds ?? null,
  ),
  each(
    'buses',
    'gauge',
    'bus_utilisation_ratio',
    'Share of the last minute in which the line was taken.',
    (b) => b.utilisation ?? null,
  ),
  each(
    'buses',
    'gauge',
    'bus_poll_lateness_p99_seconds',
    'How late polls begin, p99 of the last thousand.',
    (b) => (b.lateness === undefined ? null : b.lateness.p99Ms / 1000),
  ),
  one('gauge', 'broker_connections', 'Connected clients.', (s) => s.broker.connections),
  one('gauge', 'broker_sessions', 'Sessions, connected or kept.', (s) => s.broker.sessions),
  one(
    'gauge',
    'broker_sessions_bytes',
    'What sessions keep, waiting messages included.',
    (s) => s.broker.sessionsBytes,
  ),
  one('gauge', 'broker_sessions_full', 'Sessions whose queue is full.', (s) => s.broker.sessionsFull),
  one(
    'counter',
    'broker_messages_not_queued_total',
    'Messages that a session had no room for.',
    (s) => s.broker.messagesNotQueued,
  ),
  one('gauge', 'broker_subscriptions', 'Subscriptions of all sessions.', (s) => s.broker.subscriptions),
  one('gauge', 'broker_retained_messages', 'Retained messages.', (s) => s.broker.retained),
  one(
    'counter',
    'broker_messages_received_total',
    'Messages published by clients.',
    (s) => s.broker.messagesReceived,
  ),
  one(
    'counter',
    'broker_messages_sent_total',
    'Messages delivered to clients.',
    (s) => s.broker.messagesSent,
  ),
  one(
    'counter',
    'broker_messages_dropped_total',
    'Messages not delivered for want of room.',
    (s) => s.broker.messagesDropped,
  ),
  one(
    'counter',
    'broker_received_bytes_total',
    'Bytes received from clients.',
    (s) => s.broker.bytesReceived,
  ),
  one('counter', 'broker_sent_bytes_total', 'Bytes sent to clients.', (s) => s.broker.bytesSent),
  one(
    'counter',
    'broker_logins_failed_total',
    'Logins with a wrong name, password or proof.',
    (s) => s.broker.loginsFailed,
  ),
  one(
    'counter',
    'broker_connections_throttled_total',
    'CONNECTs refused because their address connects too often or is blocked.',
    (s) => s.broker.connectionsThrottled,
  ),
  one(
    'counter',
    'broker_publishes_denied_total',
    'Messages that their client may not publish.',
    (s) => s.broker.publishesDenied,
  ),
  one(
    'counter',
    'broker_connections_refused_total',
    'Sockets and CONNECTs that did not become a connection.',
    (s) => s.broker.connectionsRefused,
  ),
  one(
    'counter',
    'broker_subscriptions_refused_total',
    'Subscriptions beyond the limit of their client.',
    (s) => s.broker.subscriptionsRefused,
  ),
  one(
    'counter',
    'broker_protocol_errors_total',
    'Packets that are not MQTT.',
    (s) => s.broker.protocolErrors,
  ),
  each('bridges', 'gauge', 'bridge_connected', 'Whether the bridge is connected.', (b) =>
    Number(b.state === 'connected'),
  ),
  each(
    'bridges',
    'counter',
    'bridge_sessions_total',
    'Sessions with the server that were in use.',
    (b) => b.sessions ?? 0,
  ),
  {
    name: 'godwit_bridge_fault',
    type: 'gauge',
    help: 'Why the bridge is not connected, by kind of fault.',
    values: ({ bridges }) =>
      Object.entries(bridges).flatMap(([bridge, { fault }]) =>
        fault === undefined ? [] : [[{ bridge, kind: fault }, 1] as const],
      ),
  },
  each('bridges', 'gauge', 'bridge_waiting_messages', 'Messages waiting for the bridge.', (b) => b.waiting),
  each(
    'bridges',
    'gauge',
    'bridge_in_flight_messages',
    'Messages sent and not acknowledged yet.',
    (b) => b.inFlight,
  ),
  each('bridges', 'gauge', 'bridge_eta_seconds', 'Until nothing waits at the present rate.', (b) => b.eta),
  each('bridges', 'counter', 'bridge_delivered_total', 'Messages delivered.', (b) => b.delivered),
  {
    name: 'godwit_lost_total',
    type: 'counter',
    help: 'Messages lost since the journal was made, by reason and bridge; no bridge: none would have carried them.',
    values: ({ journal }) =>
      (journal.lost ?? []).map(
        ({ reason, bridge, lost }) => [{ reason, bridge: bridge ?? '' }, lost] as const,
      ),
  },
  each('bridges', 'counter', 'bridge_lost_total', 'Messages lost for a stated reason.', (b) => b.lost),
  each(
    'bridges',
    'counter',
    'bridge_sessions_lost_total',
    'Sessions that the server did not keep.',
    (b) => b.sessionsLost,
  ),
  {
    name: 'godwit_journal_state',
    type: 'gauge',
    help: 'Which state the journal is in.',
    values: ({ journal }) =>
      (['ok', 'full', 'failing'] as const).map(
        (state) => [{ state }, Number(journal.state === state)] as const,
      ),
  },
  one('gauge', 'journal_bytes', 'Size of the journal on disk.', (s) => s.journal.bytes),
  one('gauge', 'journal_records', 'Records in the journal.', (s) => s.journal.records),
  one('gauge', 'journal_oldest_time_seconds', 'When the oldest record was accepted.', (s) =>
    seconds(s.journal.oldest),
  ),
  one('gauge', 'journal_newest_time_seconds', 'When the newest record was accepted.', (s) =>
    seconds(s.journal.newest),
  ),
  one('counter', 'journal_commits_total', 'Commits.', (s) => s.journal.commits),
  one('gauge', 'journal_commit_seconds', 'How long a commit takes.', (s) => s.journal.commitMs / 1000),
  one(
    'counter',
    'journal_appended_bytes_total',
    'Bytes of records appended.',
    (s) => s.journal.bytesAppended,
  ),
  one('gauge', 'memory_resident_bytes', 'Resident memory of the process.', (s) => s.memory.rss),
  one('gauge', 'memory_heap_used_bytes', 'Heap in use.', (s) => s.memory.heapUsed),
  one('gauge', 'memory_external_bytes', 'Memory outside of the heap.', (s) => s.memory.external),
];

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
