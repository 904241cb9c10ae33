import { describe, expect, test } from 'vitest';
import { Pipe } from '../../../src/bridge/pipe.js';

/** A link with a queue before it, one fake millisecond at a time; the server acknowledges at once. */
class SlowLink {
  readonly pipe = new Pipe();
  nowMs = 1000;
  bytesPerMs: number;
  oneWayMs: number;
  busyMs = 0;
  sentBytes = 0;
  /** The longest that a byte waited for the link. */
  waitedMsMax = 0;
  #freeAtMs = 0;
  #next = 1;
  #returning: { readonly packetIdentifier: number; readonly atMs: number }[] = [];
  #returned = 0;

  constructor(bytesPerMs: number, oneWayMs: number) {
    this.bytesPerMs = bytesPerMs;
    this.oneWayMs = oneWayMs;
  }

  /** Sends whatever it lets out for so long; returns the share of the time in which the link was busy. */
  run(ms: number, packetBytes = 200, offeredPerMs = Infinity): number {
    const endMs = this.nowMs + ms;
    this.busyMs = 0;
    this.waitedMsMax = 0;
    let offered = 0;
    for (; this.nowMs < endMs; this.nowMs += 1) {
      for (let next = this.#returning[this.#returned]; next !== undefined && next.atMs <= this.nowMs; ) {
        this.pipe.acknowledged(next.packetIdentifier, () => this.nowMs);
        this.#returned += 1;
        next = this.#returning[this.#returned];
      }
      offered += offeredPerMs;
      while (this.pipe.hasRoom && offered >= 1) {
        this.send(packetBytes);
        offered -= 1;
      }
      this.busyMs += Math.min(1, Math.max(0, this.#freeAtMs - this.nowMs));
    }
    return this.busyMs / ms;
  }

  send(bytes: number): void {
    const packetIdentifier = this.#next;
    this.#next = (this.#next % 65_535) + 1;
    this.pipe.sent(packetIdentifier, bytes, () => this.nowMs);
    this.sentBytes += bytes;
    this.waitedMsMax = Math.max(this.waitedMsMax, this.#freeAtMs - this.nowMs);
    this.#freeAtMs = Math.max(this.#freeAtMs, this.nowMs) + bytes / this.bytesPerMs;
    this.#returning.push({ packetIdentifier, atMs: this.#freeAtMs + 2 * this.oneWayMs });
  }
}

describe('what may be under way', () => {
  test('fills a link of 600 ms and 256 kbit/s, and puts little more than a second of it into buffers', () => {
    const link = new SlowLink(32, 300);
    link.run(5000);
    expect(link.run(30_000)).toBeGreaterThan(0.99);
    expect(link.waitedMsMax).toBeLessThan(1300);
  });

  test('stays so through hours: a queue is not taken for distance', () => {
    const link = new SlowLink(32, 300);
    link.run(3_600_000);
    expect(link.run(300_000)).toBeGreaterThan(0.99);
    expect(link.waitedMsMax).toBeLessThan(1300);
  });

  test('fills a fast link within some round trips', () => {
    const link = new SlowLink(10_000, 50);
    link.run(2000);
    expect(link.run(1000)).toBeGreaterThan(0.99);
  });

  test('fills a modem of 9,600 bit/s', () => {
    const link = new SlowLink(1.2, 200);
    // What is sent before anything is known takes half a minute of it.
    link.run(60_000);
    expect(link.run(60_000)).toBeGreaterThan(0.98);
    expect(link.waitedMsMax).toBeLessThan(3500);
  });

  test('follows a link that gets longer, wider or narrower', () => {
    const link = new SlowLink(32, 20);
    link.run(20_000);
    link.oneWayMs = 300;
    link.run(120_000);
    expect(link.run(30_000)).toBeGreaterThan(0.98);
    link.bytesPerMs = 1000;
    link.run(10_000);
    expect(link.run(10_000)).toBeGreaterThan(0.98);
    link.bytesPerMs = 8;
    // What the wide link held has to leave first.
    link.run(400_000);
    expect(link.run(30_000)).toBeGreaterThan(0.98);
    expect(link.waitedMsMax).toBeLessThan(2200);
  });

  test('is not forgotten while little is sent', () => {
    const link = new SlowLink(1000, 100);
    link.run(5000);
    const { limit } = link.pipe;
    link.run(600_000, 200, 0.01);
    expect(link.pipe.limit).toBeGreaterThan(limit / 2);
  });

  test('is always one packet at least, however large', () => {
    const link = new SlowLink(1.2, 200);
    link.run(300_000, 100_000);
    expect(link.sentBytes).toBeGreaterThan(300_000);
  });

  test('survives a message that the server never acknowledges', () => {
    const pipe = new Pipe();
    let nowMs = 0;
    pipe.sent(65_535, 100, () => nowMs);
    for (let n = 1; n < 20_000; n += 1) {
      const packetIdentifier = (n % 60_000) + 1;
      pipe.sent(packetIdentifier, 100, () => nowMs);
      nowMs += 0.01;
      pipe.acknowledged(packetIdentifier, () => nowMs);
    }
    expect(pipe.hasRoom).toBe(true);
    expect(pipe.limit).not.toBe(new Pipe().limit);
  });

  test('acknowledgements of what is not under way change nothing', () => {
    const pipe = new Pipe();
    for (let n = 0; n < 10; n += 1) pipe.acknowledged(7, () => n);
    pipe.sent(7, 100, () => 10);
    pipe.acknowledged(7, () => 20);
    pipe.acknowledged(7, () => 30);
    expect(pipe.hasRoom).toBe(true);
  });
});
