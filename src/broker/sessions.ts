/**
 * All sessions by Client Identifier: found or made at CONNECT, left when their connection ends, ended when their time is
 * up. Their Wills with them:
 *
 *   connected ──connection lost──▶ away ──Will Delay──▶ Will published
 *       │                           │ └──Session Expiry──▶ ended (Will published if it still waits)
 *       └──DISCONNECT 0x00: Will discarded   └──back with Clean Start 0: Will discarded, session resumed
 *
 * Back with Clean Start 1 ends the old session, so its Will is published: [MQTT5-3.1.3-9] spares only a connection to
 * the same session. Pure but for the time it is told.
 */
import { Deadlines } from './deadlines.js';
import { type Delivery, Publication } from './publication.js';
import { type Dropped, Session, type SessionLimits } from './session.js';

export interface SessionsOptions {
  readonly limits: SessionLimits;
  /** Kept sessions, connected or away. */
  readonly sessionsMax: number;
  readonly publishWill: (will: Publication, session: Session) => void;
  /** The session is over: its subscriptions go, and what others may still have is handed on. */
  readonly ended: (session: Session, left: readonly Delivery[]) => void;
  readonly dropped: (session: Session, why: Dropped) => void;
}

export interface Opened {
  readonly session: Session;
  readonly sessionPresent: boolean;
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #byClientId = new Map<string, Session>();
  readonly #wills = new Deadlines<Session>();
  readonly #ends = new Deadlines<Session>();
  #expired = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byClientId.size;
  }

  /** Sessions whose time was up. */
  get expired(): number {
    return this.#expired;
  }

  get(clientId: string): Session | undefined {
    return this.#byClientId.get(clientId);
  }

  all(): IterableIterator<Session> {
    return this.#byClientId.values();
  }

  /** When `tick` wants to be called; Infinity: not until something changes. */
  get deadlineMs(): number {
    return Math.min(this.#wills.nextMs, this.#ends.nextMs);
  }

  /**
   * Finds or makes the session of a Client Identifier. A connection that holds it has been closed by `leave` before.
   * Undefined: there are too many.
   */
  open(clientId: string, cleanStart: boolean, nowMs: number): Opened | undefined {
    let session = this.#byClientId.get(clientId);
    if (session !== undefined && (cleanStart || session.expiryIntervalSeconds === 0)) {
      this.#end(session, nowMs);
      session = undefined;
    }
    if (session !== undefined) {
      this.#wills.delete(session);
      this.#ends.delete(session);
      session.will = undefined;
      return { session, sessionPresent: true };
    }
    if (this.#byClientId.size >= this.#options.sessionsMax) return undefined;
    session = this.make(clientId);
    this.#byClientId.set(clientId, session);
    return { session, sessionPresent: false };
  }

  /** One that is not among them yet. */
  make(clientId: string): Session {
    return new Session(clientId, this.#options.limits, this.#options.dropped);
  }

  /** One that was kept over a restart, left at `leftMs` of the monotonic clock. */
  restore(session: Session, leftMs: number): void {
    this.#byClientId.set(session.clientId, session);
    this.#ends.set(session, leftMs + session.expiryIntervalSeconds * 1000);
    if (session.will !== undefined) this.#wills.set(session, leftMs + session.will.delaySeconds * 1000);
  }

  /** The session's connection has ended. `discardWill`: it said DISCONNECT 0x00 [MQTT5-3.14.4-3]. */
  leave(session: Session, discardWill: boolean, nowMs: number): void {
    session.leave();
    if (discardWill) session.will = undefined;
    const expirySeconds = session.expiryIntervalSeconds;
    if (expirySeconds === 0) {
      this.#end(session, nowMs);
      return;
    }
    this.#ends.set(session, nowMs + expirySeconds * 1000);
    const delaySeconds = session.will?.delaySeconds ?? 0;
    if (delaySeconds === 0) this.#publishWill(session, nowMs);
    else this.#wills.set(session, nowMs + delaySeconds * 1000);
  }

  /** Publishes the Wills and ends the sessions whose time has come. */
  tick(nowMs: number): void {
    for (let due = this.#wills.shiftDue(nowMs); due !== undefined; due = this.#wills.shiftDue(nowMs)) {
      this.#publishWill(due, nowMs);
    }
    for (let due = this.#ends.shiftDue(nowMs); due !== undefined; due = this.#ends.shiftDue(nowMs)) {
      this.#expired += 1;
      this.#end(due, nowMs);
    }
  }

  /** [MQTT5-3.1.2-8]: a Will goes out at the end of its session at the latest, and never twice [MQTT5-3.1.2-10]. */
  #end(session: Session, nowMs: number): void {
    this.#byClientId.delete(session.clientId);
    this.#wills.delete(session);
    this.#ends.delete(session);
    this.#publishWill(session, nowMs);
    this.#options.ended(session, session.end());
  }

  #publishWill(session: Session, nowMs: number): void {
    const { will } = session;
    if (will === undefined) return;
    session.will = undefined;
    // Its Message Expiry counts from publication.
    this.#options.publishWill(Publication.of(will.message, nowMs), session);
  }
}
