/**
 * Two lists, and what must hold between them: what the gateway took into its journal, in the order of its offsets,
 * and what arrived at the servers. What a publisher was told is held against the first, the ledger against both.
 */

import { topicUpstream } from '../../src/bridge/forward.js';
import type { Content } from '../../src/core/record.js';
import type { Route } from '../../src/core/route.js';
import { encodePayload } from '../../src/mapping/payload.js';
import type { Publisher } from './publisher.js';
import type { Arrival } from './upstream.js';

export interface Taken {
  readonly offset: number;
  readonly content: Content;
  readonly text: string;
  readonly routes: readonly Route[];
  readonly atMs: number;
}

/** What one bridge's ledger and snapshot say at the end. */
export interface BridgeEnd {
  readonly name: string;
  readonly produced: number;
  readonly delivered: number;
  readonly lost: number;
  readonly waiting: number;
  readonly inFlight: number;
  /** Whether it speaks MQTT 5.0, so that identities come along. */
  readonly tells: boolean;
  readonly servers: readonly string[];
}

export interface Verdicts {
  readonly gatewayId: string;
  readonly journalId: string;
  readonly bridges: readonly BridgeEnd[];
  readonly publishers: readonly Publisher[];
  readonly arrivals: readonly Arrival[];
  readonly overQuota: ReadonlySet<string>;
}

export class Oracle {
  /** By offset; some at the end may not be durable yet. */
  #taken: Taken[] = [];
  #next = 1;

  get count(): number {
    return this.#taken.length;
  }

