/** Keep Alive on both sides: pure, time is an argument, all times monotonic ms. A limit of Infinity means never. */

/** The server's view: closed when nothing came for one and a half times Keep Alive [MQTT311-3.1.2-24] [MQTT5-3.1.2-22]. */
export class ServerKeepAlive {
  readonly #limitMs: number;
  #lastPacketAtMs: number;

  /** `keepAliveSeconds` 0 turns it off. */
  constructor(keepAliveSeconds: number, nowMs: number) {
    this.#limitMs = keepAliveSeconds === 0 ? Infinity : keepAliveSeconds * 1500;
    this.#lastPacketAtMs = nowMs;
  }

  received(nowMs: number): void {
    this.#lastPacketAtMs = nowMs;
  }

  /** The connection is dead at this time. */
  get deadlineMs(): number {
    return this.#lastPacketAtMs + this.#limitMs;
  }

  expired(nowMs: number): boolean {
    return nowMs >= this.deadlineMs;
  }
}

/** The client's view: PINGREQ when nothing was sent for Keep Alive, dead when PINGRESP does not come in time. */
export class ClientKeepAlive {
  readonly #intervalMs: number;
  readonly #pingrespLimitMs: number;
  #lastSentAtMs: number;
  #pingSentAtMs = Infinity;

  constructor(keepAliveSeconds: number, pingrespLimitMs: number, nowMs: number) {
    this.#intervalMs = keepAliveSeconds === 0 ? Infinity : keepAliveSeconds * 1000;
    this.#pingrespLimitMs = pingrespLimitMs;
    this.#lastSentAtMs = nowMs;
  }

  /** Any packet written, PINGREQ too. */
  sent(nowMs: number): void {
    this.#lastSentAtMs = nowMs;
  }

  pingreqSent(nowMs: number): void {
    this.#lastSentAtMs = nowMs;
    this.#pingSentAtMs = nowMs;
  }

  pingrespReceived(): void {
    this.#pingSentAtMs = Infinity;
  }

  /** When `due` should be asked next. */
  get deadlineMs(): number {
    return Math.min(this.#pingSentAtMs + this.#pingrespLimitMs, this.#pingDueAtMs);
  }

  due(nowMs: number): 'nothing' | 'ping' | 'dead' {
    if (nowMs >= this.#pingSentAtMs + this.#pingrespLimitMs) return 'dead';
    return nowMs >= this.#pingDueAtMs ? 'ping' : 'nothing';
  }

  /** One PINGREQ at a time: a second before PINGRESP would only hide that the first is late. */
  get #pingDueAtMs(): number {
    return this.#pingSentAtMs === Infinity ? this.#lastSentAtMs + this.#intervalMs : Infinity;
  }
}
