/** The main thread's side of what sessions keep: gives offsets, counts what is open, hands everything to the batch that forms. */
import type { Clock } from '../core/clock.js';
import { invariant } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Message } from '../core/message.js';
import type { FormingBatch } from './forming-batch.js';
import { readChunkMessage } from './record-slice.js';
import type {
  Recipient,
  SavedExpiry,
  SavedSession,
  SavedSessions,
  SavedSubscription,
  SavedWill,
  SessionStore,
  SpoolEntry,
} from './session-store.js';
import { SpoolBook } from './spool-book.js';
import { visitIndex } from './spool-index.js';
import type { OpenedSessions } from './spool-table.js';
import type { SpoolAnswer, SpoolRequest } from './transport.js';

/** A session's row and what is remembered of it, subscriptions apart. */
const SESSION_BYTES = 1024;
const SUBSCRIPTION_BYTES = 256;
/** Entries of one read: its answer is bounded by bytes, its question by this. */
const READ_ENTRIES_MAX = 512;

export interface SessionFrontOptions {
  readonly bytesMax: number;
  readonly bufferBytesMax: number;
  readonly forming: () => FormingBatch;
  /** Spool bytes in all batches but the forming one. */
  readonly bytesWaiting: () => number;
  readonly failing: () => boolean;
  readonly touch: (urgent: boolean) => void;
  readonly read: (request: SpoolRequest) => Promise<SpoolAnswer>;
  /** Says why the disk could not be read, and waits before it is asked again. */
  readonly unread: (reason: string) => Promise<void>;
  readonly log: Log;
  readonly clock: Clock;
  readonly path: string;
}

export class SessionFront implements SessionStore {
  readonly #options: SessionFrontOptions;
  readonly #book = new SpoolBook();
  readonly #listeners = new Set<() => void>();
  /** What the rows of each session count for: its own, its subscriptions', its Will's. */
  readonly #rows = new Map<number, number>();
  readonly #wills = new Map<number, number>();
  #rowBytes = 0;
  #committed = 0;
  #nextNumber = 1;
  #opened: OpenedSessions | undefined;

  constructor(options: SessionFrontOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#book.bytes + this.#rowBytes;
  }

  get bytesMax(): number {
    return this.#options.bytesMax;
  }

  get forming(): number {
    return this.#options.forming().number;
  }

  get committed(): number {
    return this.#committed;
  }

  get failing(): boolean {
    return this.#options.failing();
  }

  get accepting(): boolean {
    const { bufferBytesMax, bytesWaiting, forming } = this.#options;
    return bytesWaiting() + forming().spoolBytes < bufferBytesMax;
  }

