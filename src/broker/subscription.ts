import type { QoS } from '../core/message.js';
import { parseSharedFilter } from '../mqtt/topic.js';
import type { SavedSubscription } from '../storage/session-store.js';
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

const NO_LOCAL = 4;
const RETAIN_AS_PUBLISHED = 8;
const SHARED = 16;

/** Its options as one number, to be saved. */
export function optionsOf({ qos, noLocal, retainAsPublished, shared }: Subscription): number {
  return (
    qos | (noLocal ? NO_LOCAL : 0) | (retainAsPublished ? RETAIN_AS_PUBLISHED : 0) | (shared ? SHARED : 0)
  );
}

/** As it was saved; undefined: not one that this version understands. */
export function savedSubscription(
  session: Session,
  topicFilter: string,
  { options, subscriptionIdentifier }: SavedSubscription,
): Subscription | undefined {
  const shared = (options & SHARED) !== 0;
  const matched = shared ? parseSharedFilter(topicFilter)?.topicFilter : topicFilter;
  const qos = options & 3;
  if (matched === undefined || qos > 2) return undefined;
  return {
    session,
    topicFilter,
    matched,
    shared,
    qos: qos as QoS,
    noLocal: (options & NO_LOCAL) !== 0,
    retainAsPublished: (options & RETAIN_AS_PUBLISHED) !== 0,
    subscriptionIdentifier,
  };
}
