/** The connection as a session sees it: where its packets go, and what the server allows. */
import type { QoS } from '../core/message.js';
import type { Record } from '../core/record.js';
import type { Route } from '../core/route.js';

/** `refused`: the server cannot take it (too large); `expired`: its time is over. */
export type Written = 'sent' | 'refused' | 'expired';

export interface Wire {
  /** Whether there is room for another packet. */
  readonly writable: boolean;
  /**
   * @param late a newer message of its topic was sent before: RETAIN 0
   * @param replay the job that sends it once more, if it is one
   */
  publish(
    record: Record,
    route: Route,
    qos: QoS,
    packetIdentifier: number,
    dup: boolean,
    late: boolean,
    replay: string | undefined,
  ): Written;
  pubrel(packetIdentifier: number): void;
}

/** What this connection's server allows. */
export interface Limits {
  /** Unacknowledged PUBLISHes above QoS 0. */
  readonly window: number;
  /** Of these, QoS 2. */
  readonly windowQoS2: number;
  readonly maximumQoS: QoS;
  /** The largest packet; absent: no limit. */
  readonly packetBytesMax?: number;
}

/** No connection: nothing may be sent. */
export const NO_LIMITS: Limits = { window: 0, windowQoS2: 0, maximumQoS: 2 };
