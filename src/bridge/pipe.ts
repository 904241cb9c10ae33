/**
 * How many bytes may be under way unacknowledged, so that the link stays full and no more than a second of it waits
 * in buffers: the window alone would put minutes of a slow link into the kernel's, where PUBREL, what has
 * priority high and PINGREQ queue behind it, and from where nothing comes back after a cut.
 *
 *   limit = delivery rate × (round trip without a queue + 1 s)
 *
 * Both are learnt from one PUBLISH at a time, the probe: the time until it is acknowledged, and how many bytes were
 * acknowledged meanwhile. An estimate that is too low grows by itself, since a second more is sent than it says.
 * No clock here, and no connection: each connection begins anew.
 */

/** Before anything is known: fills a satellite link of 256 kbit/s from the first round trip on. */
const FIRST_BYTES = 32 * 1024;
/** On the slowest link, too, one small message need not wait for the other. */
const LEAST_BYTES = 2 * 1024;
/** What may wait in buffers: bridges pauses of the server and of this machine, and is no time for an alarm to wait. */
const QUEUE_MS = 1000;
/** A rate is believed for one to two of these. */
const RATE_MS = 5000;
/** After this the round trip is measured again with less under way, since a queue would be taken for distance. */
const ROUND_TRIP_MS = 60_000;
/** Less than what the link holds, so that its queue runs empty. */
const EMPTYING = 0.75;
/** Time of a round trip is not less: rates on one machine would be infinite. */
const ROUND_TRIP_MS_LEAST = 0.1;

export class Pipe {
  #limit = FIRST_BYTES;
  #underWay = 0;
  #acknowledged = 0;
  /** By Packet Identifier. */
  readonly #bytes = new Uint32Array(0x10000);
  #probe: Probe | undefined;
  /** Bytes per ms; the best of this stretch of time and of the one before. */
  #rates = { now: 0, before: 0, sinceMs: 0 };
  #lastRate = 0;
  #roundTripMs = Infinity;
  #measuredAtMs = 0;
  #emptying = false;

  /** Whether another Record may leave. */
  get hasRoom(): boolean {
    return this.#underWay < this.#limit;
  }

  get limit(): number {
    return this.#limit;
  }

  /** A PUBLISH above QoS 0 has been written. */
  sent(packetIdentifier: number, bytes: number, nowMs: () => number): void {
    this.#underWay += bytes - (this.#bytes[packetIdentifier] as number);
    this.#bytes[packetIdentifier] = bytes;
    this.#probe ??= {
      packetIdentifier,
      sentAtMs: nowMs(),
      acknowledged: this.#acknowledged,
      ahead: this.#underWay,
    };
  }

  /** PUBACK or PUBREC: what was under this identifier has arrived. */
  acknowledged(packetIdentifier: number, nowMs: () => number): void {
    const bytes = this.#bytes[packetIdentifier] as number;
    if (bytes === 0) return;
    this.#bytes[packetIdentifier] = 0;
    this.#underWay -= bytes;
    this.#acknowledged += bytes;
    const probe = this.#probe;
    if (probe === undefined) return;
    if (probe.packetIdentifier === packetIdentifier) {
      this.#probe = undefined;
      this.#learn(probe, nowMs());
    } else if (this.#acknowledged - probe.acknowledged > 4 * probe.ahead + FIRST_BYTES) {
      // The server keeps this one for itself; another will tell.
      this.#probe = undefined;
    }
  }

  #learn({ acknowledged, ahead, sentAtMs }: Probe, nowMs: number): void {
    const tookMs = Math.max(ROUND_TRIP_MS_LEAST, nowMs - sentAtMs);
    const rate = (this.#acknowledged - acknowledged) / tookMs;
    this.#learnRoundTrip(tookMs, nowMs);
    this.#lastRate = rate;
    const rates = this.#rates;
    // A link that was not full says nothing about how much it takes, unless it is more than was known.
    const wasFull = ahead >= this.#limit / 2 && !this.#emptying;
    if (!wasFull && rate <= Math.max(rates.now, rates.before)) {
      this.#setLimit();
      return;
    }
    const ageMs = nowMs - rates.sinceMs;
    if (ageMs >= RATE_MS) {
      this.#rates = { now: rate, before: ageMs < 2 * RATE_MS ? rates.now : 0, sinceMs: nowMs };
    } else rates.now = Math.max(rates.now, rate);
    // The first says only how far it is: nothing was on its way before it.
    if (wasFull) this.#setLimit();
  }

  #learnRoundTrip(tookMs: number, nowMs: number): void {
    if (tookMs <= this.#roundTripMs || this.#emptying) {
      this.#roundTripMs = tookMs;
      this.#measuredAtMs = nowMs;
      this.#emptying = false;
    } else if (nowMs - this.#measuredAtMs >= ROUND_TRIP_MS) {
      this.#emptying = true;
    }
  }

  #setLimit(): void {
    const rate = Math.max(this.#rates.now, this.#rates.before);
    if (rate === 0) return;
    const held = this.#emptying
      ? Math.min(rate, this.#lastRate) * this.#roundTripMs * EMPTYING
      : rate * (this.#roundTripMs + QUEUE_MS);
    this.#limit = Math.max(LEAST_BYTES, held);
  }
}

interface Probe {
  readonly packetIdentifier: number;
  readonly sentAtMs: number;
  /** Bytes acknowledged before it was sent. */
  readonly acknowledged: number;
  /** Bytes under way with it. */
  readonly ahead: number;
}
