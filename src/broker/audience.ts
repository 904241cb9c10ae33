/**
 * Who receives a topic, resolved once and remembered until a subscription changes: sessions with what each was
 * granted, shared groups, subscribers inside the process.
 *
 * A session with several matching filters gets one copy, at the highest QoS among them [MQTT5-3.3.4-2], with all
 * their identifiers [MQTT5-3.3.4-4].
 */
import type { Message, QoS } from '../core/message.js';
import type { Session } from './session.js';
import type { SharedGroup } from './shared-group.js';
import type { Subscription } from './subscription.js';

/** A class, since there may be millions: a literal with itself in it would have a shape of its own each time. */
export class Target {
  readonly session: Session;
  readonly qos: QoS;
  readonly retainAsPublished: boolean;
  readonly subscriptionIdentifiers: readonly number[] | undefined;
  /** What it gets of its own publications where No Local rules out some of its filters; null: nothing. */
  readonly ofItsOwn: Target | null;

  /** `own`: undefined where it gets the same of its own publications. */
  constructor(session: Session, granted: readonly Subscription[], own: Target | null | undefined) {
    const identifiers = granted.flatMap(({ subscriptionIdentifier }) =>
      subscriptionIdentifier === undefined ? [] : [subscriptionIdentifier],
    );
    this.session = session;
    this.qos = Math.max(...granted.map(({ qos }) => qos)) as QoS;
    this.retainAsPublished = granted.some((subscription) => subscription.retainAsPublished);
    this.subscriptionIdentifiers = identifiers.length === 0 ? undefined : identifiers;
    this.ofItsOwn = own === undefined ? this : own;
  }
}

export type LocalSubscriber = (message: Message) => void;

export interface Audience {
  readonly targets: readonly Target[];
  readonly groups: readonly SharedGroup[];
  readonly locals: readonly LocalSubscriber[];
}

export function audienceOf(
  subscriptions: readonly Subscription[],
  groups: readonly SharedGroup[],
  locals: readonly LocalSubscriber[],
): Audience {
  return { targets: targetsOf(subscriptions), groups, locals };
}

/**
 * One subscription where it is the only one. Those of a session that were granted the same are one object: a hundred
 * thousand topics that go to fifty sessions need fifty, which stay in the processor's cache.
 */
export function targetOf(subscription: Subscription): Target {
  const { session, qos, noLocal, retainAsPublished } = subscription;
  if (subscription.subscriptionIdentifier !== undefined) return merged(session, [subscription]);
  let granted = alike.get(session);
  if (granted === undefined) {
    granted = [];
    alike.set(session, granted);
  }
  const options = qos | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0);
  granted[options] ??= merged(session, [subscription]);
  return granted[options];
}

const alike = new WeakMap<Session, Target[]>();

function targetsOf(subscriptions: readonly Subscription[]): Target[] {
  const bySession = new Map<Session, Subscription[]>();
  for (const subscription of subscriptions) {
    const others = bySession.get(subscription.session);
    if (others === undefined) bySession.set(subscription.session, [subscription]);
    else others.push(subscription);
  }
  return [...bySession].map(([session, granted]) =>
    granted.length === 1 ? targetOf(granted[0]!) : merged(session, granted),
  );
}

function merged(session: Session, granted: readonly Subscription[]): Target {
  const heard = granted.filter((subscription) => !subscription.noLocal);
  if (heard.length === granted.length) return new Target(session, granted, undefined);
  // [MQTT5-3.8.3-3]
  return new Target(session, granted, heard.length === 0 ? null : new Target(session, heard, null));
}
