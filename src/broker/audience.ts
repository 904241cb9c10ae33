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

export interface Target {
  readonly session: Session;
  readonly qos: QoS;
  readonly retainAsPublished: boolean;
  readonly subscriptionIdentifiers: readonly number[] | undefined;
  /** What it gets of its own publications where No Local rules out some of its filters; null: nothing. */
  readonly ofItsOwn: Target | null;
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
  if (subscription.subscriptionIdentifier !== undefined) return targetsOf([subscription])[0]!;
  const { session, qos, noLocal, retainAsPublished } = subscription;
  let granted = alike.get(session);
  if (granted === undefined) {
    granted = [];
    alike.set(session, granted);
  }
  const options = qos | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0);
  granted[options] ??= targetsOf([subscription])[0]!;
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
  return [...bySession].map(([session, granted]) => {
    const heard = granted.filter((subscription) => !subscription.noLocal);
    const all = merge(session, granted);
    if (heard.length === granted.length) {
      const target: { -readonly [Key in keyof Target]: Target[Key] } = { ...all, ofItsOwn: null };
      target.ofItsOwn = target;
      return target;
    }
    // [MQTT5-3.8.3-3]
    return { ...all, ofItsOwn: heard.length === 0 ? null : { ...merge(session, heard), ofItsOwn: null } };
  });
}

function merge(session: Session, granted: readonly Subscription[]): Omit<Target, 'ofItsOwn'> {
  const identifiers = granted.flatMap(({ subscriptionIdentifier }) =>
    subscriptionIdentifier === undefined ? [] : [subscriptionIdentifier],
  );
  return {
    session,
    qos: Math.max(...granted.map(({ qos }) => qos)) as QoS,
    retainAsPublished: granted.some((subscription) => subscription.retainAsPublished),
    subscriptionIdentifiers: identifiers.length === 0 ? undefined : identifiers,
  };
}
