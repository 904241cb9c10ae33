/**
 * The main thread's side of the journal: what Storage promises, on top of a Transport that reaches the database.
 *
 *   given ──▶ forming ──turn over, someone waits──▶ sealed ──▶ committing ──ok──▶ callbacks, listeners
 *                                                                  └──failed──▶ again after 0.25, 0.5, … 5 s
 *
 * While one batch commits the next one forms, and is as large as the disk was slow: group commit by itself. What
 * is asked for at start (routes, dictionary, ledger, pairs) is held here and written through.
 */
import type { Clock, Timer } from '../core/clock.js';
import { GodwitError, invariant } from '../core/error.js';
import type { KeyValueDoor } from '../core/key-value.js';
import type { Log } from '../core/log.js';
import type { Content } from '../core/record.js';
import type { Lane, Route } from '../core/route.js';
import type { JournalSnapshot } from '../core/snapshot.js';
import { type Account, accountsOf } from './account.js';
import { AgeClock } from './age-clock.js';
import type { Batch } from './batch.js';
import { Dictionary } from './dictionary.js';
import { DiskState, RETRY_DELAY_MS_MAX } from './disk-state.js';
import { FormingBatch } from './forming-batch.js';
import { Gathering } from './gathering.js';
import { type HistoryRange, type HistorySlice, historyOf } from './history.js';
import { LedgerBook } from './ledger-book.js';
import type { FrontLimits } from './limits.js';
import { PairBook } from './pair-book.js';
import { readChunkMessage, sliceOf } from './record-slice.js';
import type { Audit } from './recount.js';
import { RouteBook } from './route-book.js';
import { SessionFront } from './session-front.js';
import type { SessionStore } from './session-store.js';
import type {
  BridgeState,
  LaneNeeds,
  Ledger,
  Loss,
  LostTotal,
  RecordSlice,
  RetainedMessage,
  Storage,
  UntoldLoss,
} from './storage.js';
import type { CommitOutcome, InspectAnswer, InspectRequest, News, Opened, Transport } from './transport.js';

/** Waits shorter than what a timer can do are passed in turns of the event loop; they end by themselves after so many. */
const GATHER_TURNS_MAX = 64;

/** Rooms of committed batches, kept for the next ones. */
const ROOMS_KEPT = 3;
const ROOM_BYTES_MAX = 2 * 1024 * 1024;

/** A stop waits this long for the last commit; systemd gives the whole process ten seconds. */
const STOP_WAIT_MS_MAX = 5000;

type MessageContent = Content & { readonly kind: 'message' };

export interface FrontOptions {
  readonly path: string;
  readonly maxCommitDelayMs: number;
  readonly limits: FrontLimits;
  readonly log: Log;
  readonly clock: Clock;
  /** Whether the wall clock is known to be right; absent: it is. */
  readonly clockTrusted?: (() => boolean) | undefined;
  /** Calls back when the present synchronous turn is over. */
  readonly endOfTurn: (run: () => void) => void;
}

