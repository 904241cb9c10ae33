/** SUBSCRIBE and UNSUBSCRIBE: each filter is judged by itself and has its Reason Code, in order [MQTT5-3.8.4-6]. */
import type { QoS } from '../core/message.js';
import type { ProtocolVersion, SubscribePacket, UnsubscribePacket } from '../mqtt/packet.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import type { Authorizer, Identity } from './authorizer.js';
import type { Counters } from './counters.js';
import { type Exchange, readFilter } from './exchange.js';
import type { Keeper } from './keeper.js';
import type { Session } from './session.js';
import { optionsOf, type Subscription } from './subscription.js';

export interface Granted {
  readonly reasonCodes: readonly ReasonCode[];
  /** Those whose retained messages follow SUBACK. */
  readonly withRetained: readonly Subscription[];
}

export function subscribe(
  packet: SubscribePacket,
  session: Session,
  version: ProtocolVersion,
  identity: Identity,
  around: {
    readonly exchange: Exchange;
    readonly authorizer: Authorizer;
    readonly maximumSubscriptions: number;
    /** Of all sessions that outlive the process. */
    readonly keeper: Keeper | undefined;
    readonly capabilities: { readonly maximumQoS: QoS };
    readonly counters: Counters;
    transgressed(clientId: string, remoteAddress: string, reasonCode: ReasonCode, why: string): void;
  },
): Granted {
  const { exchange, authorizer, maximumSubscriptions, keeper, capabilities } = around;
  const subscriptionIdentifier = packet.properties?.subscriptionIdentifiers?.[0];
  const reasonCodes: ReasonCode[] = [];
  const withRetained: Subscription[] = [];
  for (const {
    topicFilter,
    noLocal,
    retainAsPublished,
    retainHandling,
    ...requested
  } of packet.subscriptions) {
    // [MQTT5-3.2.2-9] [MQTT5-3.2.2-10]
    const qos = Math.min(requested.qos, capabilities.maximumQoS) as QoS;
    const filter = readFilter(topicFilter, version);
    if (filter === undefined) {
      reasonCodes.push(ReasonCode.topicFilterInvalid);
      continue;
    }
    if (!authorizer.maySubscribe(identity, filter.matched)) {
      reasonCodes.push(ReasonCode.notAuthorized);
      continue;
    }
    const full =
      session.subscriptions.size >= maximumSubscriptions ||
      (session.kept !== undefined && keeper?.hasRoom === false);
    if (full && !session.subscriptions.has(topicFilter)) {
      around.counters.subscriptionsRefused += 1;
      const why = 'broker.limits.max_subscriptions is reached';
      around.transgressed(identity.clientId, '', ReasonCode.quotaExceeded, why);
      reasonCodes.push(ReasonCode.quotaExceeded);
      continue;
    }
    const subscription: Subscription = {
      session,
      topicFilter,
      ...filter,
      qos,
      noLocal,
      // Never set in 3.1.1, where a live message never has RETAIN [MQTT311-3.3.1-9].
      retainAsPublished,
      subscriptionIdentifier,
    };
    const isNew = exchange.subscribe(subscription);
    session.subscribed(subscription, optionsOf(subscription), isNew);
    reasonCodes.push(qos);
    // None for shared subscriptions; Retain Handling 1 only for new ones [MQTT5-3.3.1-10].
    if (!filter.shared && (retainHandling === 0 || (retainHandling === 1 && isNew))) {
      withRetained.push(subscription);
    }
  }
  return { reasonCodes, withRetained };
}

export function unsubscribe(packet: UnsubscribePacket, session: Session, exchange: Exchange): ReasonCode[] {
  return packet.topicFilters.map((topicFilter) => {
    if (!exchange.unsubscribe(session, topicFilter)) return ReasonCode.noSubscriptionExisted;
    session.unsubscribed(topicFilter);
    return ReasonCode.success;
  });
}
