/**
 * The members of one shared subscription, `$share/{name}/{filter}`: each message goes to one of them, in turn. A member
 * that can take it at once goes before one whose window is full, and any connected one before those that are away.
 */
import type { Session } from './session.js';
import type { Subscription } from './subscription.js';

export class SharedGroup {
  readonly topicFilter: string;
  #members: Subscription[] = [];
  #turn = 0;

  /** `topicFilter`: the whole of it, with `$share/{name}/`. */
  constructor(topicFilter: string) {
    this.topicFilter = topicFilter;
  }

  get size(): number {
    return this.#members.length;
  }

  /** Replaces the member's earlier subscription. */
  join(subscription: Subscription): void {
    const at = this.#members.findIndex((member) => member.session === subscription.session);
    if (at === -1) this.#members.push(subscription);
    else this.#members[at] = subscription;
  }

  leave(session: Subscription['session']): void {
    this.#members = this.#members.filter((member) => member.session !== session);
  }

  /** Undefined: nobody is there who may read the topic. */
  choose(
    qos: 0 | 1 | 2,
    topicName: string,
    mayReceive?: (session: Session, topicName: string) => boolean,
  ): Subscription | undefined {
    const members = this.#members;
    let connected: Subscription | undefined;
    let away: Subscription | undefined;
    for (let step = 0; step < members.length; step += 1) {
      const at = (this.#turn + step) % members.length;
      const member = members[at]!;
      if (mayReceive !== undefined && !mayReceive(member.session, topicName)) continue;
      const effectiveQoS = Math.min(qos, member.qos) as 0 | 1 | 2;
      if (member.session.ready(effectiveQoS)) {
        this.#turn = at + 1;
        return member;
      }
      if (member.session.link !== undefined) connected ??= member;
      else if (effectiveQoS > 0) away ??= member;
    }
    this.#turn = (this.#turn + 1) % Math.max(1, members.length);
    return connected ?? away;
  }
}