export class StorageFront implements Storage {
  readonly name = 'journal';
  readonly #options: FrontOptions;
  readonly #transport: Transport;
  readonly #ageClock = new AgeClock();
  readonly #ledger = new LedgerBook();
  readonly #routes = new RouteBook((bridge) => {
    const { produced, delivered, lost } = this.#ledger.of(bridge);
    return produced === delivered + lost;
  });
  readonly #pairs = new PairBook();
  readonly #bridges = new Map<string, BridgeState>();
  readonly #listeners = new Set<(head: number) => void>();
  readonly #rooms: ArrayBuffer[] = [];
  readonly #dictionary = new Dictionary((id, text) => this.#forming.texts.push([id, text]));
  readonly #sessions: SessionFront;
  readonly #disk: DiskState;
  readonly #gathering = new Gathering();
  #gatherTurns = 0;
  #gatherTimer: Timer | undefined;
  #gatherTurnDue = false;
  #forming = new FormingBatch(1);
  /** Full batches that wait for their turn; more than one only while the disk is slower than the door. */
  #sealed: { readonly formed: FormingBatch; readonly batch: Batch }[] = [];
  #committing: FormingBatch | undefined;
  /** Bytes of Records, and of messages for sessions, in all batches but the forming one. */
  #bytesWaiting = 0;
  #spoolBytesWaiting = 0;
  #flushDue = false;
  #delay: Timer | undefined;
  #retained: readonly Uint8Array[] = [];
  #journalId = '';
  #head = 0;
  #state: 'new' | 'open' | 'stopping' | 'closed' = 'new';
  #news: News | undefined;
  #losses: readonly Loss[] = [];
  readonly #toldNow = new Set<number>();
  #untold: readonly UntoldLoss[] = [];
  #lost: readonly LostTotal[] = [];
  #damage: JournalSnapshot['damage'] = [];
  #retry: Timer | undefined;
  #readFails = false;
  #commits = 0;
  #commitMs = 0;
  #bytesAppended = 0;
  #idle: (() => void) | undefined;

  constructor(options: FrontOptions, transport: Transport) {
    this.#options = options;
    this.#transport = transport;
    const { limits, log, clock, path } = options;
    this.#disk = new DiskState(path, log, clock);
    this.#sessions = new SessionFront({
      bytesMax: limits.sessionsBytesMax,
      bufferBytesMax: limits.spoolBufferBytesMax,
      forming: () => this.#forming,
      bytesWaiting: () => this.#spoolBytesWaiting,
      failing: () => this.#disk.failing,
      touch: (urgent) => {
        this.#forming.touched = true;
        this.#wake(urgent);
      },
      read: (request) => transport.readSpool(request),
      unread: (reason) => this.#unread(reason),
      log,
      clock,
      path,
    });
  }

  get sessions(): SessionStore {
    return this.#sessions;
  }

  async start(): Promise<void> {
    invariant(this.#state === 'new', 'a journal is started once');
    const opened = await this.#transport.open((news) => this.#hear(news));
    this.#load(opened);
    this.#state = 'open';
    for (const note of opened.notes)
      this.#options.log.warn({ path: this.#options.path, note }, 'Journal was repaired');
    this.#options.log.info(
      { path: this.#options.path, journalId: this.#journalId, head: this.#head, bytes: opened.news.bytes },
      'Journal is open',
    );
  }

  async stop(): Promise<void> {
    if (this.#state !== 'open') {
      this.#state = 'closed';
      return;
    }
    this.#state = 'stopping';
    this.#flush();
    await this.#drained();
    this.#cancelTimers();
    this.#state = 'closed';
    const unsaved = this.#committing !== undefined || this.#sealed.length > 0;
    await this.#transport.close();
    if (unsaved) {
      this.#options.log.error({ path: this.#options.path }, 'Journal closed before its last commit was done');
    }
  }

  get journalId(): string {
    invariant(this.#journalId !== '', 'journalId is known once the journal is open');
    return this.#journalId;
  }

  get head(): number {
    return this.#head;
  }

  routeId(route: Route): number {
    const { routes } = this.#forming;
    const before = routes.length;
    const id = this.#routes.id(route, this.#forming);
    if (routes.length > before) this.#touch();
    return id;
  }

  route(routeId: number): Route | undefined {
    return this.#routes.route(routeId);
  }

  append(content: Content, routes: readonly number[], acceptedAtMs: number, urgent: boolean): boolean {
    const { limits } = this.#options;
    const forming = this.#forming;
    if (this.#isFull() || forming.recordsBytes >= limits.turnBytesMax) return false;
    if (content.kind === 'message' && content.message.payload.length > limits.recordBytesMax) return false;
    let lanesLow = 0;
    let lanesHigh = 0;
    for (const id of routes) {
      const entry = this.#routes.entry(id);
      lanesLow |= entry.low;
      lanesHigh |= entry.high;
    }
    const before = forming.recordsBytes;
    forming.append(content, routes, acceptedAtMs, this.#dictionary, lanesLow, lanesHigh);
    this.#bytesAppended += forming.recordsBytes - before;
    for (const id of routes) this.#ledger.produced(this.#routes.entry(id).route.bridge, forming);
    this.#wake(urgent);
    return true;
  }

  afterCommit(then: (head: number) => void): void {
    this.#forming.callbacks.push(then);
    this.#forming.touched = true;
    this.#wake(true);
  }

  onCommitted(listener: (head: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async read(bridge: string, lane: Lane, from: number, bytesMax: number): Promise<RecordSlice> {
    const found = this.#routes.lane(bridge, lane);
    let next = Math.max(1, from);
    while (found !== undefined && next <= this.#head && this.#state !== 'closed') {
      found.reads += 1;
      const answer = await this.#transport.read({
        bit: found.bit,
        from: next,
        bytesMax: Math.min(bytesMax, this.#options.limits.readBytesMax),
        serial: found.reads,
      });
      if (answer.failed !== undefined) {
        await this.#unread(answer.failed);
        continue;
      }
      this.#readFails = false;
      const slice = sliceOf(answer, next, bytesMax, found.routes, this.#dictionary);
      if (slice.records.length > 0) return slice;
      // Nothing of this lane in what was scanned so far: on, in slices, so that commits get their turn.
      next = slice.next;
    }
    return { records: [], next: Math.max(next, this.#head + 1) };
  }

  /** A disk that cannot be read is asked again: what waits on it is not lost, only late. */
  #unread(reason: string): Promise<void> {
    const { clock, log, path } = this.#options;
    if (!this.#readFails) log.error({ path, reason }, 'Journal cannot be read; it is tried again');
    this.#readFails = true;
    return new Promise((resolve) => clock.at(clock.monotonicMs() + RETRY_DELAY_MS_MAX, resolve));
  }

  bridge(name: string): BridgeState | undefined {
    return this.#bridges.get(name);
  }

  saveBridge(
    name: string,
    state: Uint8Array,
    moved: { readonly delivered: number; readonly lost: number },
  ): void {
    const bytes = new Uint8Array(state);
    this.#bridges.set(name, { bytes });
    const entry = this.#forming.bridges.get(name);
    this.#forming.bridges.set(name, {
      state: bytes,
      delivered: (entry?.delivered ?? 0) + moved.delivered,
      lost: (entry?.lost ?? 0) + moved.lost,
    });
    this.#ledger.moved(name, moved);
    this.#touch();
  }

  ledger(bridge: string): Ledger {
    return this.#ledger.of(bridge);
  }

  /** All bridges that ever had something to deliver, those that left the configuration too. */
  get ledgerNames(): readonly string[] {
    return this.#ledger.names();
  }

  lose(loss: Loss): void {
    this.#forming.lose(loss);
    this.#touch();
  }

  untoldLosses(): readonly UntoldLoss[] {
    return this.#untold;
  }

  lossesTold(told: readonly UntoldLoss[]): void {
    for (const { id, lost } of told) this.#forming.lossesTold.push([id, lost]);
    const ids = new Set(told.map(({ id }) => id));
    this.#untold = this.#untold.filter(({ id }) => !ids.has(id));
    // What is on its way from the database may still name them.
    for (const id of ids) this.#toldNow.add(id);
    this.#forming.callbacks.push(() => {
      for (const id of ids) this.#toldNow.delete(id);
    });
    this.#touch();
  }

  keepFrom(
    bridge: string,
    lane: Lane,
    needs: Partial<LaneNeeds> & Pick<LaneNeeds, 'offset'>,
    idle = false,
  ): void {
    const found = this.#routes.lane(bridge, lane);
    if (found === undefined) return;
    // Travels with what is given in the same turn, never ahead of it, and hastens nothing.
    const letGo = idle ? found.reads : 0;
    this.#forming.floors.set(found.bit, { needs: { held: [], waiting: [], ...needs }, letGo });
  }

  async history(range: HistoryRange, from: number, bytesMax: number): Promise<HistorySlice> {
    const { fromMs, toMs } = range;
    const answer = await this.#inspect({ kind: 'history', request: { from, fromMs, toMs, bytesMax } });
    invariant(answer.kind === 'history', 'an answer is to its question');
    return historyOf(answer.answer, from, range, this.#dictionary);
  }

  /** What each bridge has, by the durable ledger alone: of those that left the configuration too. */
  async accounts(): Promise<ReadonlyMap<string, Account>> {
    const answer = await this.#inspect({ kind: 'waiting' });
    invariant(answer.kind === 'waiting', 'an answer is to its question');
    const names = this.#ledger.names();
    return accountsOf(
      names.map((bridge) => ({ bridge, ...this.#ledger.of(bridge) })),
      answer.bridges,
    );
  }

  /** Counts the journal anew, in slices between commits. One at a time: a second one begins it again. */
  async audit(): Promise<Audit> {
    for (let begin = true; ; begin = false) {
      const answer = await this.#inspect({ kind: 'audit', begin });
      invariant(answer.kind === 'audit', 'an answer is to its question');
      if (answer.audit !== undefined) return answer.audit;
    }
  }

  async #inspect(request: InspectRequest): Promise<InspectAnswer> {
    if (this.#state !== 'open') throw new GodwitError('JOURNAL_CLOSED', 'The journal is not open');
    const answer = await this.#transport.inspect(request);
    if (answer.kind !== 'failed') return answer;
    throw new GodwitError('JOURNAL_READ', `The journal cannot be read: ${answer.reason}`);
  }

  *retained(): Iterable<RetainedMessage> {
    const chunks = this.#retained;
    this.#retained = [];
    for (const chunk of chunks) yield readChunkMessage(chunk);
  }

  putRetained(message: MessageContent['message'], storedAtMs: number): void {
    this.#forming.retained.set(message.topic, message.payload.length === 0 ? null : { message, storedAtMs });
    this.#touch();
  }

  keyValue(part: string): KeyValueDoor {
    return this.#pairs.door(part, (key, value) => {
      const { pairs } = this.#forming;
      const changed = pairs.get(part) ?? new Map<string, Uint8Array | null>();
      pairs.set(part, changed.set(key, value));
      this.#touch();
    });
  }

  snapshot(): JournalSnapshot {
    const news = this.#news;
    const { failing } = this.#disk;
    const reason = this.#disk.reason ?? (this.#isFull() ? this.#whyFull() : undefined);
    return {
      state: failing ? 'failing' : this.#isFull() ? 'full' : 'ok',
      ...(reason !== undefined && { reason }),
      path: this.#options.path,
      bytes: news?.bytes ?? 0,
      records: news?.records ?? 0,
      oldest: news?.oldestMs ?? null,
      newest: news?.newestMs ?? null,
      commits: this.#commits,
      commitMs: this.#commitMs,
      bytesAppended: this.#bytesAppended,
      losses: this.#losses,
      lost: this.#lost,
      damage: this.#damage,
    };
  }

  /** Sends what has formed so far, without waiting for anything. */
  protected flushNow(): void {
    this.#flush();
  }

  /** Forgets what was not committed, as a crash would; nothing is called back. */
  protected forget(): void {
    this.#state = 'closed';
    this.#cancelTimers();
    this.#sealed = [];
    this.#committing = undefined;
    this.#forming = new FormingBatch(0);
  }

  #load(opened: Opened): void {
    this.#journalId = opened.journalId;
    this.#head = opened.head;
    for (const [id, text] of opened.texts) this.#dictionary.load(id, text);
    for (const [bit, bridge, lane] of opened.lanes) this.#routes.loadLane(bit, bridge, lane as Lane);
    for (const [id, json] of opened.routes) this.#routes.load(id, json);
    for (const [bridge, produced, delivered, lost] of opened.ledgers) {
      this.#ledger.load(bridge, { produced, delivered, lost });
    }
    for (const [name, bytes] of opened.bridges) this.#bridges.set(name, { bytes });
    for (const [part, key, value] of opened.pairs) this.#pairs.load(part, key, value);
    this.#retained = opened.retained;
    this.#sessions.opened(opened.sessions);
    this.#hear(opened.news);
  }

  #hear(news: News): void {
    this.#news = news;
    for (const [bridge, count] of news.evicted) this.#ledger.moved(bridge, { delivered: 0, lost: count });
    if (news.losses !== undefined) this.#losses = news.losses;
    if (news.untold !== undefined) this.#untold = news.untold.filter(({ id }) => !this.#toldNow.has(id));
    if (news.lost !== undefined) this.#lost = news.lost;
    if (news.damage !== undefined) this.#damage = news.damage;
  }

  #isFull(): boolean {
    const { bufferBytesMax } = this.#options.limits;
    return this.#news?.full === true || this.#bytesWaiting + this.#forming.recordsBytes >= bufferBytesMax;
  }

  #isLarge(): boolean {
    const { recordsBytes, spoolBytes } = this.#forming;
    return recordsBytes + spoolBytes >= this.#options.limits.commitBytesMax;
  }

  #whyFull(): string {
    return this.#news?.full === true
      ? 'journal.max_size is reached and nothing may be dropped'
      : 'the disk is slower than what arrives: its buffer is full';
  }

  #touch(): void {
    this.#forming.touched = true;
    this.#wake(false);
  }

  #wake(urgent: boolean): void {
    if (this.#state !== 'open') return;
    if (urgent || this.#isLarge()) {
      this.#forming.urgent = true;
      if (this.#flushDue) return;
      this.#flushDue = true;
      // What one turn gives belongs together: it is sent when the turn is over, not before.
      this.#options.endOfTurn(() => {
        this.#flushDue = false;
        if (this.#state === 'open') this.#turnOver();
      });
      return;
    }
    if (this.#delay !== undefined) return;
    const { clock, maxCommitDelayMs } = this.#options;
    this.#delay = clock.at(clock.monotonicMs() + maxCommitDelayMs, () => {
      this.#delay = undefined;
      this.#flush();
    });
  }

  #turnOver(): void {
    // While a batch is under way the next one keeps growing, up to what one commit should hold.
    if (this.#isLarge() || (this.#committing === undefined && this.#isGathered())) this.#flush();
  }

  /** Whether the forming batch goes now that the disk is free; if not, it is looked at again by itself. */
  #isGathered(): boolean {
    if (this.#state !== 'open' || !this.#forming.touched) return true;
    const { callbacks, recordsBytes, spoolBytes } = this.#forming;
    const { clock, endOfTurn } = this.#options;
    const nowMs = clock.monotonicMs();
    const waitMs = this.#gathering.waitMs(callbacks.length, recordsBytes + spoolBytes, nowMs);
    if (waitMs === 0 || this.#gatherTurns > GATHER_TURNS_MAX) return true;
    if (waitMs >= 1) {
      this.#gatherTimer ??= clock.at(nowMs + waitMs, () => {
        this.#gatherTimer = undefined;
        this.#lookAgain();
      });
    } else if (!this.#gatherTurnDue) {
      this.#gatherTurnDue = true;
      this.#gatherTurns += 1;
      endOfTurn(() => {
        this.#gatherTurnDue = false;
        this.#lookAgain();
      });
    }
    return false;
  }

  #lookAgain(): void {
    if (this.#state === 'open' && this.#committing === undefined && this.#forming.urgent) this.#turnOver();
  }

  #flush(): void {
    this.#delay?.cancel();
    this.#delay = undefined;
    if (this.#forming.touched) {
      // While one is at the disk, and nothing is over its size, there is no point in having more batches.
      if (this.#committing !== undefined && !this.#isLarge()) {
        this.#forming.urgent = true;
        return;
      }
      this.#seal();
    }
    this.#pump();
  }

  #seal(): void {
    this.#bytesWaiting += this.#forming.recordsBytes;
    this.#spoolBytesWaiting += this.#forming.spoolBytes;
    // Encoded now: what sessions say of themselves later belongs to a later batch, with what made it so.
    this.#sealed.push({ formed: this.#forming, batch: this.#forming.seal() });
    this.#forming = new FormingBatch(this.#forming.number + 1, this.#rooms.pop());
    this.#delay?.cancel();
    this.#delay = undefined;
  }

  #pump(): void {
    if (this.#committing !== undefined) return;
    if (this.#sealed.length === 0 && this.#forming.urgent) this.#seal();
    const next = this.#sealed.shift();
    if (next === undefined) return;
    this.#committing = next.formed;
    this.#send(next.batch);
  }

  #send(batch: Batch): void {
    const { clock } = this.#options;
    this.#disk.sent();
    const trusted = this.#options.clockTrusted?.() ?? true;
    const ageMs = this.#ageClock.now(clock.wallMs(), clock.monotonicMs(), trusted);
    const dated = ageMs === undefined ? batch : { ...batch, ageMs };
    this.#transport.commit(dated, clock.wallMs(), (outcome) => this.#done(outcome));
  }

  #done(outcome: CommitOutcome): void {
    const batch = this.#committing;
    if (batch === undefined) return;
    if (!outcome.ok) {
      this.#failed(outcome.code, outcome.reason, outcome.batch);
      return;
    }
    this.#committing = undefined;
    this.#bytesWaiting -= batch.recordsBytes;
    this.#spoolBytesWaiting -= batch.spoolBytes;
    this.#commits += 1;
    this.#commitMs = this.#disk.done();
    this.#gathering.committed(batch.callbacks.length, this.#commitMs, this.#options.clock.monotonicMs());
    this.#gatherTurns = 0;
    this.#keepRoom(outcome.batch.records);
    const moved = outcome.head !== this.#head;
    this.#head = outcome.head;
    this.#hear(outcome.news);
    // The disk first: what its callers do now goes into the batch after the next.
    this.#sessions.committedUpTo(batch.number);
    if (this.#sealed.length > 0 || this.#isGathered()) this.#pump();
    for (const then of batch.callbacks) then(outcome.head);
    this.#sessions.tell();
    if (moved) for (const listener of this.#listeners) listener(outcome.head);
    if (this.#committing === undefined) this.#idle?.();
  }

  #keepRoom(room: ArrayBuffer): void {
    if (room.byteLength <= ROOM_BYTES_MAX && this.#rooms.length < ROOMS_KEPT) this.#rooms.push(room);
  }

  #failed(code: string, reason: string, batch: Batch): void {
    if (this.#state === 'closed') return;
    this.#retry = this.#options.clock.at(this.#disk.failed(code, reason), () => this.#send(batch));
  }

  #cancelTimers(): void {
    this.#delay?.cancel();
    this.#retry?.cancel();
    this.#gatherTimer?.cancel();
    this.#disk.stop();
  }

  /** Resolves when nothing waits any more, or after the time a stop may take. */
  #drained(): Promise<void> {
    if (this.#committing === undefined || !this.#transport.alive) return Promise.resolve();
    const { clock } = this.#options;
    return new Promise((resolve) => {
      const timer = clock.at(clock.monotonicMs() + STOP_WAIT_MS_MAX, resolve);
      this.#idle = () => {
        if (this.#forming.touched || this.#sealed.length > 0) return this.#flush();
        timer.cancel();
        resolve();
      };
    });
  }
}
