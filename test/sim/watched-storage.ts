/** The real journal, with a watch at its door; and the ways in which it can be broken on purpose. */
import type { Content } from '../../src/core/record.js';
import { type InlineOptions, InlineStorage } from '../../src/storage/inline-storage.js';
import type { Oracle } from './oracle.js';
import type { SimProcess } from './sim-process.js';

/** A gateway that is broken on purpose: the simulator must find it out. */
export type Mutation = 'early-acknowledgement' | 'stale-bridge-state' | 'forgotten-save' | 'wrong-ledger';

/** The real journal, whose door is watched: what it takes, the oracle writes down. */
export class WatchedStorage extends InlineStorage {
  readonly #oracle: Oracle;
  readonly #process: SimProcess;
  readonly #mutation: Mutation | undefined;
  readonly #saved = new Map<string, Uint8Array>();
  #saves = 0;

  constructor(options: InlineOptions, oracle: Oracle, process: SimProcess, mutation: Mutation | undefined) {
    super(options);
    this.#oracle = oracle;
    this.#process = process;
    this.#mutation = mutation;
  }

  override async start(): Promise<void> {
    await super.start();
    if (this.#process.isDead) return;
    const wrong = this.#oracle.opened(this.head);
    if (wrong !== undefined) throw new Error(wrong);
  }

  override append(
    content: Content,
    routes: readonly number[],
    acceptedAtMs: number,
    urgent: boolean,
  ): boolean {
    const taken = super.append(content, routes, acceptedAtMs, urgent);
    if (!taken || this.#process.isDead) return taken;
    const known = routes.map((id) => {
      const route = this.route(id);
      if (route === undefined) throw new Error(`route ${id} is not known`);
      return route;
    });
    this.#oracle.took(content, known, acceptedAtMs);
    return true;
  }

  override afterCommit(then: (head: number) => void): void {
    if (this.#mutation === 'early-acknowledgement') queueMicrotask(() => then(this.head));
    else super.afterCommit(then);
  }

  override saveBridge(name: string, state: Uint8Array, moved: { delivered: number; lost: number }): void {
    this.#saves += 1;
    const before = this.#saved.get(name);
    this.#saved.set(name, new Uint8Array(state));
    const isThis = this.#saves % 4 === 0;
    if (this.#mutation === 'stale-bridge-state' && before !== undefined && isThis) {
      super.saveBridge(name, before, moved);
    } else if (this.#mutation === 'wrong-ledger' && isThis) {
      super.saveBridge(name, state, { ...moved, delivered: moved.delivered + 1 });
    } else if (this.#mutation !== 'forgotten-save' || !isThis) {
      super.saveBridge(name, state, moved);
    }
  }
}