  /** A journal was opened: what was given but is not in it never was. */
  opened(head: number): string | undefined {
    if (head > this.#taken.length) return `the journal has ${head} Records, ${this.#taken.length} were given`;
    this.#taken.length = head;
    this.#next = head + 1;
    return undefined;
  }

  took(content: Content, routes: readonly Route[], atMs: number): void {
    this.#taken.push({ offset: this.#next, content, text: textOf(content), routes, atMs });
    this.#next += 1;
  }

  routed(bridge: string): number {
    return this.#taken.filter(({ routes }) => routes.some((route) => route.bridge === bridge)).length;
  }

  judge(end: Verdicts): string[] {
    return [
      ...this.#accepted(end),
      ...end.bridges.flatMap((bridge) => this.#bridge(bridge, end)),
      ...end.publishers.flatMap(({ broken }) => broken),
    ];
  }

  /** What a publisher was told is in the journal, at QoS 2 once. */
  #accepted({ publishers }: Verdicts): string[] {
    const wrong: string[] = [];
    const count = new Map<string, number>();
    for (const { text, content } of this.#taken) {
      if (content.kind === 'message') count.set(text, (count.get(text) ?? 0) + 1);
    }
    for (const { made } of publishers) {
      for (const { text, topic, qos, accepted, anew } of made) {
        const times = count.get(text) ?? 0;
        const name = `${short(text)} on ${topic} at QoS ${qos}`;
        if (accepted && times === 0)
          wrong.push(`MISSING: ${name} was acknowledged and is not in the journal`);
        if (qos === 2 && times > 1 && !anew) wrong.push(`TWICE: ${name} is ${times} times in the journal`);
      }
    }
    return wrong;
  }

  #bridge(bridge: BridgeEnd, end: Verdicts): string[] {
    const wrong: string[] = [];
    const mine = new Map<number, { taken: Taken; route: Route }>();
    const byContent = new Map<string, number[]>();
    for (const taken of this.#taken) {
      const route = taken.routes.find((one) => one.bridge === bridge.name);
      if (route === undefined) continue;
      mine.set(taken.offset, { taken, route });
      const key = `${topicOf(route, taken.content)} ${taken.text}`;
      byContent.set(key, [...(byContent.get(key) ?? []), taken.offset]);
    }
    const arrivals = end.arrivals.filter(
      ({ server, topic }) => bridge.servers.includes(server) && topic !== `godwit/${end.gatewayId}/status`,
    );
    const first = new Set<number>();
    const seen = new Map<string, { times: number; readonly doubts: number }>();
    const newest = new Map<string, number>();
    for (const arrival of arrivals) {
      const text = Buffer.from(arrival.payload).toString();
      const name = `${short(text)} on ${arrival.topic} at ${arrival.server}`;
      const offsets = byContent.get(`${arrival.topic} ${text}`) ?? [];
      const seq = bridge.tells ? Number(arrival.identity.get('seq')) : offsets.find((one) => !first.has(one));
      const offset = seq ?? offsets.at(-1);
      if (offset === undefined || !offsets.includes(offset)) {
        wrong.push(`STRANGE: ${name}, seq ${offset}, is not what the journal has under it (${offsets})`);
        continue;
      }
      if (bridge.tells) {
        const { identity } = arrival;
        if (identity.get('gw') !== end.gatewayId || identity.get('j') !== end.journalId) {
          wrong.push(`STRANGE: ${name} has another gateway or journal: ${[...identity]}`);
        }
      }
      const replay = arrival.identity.get('replay');
      const session = `${arrival.server} ${arrival.clientId} ${arrival.session} ${offset} ${replay}`;
      const before = seen.get(session) ?? { times: 0, doubts: arrival.doubts };
      before.times += 1;
      seen.set(session, before);
      const { times } = before;
      // 3.1.1 has no way to ask whether a session is the one before, once a CONNECT was not answered.
      const inDoubt = !bridge.tells && arrival.doubts > before.doubts;
      const isUnique = bridge.tells || offsets.length === 1;
      if (arrival.qos === 2 && times > 1 && isUnique && !inDoubt) {
        wrong.push(
          `TWICE: ${name}, seq ${offset}, came ${times} times at QoS 2 in session ${arrival.session}`,
        );
      }
      if (replay !== undefined) {
        if (arrival.retain) wrong.push(`RETAIN: ${name} is replayed with RETAIN set`);
        continue;
      }
      const route = mine.get(offset)?.route;
      const topic = `${arrival.server} ${arrival.topic}`;
      const latest = newest.get(topic) ?? 0;
      if (times === 1 && !first.has(offset) && route?.lane !== 'history' && isUnique) {
        if (offset < latest && !end.overQuota.has(arrival.topic)) {
          wrong.push(`ORDER: ${name}, seq ${offset}, came after seq ${latest} of its topic`);
        }
        newest.set(topic, Math.max(latest, offset));
      }
      first.add(offset);
    }
    const missing = [...mine].filter(([offset, { route }]) => route.qos > 0 && !first.has(offset));
    if (missing.length > bridge.lost) {
      const names = missing
        .slice(0, 3)
        .map(
          ([offset, { taken, route }]) =>
            `seq ${offset} ${short(taken.text)} on ${topicOf(route, taken.content)}`,
        );
      wrong.push(
        `MISSING: ${missing.length} of ${mine.size}, ${bridge.lost} told as lost: ${names.join('; ')}`,
      );
    }
    if (bridge.produced !== mine.size) {
      wrong.push(`LEDGER: ${bridge.name} has produced ${bridge.produced}, the journal took ${mine.size}`);
    }
    if (bridge.delivered + bridge.lost !== bridge.produced || bridge.inFlight + bridge.waiting !== 0) {
      const { name, produced, delivered, lost, inFlight, waiting } = bridge;
      wrong.push(
        `LAG: ${name} has produced ${produced}, delivered ${delivered}, lost ${lost}, in flight ${inFlight}, waiting ${waiting}`,
      );
    }
    return wrong;
  }
}

function topicOf(route: Route, content: Content): string {
  return topicUpstream(route, content.kind === 'message' ? content.message.topic : content.set.topic);
}

/** latin1 would do for our own; a device's status is JSON. */
function textOf(content: Content): string {
  return Buffer.from(
    content.kind === 'message' ? content.message.payload : encodePayload(content.set),
  ).toString();
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
