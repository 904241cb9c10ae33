/**
 * How often one address may connect, and how often its logins may fail. Pure: time is an argument.
 *
 *   connects   a bucket that holds ten seconds' worth: a plant behind one router comes back at once after a power cut
 *   failures   a bucket that holds a minute's worth; when it is empty the address is blocked for 10 s, 20 s, 40 s, … 1 h
 *
 * The address of a machine's own loopback is never refused: what is wrong there is wrong on this machine. Of IPv6 the
 * first 64 bits count, which is what one subscriber has.
 */

export type Verdict = 'welcome' | 'too often' | 'blocked';

export interface GuardLimits {
  readonly connectsPerSecond: number;
  readonly failuresPerMinute: number;
}

/** A span in which an address is refused, told at its beginning and at its end. */
export interface Span {
  readonly address: string;
  readonly why: 'too often' | 'blocked';
  /** At the end only: how long it was and how many were refused. */
  readonly ended?: { readonly ms: number; readonly refused: number };
}

interface Entry {
  connects: number;
  connectsAtMs: number;
  failures: number;
  failuresAtMs: number;
  blocks: number;
  blockedUntilMs: number;
  span: { why: Span['why']; sinceMs: number; refused: number } | undefined;
}

const BURST_SECONDS = 10;
const MINUTE_MS = 60_000;
const BLOCK_MS_MIN = 10_000;
const BLOCK_MS_MAX = 3_600_000;
/** An hour of peace after the last block, and the next block is a short one again. */
const FORGIVEN_AFTER_MS = 3_600_000;
/** Some 200 bytes each. */
export const ADDRESSES_MAX = 4096;

export class AddressGuard {
  readonly #limits: GuardLimits;
  readonly #told: (span: Span) => void;
  /** The one heard of longest ago comes first. */
  readonly #entries = new Map<string, Entry>();

  constructor(limits: GuardLimits, told: (span: Span) => void) {
    this.#limits = limits;
    this.#told = told;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A CONNECT has come from there. */
  arrived(remoteAddress: string, nowMs: number): Verdict {
    const address = addressKey(remoteAddress);
    if (address === undefined) return 'welcome';
    const entry = this.#entry(address, nowMs);
    if (nowMs < entry.blockedUntilMs) return this.#refuse(address, entry, 'blocked', nowMs);
    const { connectsPerSecond } = this.#limits;
    const gained = ((nowMs - entry.connectsAtMs) / 1000) * connectsPerSecond;
    entry.connects = Math.min(connectsPerSecond * BURST_SECONDS, entry.connects + gained);
    entry.connectsAtMs = nowMs;
    if (entry.connects < 1) return this.#refuse(address, entry, 'too often', nowMs);
    entry.connects -= 1;
    this.#endSpan(address, entry, nowMs);
    return 'welcome';
  }

  /** A login from there has failed. */
  failed(remoteAddress: string, nowMs: number): void {
    const address = addressKey(remoteAddress);
    if (address === undefined) return;
    const entry = this.#entry(address, nowMs);
    const { failuresPerMinute } = this.#limits;
    const sinceMs = nowMs - entry.failuresAtMs;
    if (nowMs - Math.max(entry.failuresAtMs, entry.blockedUntilMs) >= FORGIVEN_AFTER_MS) entry.blocks = 0;
    entry.failures = Math.max(0, entry.failures - (sinceMs / MINUTE_MS) * failuresPerMinute) + 1;
    entry.failuresAtMs = nowMs;
    // Those that were under way when the block began say nothing new.
    if (entry.failures <= failuresPerMinute || nowMs < entry.blockedUntilMs) return;
    entry.failures = 0;
    entry.blockedUntilMs = nowMs + Math.min(BLOCK_MS_MAX, BLOCK_MS_MIN * 2 ** entry.blocks);
    entry.blocks += 1;
    this.#beginSpan(address, entry, 'blocked', nowMs);
  }

  #refuse(address: string, entry: Entry, why: Span['why'], nowMs: number): Verdict {
    this.#beginSpan(address, entry, why, nowMs);
    entry.span!.refused += 1;
    return why;
  }

  #beginSpan(address: string, entry: Entry, why: Span['why'], nowMs: number): void {
    if (entry.span?.why === why) return;
    this.#endSpan(address, entry, nowMs);
    entry.span = { why, sinceMs: nowMs, refused: 0 };
    this.#told({ address, why });
  }

  #endSpan(address: string, entry: Entry, nowMs: number): void {
    const { span } = entry;
    if (span === undefined) return;
    entry.span = undefined;
    this.#told({
      address,
      why: span.why,
      ended: { ms: nowMs - span.sinceMs, refused: span.refused },
    });
  }

  #entry(address: string, nowMs: number): Entry {
    let entry = this.#entries.get(address);
    if (entry === undefined) {
      this.#makeRoom(nowMs);
      entry = {
        connects: this.#limits.connectsPerSecond * BURST_SECONDS,
        connectsAtMs: nowMs,
        failures: 0,
        failuresAtMs: nowMs,
        blocks: 0,
        blockedUntilMs: 0,
        span: undefined,
      };
    } else {
      this.#entries.delete(address);
    }
    this.#entries.set(address, entry);
    return entry;
  }

  /** Somebody with very many addresses could wash a block away, but not fill the memory. */
  #makeRoom(nowMs: number): void {
    if (this.#entries.size < ADDRESSES_MAX) return;
    for (const [address, entry] of this.#entries) {
      this.#endSpan(address, entry, nowMs);
      this.#entries.delete(address);
      return;
    }
  }
}

/** What is counted as one; undefined: this machine itself. */
export function addressKey(remoteAddress: string): string | undefined {
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (address === '' || address === '::1' || address.startsWith('127.')) return undefined;
  if (!address.includes(':')) return address;
  const [before = '', after] = address.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const zeros = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  const groups = [...head, ...Array<string>(zeros).fill('0'), ...tail];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
