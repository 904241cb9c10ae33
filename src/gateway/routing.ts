/**
 * Which bridges carry a topic, and whether the journal keeps it even where none does. Asked once per topic: the
 * answer is remembered until the rules change.
 */

import type { JournalConfig } from '../config/schema.js';
import type { Record } from '../core/record.js';
import type { Route } from '../core/route.js';
import { matches } from '../mqtt/topic.js';

export interface Routing {
  readonly routes: readonly number[];
  readonly record: boolean;
}

export interface RoutingRule {
  readonly bridge: string;
  readonly routeFor: (topic: string) => Route | undefined;
}

/** A hostile client invents topics; past this many the memory is emptied and filled again. */
const TOPICS_MAX = 20_000;

export class RoutingTable {
  readonly #record: JournalConfig['record'];
  readonly #routeId: (route: Route) => number;
  #rules: readonly RoutingRule[] = [];
  #known = new Map<string, readonly { readonly bridge: string; readonly routeId: number }[]>();
  #answers = { message: new Map<string, Routing>(), samples: new Map<string, Routing>() };

  constructor(record: JournalConfig['record'], routeId: (route: Route) => number) {
    this.#record = record;
    this.#routeId = routeId;
  }

  /** Replaces the rules: of a new configuration, or at the start. */
  use(rules: readonly RoutingRule[]): void {
    this.#rules = rules;
    this.#forget();
  }

  /** @param origin the bridge that brought the message: it never goes back over the same one. */
  readonly of = (topic: string, kind: Record['content']['kind'], origin: string | undefined): Routing => {
    if (origin !== undefined) {
      const others = this.#routes(topic).filter((route) => route.bridge !== origin);
      return { routes: others.map((route) => route.routeId), record: this.#isRecorded(topic, kind) };
    }
    let answer = this.#answers[kind].get(topic);
    if (answer === undefined) {
      answer = {
        routes: this.#routes(topic).map((route) => route.routeId),
        record: this.#isRecorded(topic, kind),
      };
      this.#answers[kind].set(topic, answer);
    }
    return answer;
  };

  #routes(topic: string): readonly { readonly bridge: string; readonly routeId: number }[] {
    let routes = this.#known.get(topic);
    if (routes === undefined) {
      if (this.#known.size >= TOPICS_MAX) this.#forget();
      routes = this.#rules.flatMap(({ bridge, routeFor }) => {
        const route = routeFor(topic);
        return route === undefined ? [] : [{ bridge, routeId: this.#routeId(route) }];
      });
      this.#known.set(topic, routes);
    }
    return routes;
  }

  #isRecorded(topic: string, kind: Record['content']['kind']): boolean {
    if (this.#record === 'readings') return kind === 'samples';
    if (this.#record === 'none') return false;
    return this.#record.some((filter) => matches(filter, topic));
  }

  #forget(): void {
    this.#known = new Map();
    this.#answers = { message: new Map(), samples: new Map() };
  }
}
