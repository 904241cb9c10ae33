/**
 * Where a publication meets its subscribers: journal and retained store first, then every session, group and local
 * subscriber that the topic has.
 *
 *   accept ──▶ journal? retained? (refused: nobody gets it) ──▶ deliver ──▶ 'done' or 'afterCommit'
 *
 * `afterCommit` means that the acknowledgement must wait for the storage. Deliveries to sessions that end with their
 * connection, and all at QoS 0, do not: local service waits for no disk. What is for kept sessions is stored first, once
 * for all of them.
 */
import type { Clock } from '../core/clock.js';
import { GodwitError } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Message, QoS } from '../core/message.js';
import type { Content } from '../core/record.js';
import type { SampleSet } from '../core/sample.js';
import { parseSharedFilter, validTopicFilter, validTopicName } from '../mqtt/topic.js';
import type { Storage } from '../storage/storage.js';
import { audienceOf, type LocalSubscriber, type Target, targetOf } from './audience.js';
import type { Identity } from './authorizer.js';
import type { Counters } from './counters.js';
import { Heard } from './heard.js';
import type { Keeper, KeepRecipient } from './keeper.js';
import { MatchCache } from './match-cache.js';
import { Delivery, Publication } from './publication.js';
import { ResolvedTopics } from './resolved-topics.js';
import { Retained, type RetainedLimits } from './retained.js';
import type { Session } from './session.js';
import { SharedGroup } from './shared-group.js';
import type { Subscription } from './subscription.js';
import { SubscriptionTree, TOPIC_LEVELS_MAX } from './subscription-tree.js';
import { isSys, type SysTopics } from './sys-topics.js';
import { levels, NOBODY, Topic } from './topic.js';
import type { WallTime } from './wall-time.js';

/** Which routes of the journal a publication belongs to, and whether it is kept for replay. */
export interface Routing {
  readonly routes: readonly number[];
  readonly record: boolean;
}

export interface ExchangeOptions {
  readonly storage: Storage | undefined;
  readonly routing:
    | ((topic: string, kind: Content['kind'], origin: string | undefined) => Routing)
    | undefined;
  readonly encode: (set: SampleSet) => Uint8Array;
  readonly retained: RetainedLimits;
  /** A command is never retained: it would be carried out again with each restart and each subscription. */
  readonly isCommand?: ((topicName: string) => boolean) | undefined;
  /** Whether the ACL lets a session read a topic; absent: everyone everything. */
  readonly mayReceive?: MayReceive;
  /** The $SYS topics: told when somebody subscribes, asked for what a new subscriber finds. */
  readonly sys?: Pick<SysTopics, 'wanted' | 'match'>;
  /** Absent: no session outlives the process. */
  readonly keeper?: Keeper | undefined;
  readonly wallTime: WallTime;
  /** A message could not be retained: there are too many, or too much. */
  readonly retainedFull: (topic: string) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
}

export type MayReceive = (session: Session, topicName: string) => boolean;

/** What became of a publication: acknowledge at once, after the commit, or refuse it with 0x97. */
export type Outcome = 'done' | 'afterCommit' | 'refused';

