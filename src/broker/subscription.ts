import type { QoS } from '../core/message.js';
import type { Session } from './session.js';

/** One filter of one session with the options it was granted. Plain: a new SUBSCRIBE replaces it whole [MQTT5-3.8.4-3]. */
export interface Subscription {
  readonly session: Session;
  /** As the client wrote it, with `$share/{name}/` where shared. */
  readonly topicFilter: string;
  /** What it matches: without `$share/{name}/`. */
  readonly matched: string;
  readonly shared: boolean;
  /** Granted. */
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly subscriptionIdentifier: number | undefined;
}
