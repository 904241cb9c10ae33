/**
 * What the gateway knows about itself at one instant: `godwit status --json`, `/api/status`, `/healthz`
 * and the metrics are all views of it. Counters count from the start of the process.
 */
export interface Snapshot {
  readonly gateway: string;
  readonly version: string;
  readonly state: 'starting' | 'running' | 'degraded' | 'stopping';
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly clock: ClockSnapshot;
  readonly devices: { readonly [device: string]: DeviceSnapshot };
  readonly buses: { readonly [bus: string]: BusSnapshot };
  readonly broker: BrokerSnapshot;
  readonly bridges: { readonly [bridge: string]: BridgeSnapshot };
  readonly journal: JournalSnapshot;
  /** Those that are active, or cleared and not acknowledged. */
  readonly alarms?: readonly AlarmSnapshot[];
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly external: number };
}

export interface ClockSnapshot {
  readonly now: number;
  readonly trusted: boolean;
}

export interface DeviceSnapshot {
  readonly bus: string;
  /** `unknown` until the first poll has ended. */
  readonly state: 'online' | 'offline' | 'unknown';
  readonly reason?: string;
  readonly since: number;
  readonly polls: number;
  readonly failures: number;
  /** Polls that a late bus left out. */
  readonly skipped?: number;
  readonly points: { readonly [point: string]: PointSnapshot };
}

export interface PointSnapshot {
  readonly value: boolean | number | string | null;
  readonly unit?: string;
  readonly quality: 'good' | 'stale' | 'bad';
  readonly reason?: string;
  readonly ts: number;
}

export interface AlarmSnapshot {
  /** DEVICE/POINT/NAME. */
  readonly alarm: string;
  readonly state: 'active' | 'cleared';
  readonly since: number;
  readonly value: boolean | number | string | null;
  readonly acknowledged: boolean;
  readonly priority: 'high' | 'normal' | 'low';
}

export interface BusSnapshot {
  readonly driver: string;
  /** `up`: usable; `down`: the port or host cannot be reached, and `reason` says why. */
  readonly state: 'up' | 'down' | 'connecting';
  readonly reason?: string;
  readonly requests: number;
  readonly timeouts: number;
  readonly errors: number;
  /** Bytes that were part of no message, on lines where there can be such. */
  readonly discarded?: number;
  readonly writes?: number;
  /** Requests that came back: the adapter hears itself. */
  readonly echoes?: number;
  /** Time in which the line was taken. */
  readonly busySeconds?: number;
  /** Share of the last minute in which it was, from 0 to 1. */
  readonly utilisation?: number;
  /** How late polls began, of the last thousand. */
  readonly lateness?: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
}

export interface BrokerSnapshot {
  readonly listeners: readonly string[];
  readonly connections: number;
  readonly sessions: number;
  readonly subscriptions: number;
  readonly retained: number;
  readonly messagesReceived: number;
  readonly messagesSent: number;
  readonly messagesDropped: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** CONNECT and AUTH with a wrong name, password or proof. */
  readonly loginsFailed: number;
  /** CONNECTs refused because their address connects too often or is blocked. */
  readonly connectionsThrottled: number;
  /** Messages that their client may not publish. */
  readonly publishesDenied: number;
  /** Sockets and CONNECTs that did not become a connection, for whatever reason. */
  readonly connectionsRefused: number;
  /** Subscriptions beyond the limit of their client. */
  readonly subscriptionsRefused: number;
  /** Packets that are not MQTT. */
  readonly protocolErrors: number;
  /** What sessions keep, waiting messages included. */
  readonly sessionsBytes: number;
  /** Sessions that have as much waiting as they may; new messages are not queued for them. */
  readonly sessionsFull: number;
  readonly messagesNotQueued: number;
}

export interface BridgeSnapshot {
  readonly state: 'stopped' | 'connecting' | 'connected' | 'waiting';
  /** What went wrong last, in one sentence, while it is not connected. */
  readonly reason?: string;
  /** The kind of that, for dashboards: dns, refused, tls, clock, … */
  readonly fault?: string;
  readonly since: number;
  readonly server: string | null;
  /** The address that is connected. */
  readonly address?: string;
  /** Attempts that have failed since it is down. */
  readonly attempts?: number;
  /** When the next one begins, while it waits; milliseconds since the epoch. */
  readonly nextAttempt?: number;
  /** Sessions that were in use since the start of the process. */
  readonly sessions?: number;
  /** Of `on_down`, where there is one. */
  readonly onDown?: DownHookSnapshot;
  readonly waiting: number;
  readonly inFlight: number;
  readonly delivered: number;
  readonly lost: number;
  /** Seconds until nothing waits at the present rate, null where unknown. */
  readonly eta: number | null;
  readonly sessionsLost: number;
}

export interface DownHookSnapshot {
  readonly runs: number;
  readonly running: boolean;
  readonly last?: { readonly at: number; readonly ok: boolean; readonly result: string };
}

export interface JournalSnapshot {
  readonly state: 'ok' | 'full' | 'failing';
  readonly reason?: string;
  readonly path: string;
  readonly bytes: number;
  readonly records: number;
  readonly oldest: number | null;
  readonly newest: number | null;
  readonly commits: number;
  readonly commitMs: number;
  readonly bytesAppended: number;
  /** What was lost and why, newest last. */
  readonly losses?: readonly {
    readonly lost: number;
    readonly reason: string;
    readonly bridge: string | null;
    readonly from: number;
    readonly to: number;
    readonly topics: readonly string[];
  }[];
  /** All that was lost since the journal was made, by reason and bridge. */
  readonly lost?: readonly {
    readonly reason: string;
    readonly bridge: string | null;
    readonly lost: number;
  }[];
  /** Databases that could not be trusted and were set aside, with the number of Records brought over. */
  readonly damage?: readonly {
    readonly at: number;
    readonly file: string;
    readonly reason: string;
    readonly salvaged: number;
  }[];
}