export class Exchange {
  /** Monotonic, read once per turn: `beginTurn`. */
  nowMs = 0;
  readonly retained: Retained;
  readonly #options: ExchangeOptions;
  readonly #sessions = new SubscriptionTree<Session, Subscription>();
  readonly #groups = new SubscriptionTree<string, SharedGroup>();
  readonly #locals = new SubscriptionTree<LocalSubscriber, LocalSubscriber>();
  readonly #topics = new MatchCache();
  readonly heard = new Heard();
  /** Kept sessions that the present publication is for. */
  #recipients: KeepRecipient[] = [];
  readonly #resolved = new ResolvedTopics();
  #generation = 0;
  #sharedSubscriptions = 0;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.retained = new Retained(options.retained, (topic) => {
      const nothing: Message = { topic, payload: new Uint8Array(0), qos: 0, retain: true };
      options.storage?.putRetained(nothing, 0);
    });
  }

  get subscriptions(): number {
    return this.#sessions.size + this.#sharedSubscriptions;
  }

  get sharedSubscriptions(): number {
    return this.#sharedSubscriptions;
  }

  /** Whether any filter begins with this level. */
  hasSubscribersBelow(level: string): boolean {
    return [this.#sessions, this.#groups, this.#locals].some((tree) => tree.hasBelow(level));
  }

  beginTurn(): number {
    this.nowMs = this.#options.clock.monotonicMs();
    return this.nowMs;
  }

  loadRetained(): void {
    const { storage } = this.#options;
    if (storage === undefined) return;
    this.beginTurn();
    for (const { message, storedAtMs } of storage.retained()) {
      const ageMs = this.#options.wallTime.ageMs(storedAtMs);
      this.retained.set(Publication.of(message, this.nowMs - ageMs), this.nowMs);
    }
  }

  /** Undefined: not a Topic Name that anyone may publish on. */
  topic(name: string): Topic | undefined {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    if (!validTopicName(name)) return undefined;
    const topic = new Topic(name);
    if (topic.tooDeep) return undefined;
    this.#topics.add(topic);
    return topic;
  }

  /** Replaces the session's subscription of the same filter; true: there was none. */
  subscribe(subscription: Subscription): boolean {
    const { session, topicFilter } = subscription;
    if (isSys(subscription.matched)) this.#options.sys?.wanted();
    const isNew = !session.subscriptions.has(topicFilter);
    if (!isNew) this.unsubscribe(session, topicFilter);
    session.subscriptions.set(topicFilter, subscription);
    this.#generation += 1;
    this.heard.reserve(this.subscriptions);
    this.#resolved.reserve(this.subscriptions);
    if (!subscription.shared) {
      this.#sessions.add(subscription.matched, session, subscription);
      return isNew;
    }
    this.#sharedSubscriptions += 1;
    let group = this.#groups.get(subscription.matched, topicFilter);
    if (group === undefined) {
      group = new SharedGroup(topicFilter);
      this.#groups.add(subscription.matched, topicFilter, group);
    }
    group.join(subscription);
    return isNew;
  }

  /** Filters are compared literally [MQTT5-3.10.4-1]; false: there was none. */
  unsubscribe(session: Session, topicFilter: string): boolean {
    const subscription = session.subscriptions.get(topicFilter);
    if (subscription === undefined) return false;
    session.subscriptions.delete(topicFilter);
    this.#generation += 1;
    if (!subscription.shared) {
      this.#sessions.remove(subscription.matched, session);
      return true;
    }
    this.#sharedSubscriptions -= 1;
    const group = this.#groups.get(subscription.matched, topicFilter);
    group?.leave(session);
    if (group?.size === 0) this.#groups.remove(subscription.matched, topicFilter);
    return true;
  }

  /** Whose session it is from now on: what its subscriptions bring depends on it. */
  identify(session: Session, identity: Identity): void {
    const changed = session.identity?.username !== identity.username;
    session.identity = identity;
    if (changed && session.subscriptions.size > 0) this.accessChanged();
  }

  /** `sessionsLeft`: those that are kept still. */
  sessionEnded(sessionsLeft: number): void {
    this.#resolved.sessionEnded(sessionsLeft);
  }

  /** Who may read what has changed: every audience is resolved anew. */
  accessChanged(): void {
    this.#generation += 1;
  }

  subscribeLocal(topicFilter: string, deliver: LocalSubscriber): () => void {
    if (!validTopicFilter(topicFilter, 4)) {
      throw new GodwitError('TOPIC_FILTER_INVALID', `'${topicFilter}' is not a topic filter`);
    }
    // A wrapper of its own: the same function may subscribe twice.
    const subscriber: LocalSubscriber = (message) => deliver(message);
    if (isSys(topicFilter)) this.#options.sys?.wanted();
    this.#locals.add(topicFilter, subscriber, subscriber);
    this.#generation += 1;
    return () => {
      if (this.#locals.remove(topicFilter, subscriber) !== undefined) this.#generation += 1;
    };
  }

  /** The retained messages for a new subscription, each at the lower QoS [MQTT5-3.8.4-8]. */
  sendRetained(subscription: Subscription): void {
    const { session, qos, subscriptionIdentifier } = subscription;
    const found: Publication[] = [];
    this.retained.match(subscription.matched, this.nowMs, found);
    if (isSys(subscription.matched)) this.#options.sys?.match(subscription.matched, this.nowMs, found);
    const identifiers = subscriptionIdentifier === undefined ? undefined : [subscriptionIdentifier];
    const { mayReceive } = this.#options;
    for (const publication of found) {
      if (mayReceive !== undefined && !mayReceive(session, publication.topic)) continue;
      const sent = lower(publication.qos, qos);
      const delivery =
        identifiers === undefined
          ? publication.delivery(sent, true)
          : new Delivery(publication, sent, true, identifiers, undefined);
      session.deliverRetained(delivery, this.nowMs);
    }
  }

  /** What a client or a Will publishes. A refused QoS 0 message still reaches whoever is here, and its loss is told. */
  accept(publication: Publication, topic: Topic, from: Session | undefined): Outcome {
    const { storage } = this.#options;
    let outcome: Outcome = 'done';
    // The disk has failed for so long that nothing more can wait for it.
    if (publication.qos > 0 && !this.#mayKeep(topic)) return 'refused';
    let keep = publication.retain && this.#options.isCommand?.(publication.topic) !== true;
    if (keep && !this.#fits(publication)) {
      if (publication.qos > 0) return 'refused';
      keep = false;
    }
    if (storage !== undefined) {
      const routing = this.#options.routing?.(publication.topic, 'message', undefined);
      if (routing !== undefined && (routing.record || routing.routes.length > 0)) {
        const content: Content = { kind: 'message', message: publication.message };
        const nowMs = this.#options.clock.wallMs();
        if (storage.append(content, routing.routes, nowMs, publication.qos > 0)) {
          outcome = 'afterCommit';
        } else {
          if (publication.qos > 0) return 'refused';
          this.#lose(publication.topic, nowMs);
        }
      }
      if (keep) {
        storage.putRetained(publication.message, this.#options.wallTime.instant());
        outcome = 'afterCommit';
      }
    }
    if (keep) this.retained.set(publication, this.nowMs);
    return this.deliver(publication, topic, from) ? 'afterCommit' : outcome;
  }

  /** The publish door's half: readings, status, what a bridge brought. Subscribers get it even if the journal refuses. */
  acceptContent(content: Content, origin: string | undefined, urgent: boolean): Outcome {
    const { topic: name, qos, retain: wanted } = content.kind === 'message' ? content.message : content.set;
    const retain = wanted && this.#options.isCommand?.(name) !== true;
    const topic = this.topic(name);
    if (topic === undefined) {
      this.#options.counters.messagesDropped += 1;
      this.#options.log.warn({ topic: name }, 'A message with an invalid topic name was not published');
      return 'refused';
    }
    const { storage } = this.#options;
    let outcome: Outcome = 'done';
    // A bridge offers it again; a reading goes to those who are here.
    if (origin !== undefined && qos > 0 && !this.#mayKeep(topic)) return 'refused';
    if (storage !== undefined) {
      const routing = this.#options.routing?.(name, content.kind, origin);
      if (routing !== undefined && (routing.record || routing.routes.length > 0)) {
        const taken = storage.append(content, routing.routes, this.#options.clock.wallMs(), urgent);
        outcome = taken ? 'afterCommit' : 'refused';
      }
    }
    if (topic.generation !== this.#generation) this.#resolve(topic);
    if (!retain && topic.only === undefined && topic.audience === NOBODY) return outcome;
    const message: Message =
      content.kind === 'message'
        ? content.message
        : { topic: name, payload: this.#options.encode(content.set), qos, retain };
    const publication = Publication.of(message, this.nowMs);
    if (retain) {
      if (this.#fits(publication)) {
        this.retained.set(publication, this.nowMs);
        storage?.putRetained(message, this.#options.wallTime.instant());
        if (storage !== undefined && outcome === 'done') outcome = 'afterCommit';
      } else {
        outcome = 'refused';
      }
    }
    const kept = this.deliver(publication, topic, undefined);
    return kept && outcome === 'done' ? 'afterCommit' : outcome;
  }

  /** True: kept sessions have it, once it is committed. */
  deliver(publication: Publication, topic: Topic, from: Session | undefined): boolean {
    if (topic.generation !== this.#generation) this.#resolve(topic);
    if (topic.only !== undefined) {
      this.#deliverTo(topic.only, publication, from);
      return this.#keep(publication);
    }
    const { targets, groups, locals } = topic.audience;
    for (let at = 0; at < targets.length; at += 1) this.#deliverTo(targets[at]!, publication, from);
    for (let at = 0; at < groups.length; at += 1) this.#deliverToGroup(publication, groups[at]!);
    const kept = this.#keep(publication);
    if (locals.length === 0) return kept;
    const { message } = publication;
    for (let at = 0; at < locals.length; at += 1) locals[at]!(message);
    return kept;
  }

  /** What an ended session leaves goes to other members of the groups that chose it. */
  handOn(left: readonly Delivery[]): void {
    for (const { publication, group } of left) {
      if (group === undefined || publication.expiresAtMs <= this.nowMs) continue;
      this.#deliverToGroup(publication, group);
      this.#keep(publication);
    }
  }

  #deliverTo(whom: Target, publication: Publication, from: Session | undefined): void {
    let target = whom;
    if (target.session === from) {
      if (target.ofItsOwn === null) return;
      target = target.ofItsOwn;
    }
    const qos = lower(publication.qos, target.qos);
    const retain = publication.retain && target.retainAsPublished;
    const { subscriptionIdentifiers } = target;
    const delivery =
      subscriptionIdentifiers === undefined
        ? publication.delivery(qos, retain)
        : new Delivery(publication, qos, retain, subscriptionIdentifiers, undefined);
    const { session } = target;
    if (qos > 0 && session.kept !== undefined) this.#recipients.push({ session, delivery });
    else session.deliver(delivery, this.nowMs);
  }

  /** The group of a shared subscription that somebody has. */
  group(topicFilter: string): SharedGroup | undefined {
    const shared = parseSharedFilter(topicFilter);
    return shared === undefined ? undefined : this.#groups.get(shared.topicFilter, topicFilter);
  }

  #keep(publication: Publication): boolean {
    const recipients = this.#recipients;
    if (recipients.length === 0) return false;
    this.#recipients = [];
    return this.#options.keeper?.keep(publication, recipients) ?? false;
  }

  #mayKeep(topic: Topic): boolean {
    const { keeper } = this.#options;
    if (keeper === undefined || keeper.accepting) return true;
    if (topic.generation !== this.#generation) this.#resolve(topic);
    if (topic.only !== undefined) return topic.only.qos === 0 || topic.only.session.kept === undefined;
    const { targets, groups } = topic.audience;
    return (
      groups.length === 0 && targets.every(({ session, qos }) => qos === 0 || session.kept === undefined)
    );
  }

  #deliverToGroup(publication: Publication, group: SharedGroup): void {
    const { mayReceive } = this.#options;
    const member = group.choose(publication.qos, publication.topic, mayReceive);
    if (member === undefined) {
      if (group.size > 0) this.#options.counters.messagesDropped += 1;
      return;
    }
    const qos = lower(publication.qos, member.qos); // [MQTT5-4.8.2-3]
    const { subscriptionIdentifier: identifier } = member;
    const identifiers = identifier === undefined ? undefined : [identifier];
    const retain = publication.retain && member.retainAsPublished;
    const { session } = member;
    const delivery = new Delivery(publication, qos, retain, identifiers, group);
    if (qos > 0 && session.kept !== undefined) this.#recipients.push({ session, delivery });
    else session.deliver(delivery, this.nowMs);
  }

  #resolve(topic: Topic): void {
    const { name } = topic;
    const subscriptions: Subscription[] = [];
    const groups: SharedGroup[] = [];
    const locals: LocalSubscriber[] = [];
    this.#sessions.match(name, subscriptions);
    if (this.#groups.size > 0) this.#groups.match(name, groups);
    if (this.#locals.size > 0) this.#locals.match(name, locals);
    const { mayReceive } = this.#options;
    // Asked here, once per topic and change, an ACL costs a delivery nothing.
    const allowed =
      mayReceive === undefined
        ? subscriptions
        : subscriptions.filter(({ session }) => mayReceive(session, name));
    const others = groups.length + locals.length;
    topic.only = allowed.length === 1 && others === 0 ? targetOf(allowed[0]!) : undefined;
    topic.audience =
      topic.only !== undefined || allowed.length + others === 0
        ? NOBODY
        : audienceOf(allowed, groups, locals);
    topic.generation = this.#generation;
    this.#resolved.note(topic);
  }

  #fits(publication: Publication): boolean {
    if (this.retained.fits(publication, this.nowMs)) return true;
    this.#options.counters.messagesDropped += 1;
    this.#options.retainedFull(publication.topic);
    return false;
  }

  #lose(topic: string, atMs: number): void {
    const { storage } = this.#options;
    storage?.lose({ lost: 1, reason: 'full', bridge: null, from: atMs, to: atMs, topics: [topic] });
  }
}

/** What a filter matches and whether it is shared; undefined: not a filter. In 3.1.1 `$share/` means nothing special. */
export function readFilter(
  topicFilter: string,
  version: 4 | 5,
): { readonly matched: string; readonly shared: boolean } | undefined {
  if (!validTopicFilter(topicFilter, version) || levels(topicFilter) > TOPIC_LEVELS_MAX) return undefined;
  const share = version === 5 ? parseSharedFilter(topicFilter) : undefined;
  return share === undefined
    ? { matched: topicFilter, shared: false }
    : { matched: share.topicFilter, shared: true };
}

/** [MQTT311-3.8.4-6] [MQTT5-3.8.4-8] */
function lower(published: QoS, granted: QoS): QoS {
  return Math.min(published, granted) as QoS;
}