  load(): SavedSessions {
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened === undefined) return { sessions: [], spool: () => {} };
    return {
      sessions: savedSessions(opened),
      spool: (visit) => {
        const { spool } = opened;
        for (const [first, index] of spool) this.#loadChunk(first, bufferOf(index), visit);
      },
    };
  }

  newNumber(): number {
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    return number;
  }

  save(number: number, clientId: string, state: () => Uint8Array): void {
    const { sessions } = this.#options.forming();
    if (sessions.has(number)) return;
    sessions.set(number, { clientId, state });
    if (!this.#rows.has(number)) this.#count(number, sessionBytes(clientId));
    this.#options.touch(false);
  }

  remove(number: number): void {
    this.#options.forming().sessions.set(number, null);
    this.#rowBytes -= this.#rows.get(number) ?? 0;
    this.#rows.delete(number);
    this.#wills.delete(number);
    this.#options.touch(false);
  }

  putSubscription(
    number: number,
    topicFilter: string,
    subscription: SavedSubscription,
    isNew: boolean,
  ): void {
    this.#subscriptions(number).set(topicFilter, subscription);
    if (isNew) this.#count(number, subscriptionBytes(topicFilter));
    this.#options.touch(false);
  }

  removeSubscription(number: number, topicFilter: string): void {
    this.#subscriptions(number).set(topicFilter, null);
    this.#count(number, -subscriptionBytes(topicFilter));
    this.#options.touch(false);
  }

  putWill(number: number, will: SavedWill): void {
    this.#options.forming().wills.set(number, will);
    this.#countWill(number, will.message.payload.length + 2 * will.message.topic.length);
    this.#options.touch(false);
  }

  removeWill(number: number): void {
    this.#options.forming().wills.set(number, null);
    this.#countWill(number, 0);
    this.#options.touch(false);
  }

  append(
    message: Message,
    expiry: SavedExpiry | undefined,
    recipients: readonly Recipient[],
  ): SpoolEntry | undefined {
    invariant(recipients.length > 0, 'a spooled message has recipients');
    if (!this.accepting) return undefined;
    const forming = this.#options.forming();
    const { chunk, bytes } = forming.spool.append(message, expiry, recipients, () => this.#book.beginChunk());
    const entry = this.#book.append(chunk, bytes, forming.number, recipients.length);
    this.#options.touch(false);
    return entry;
  }

  settle(entry: SpoolEntry): void {
    const forming = this.#options.forming();
    this.#book.settle(entry, forming);
    if (forming.touched) this.#options.touch(false);
  }

  async read(entries: readonly SpoolEntry[], bytesMax: number): Promise<readonly (Message | null)[]> {
    const offsets = entries.slice(0, READ_ENTRIES_MAX).map((entry) => entry.offset);
    for (;;) {
      const answer = await this.#options.read({ offsets, bytesMax });
      if (answer.failed !== undefined) {
        await this.#options.unread(answer.failed);
        continue;
      }
      const messages: (Message | null)[] = [];
      const { bytes, spans } = answer;
      for (let at = 0; at < spans.length; at += 2) {
        const start = spans[at] as number;
        const end = spans[at + 1] as number;
        messages.push(end === 0 ? null : readChunkMessage(new Uint8Array(bytes, start, end - start)).message);
      }
      return messages;
    }
  }

  hasten(): void {
    this.#options.touch(true);
  }

  onCommitted(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What the database held. */
  opened(opened: OpenedSessions): void {
    this.#opened = opened;
    this.#book.startAfter(opened.spoolHead);
    for (const [number, clientId] of opened.rows) {
      this.#count(number, sessionBytes(clientId));
      this.#takenNumber(number);
    }
    for (const [number, topicFilter] of opened.subscriptions) {
      this.#count(number, subscriptionBytes(topicFilter));
    }
    for (const [number, message] of opened.wills) this.#countWill(number, message.length);
  }

  /** Batches up to this one are durable. */
  committedUpTo(batch: number): void {
    this.#committed = batch;
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #loadChunk(first: number, index: Buffer, visit: Parameters<SavedSessions['spool']>[0]): void {
    const chunk = this.#book.beginChunk(first);
    visitIndex(index, first, ({ offset, bytes, expiry, recipients, start, end }) => {
      const entry = this.#book.load(chunk, offset, bytes + end - start);
      for (const recipient of recipients) {
        // Sessions that are no more may still be named here.
        this.#takenNumber(recipient.number);
        if (visit(entry, recipient, expiry)) this.#book.opened(entry);
      }
    });
    const forming = this.#options.forming();
    this.#book.review(chunk, forming);
    if (forming.touched) this.#options.touch(false);
  }

  #subscriptions(number: number): Map<string, SavedSubscription | null> {
    const { subscriptions } = this.#options.forming();
    let changes = subscriptions.get(number);
    if (changes === undefined) {
      changes = new Map();
      subscriptions.set(number, changes);
    }
    return changes;
  }

  #count(number: number, bytes: number): void {
    this.#rows.set(number, (this.#rows.get(number) ?? 0) + bytes);
    this.#rowBytes += bytes;
  }

  #countWill(number: number, bytes: number): void {
    this.#count(number, bytes - (this.#wills.get(number) ?? 0));
    this.#wills.set(number, bytes);
  }

  #takenNumber(number: number): void {
    if (number >= this.#nextNumber) this.#nextNumber = number + 1;
  }
}

function savedSessions(opened: OpenedSessions): SavedSession[] {
  const subscriptions = new Map<number, [string, SavedSubscription][]>();
  for (const [number, topicFilter, options, identifier] of opened.subscriptions) {
    const one: [string, SavedSubscription] = [
      topicFilter,
      { options, subscriptionIdentifier: identifier ?? undefined },
    ];
    const others = subscriptions.get(number);
    if (others === undefined) subscriptions.set(number, [one]);
    else others.push(one);
  }
  const wills = new Map(
    opened.wills.map(([number, message, delaySeconds]) => [
      number,
      { message: readChunkMessage(message).message, delaySeconds },
    ]),
  );
  return opened.rows.map(([number, clientId, state]) => ({
    number,
    clientId,
    state,
    will: wills.get(number),
    subscriptions: subscriptions.get(number) ?? [],
  }));
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function sessionBytes(clientId: string): number {
  return SESSION_BYTES + 2 * clientId.length;
}

function subscriptionBytes(topicFilter: string): number {
  return SUBSCRIPTION_BYTES + 2 * topicFilter.length;
}
