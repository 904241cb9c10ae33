/**
 * A TCP proxy that is a bad link: it delays, narrows, cuts, swallows and refuses, as told. Bytes are forwarded in
 * order; a cut resets both sides, as a NAT that forgets or a modem that resets would.
 *
 *   client ──▶ proxy ──delay, rate──▶ target          refuse: new connections are reset
 *          ◀──                     ◀──                blackHole: everything is read and nothing forwarded
 */
import { createServer, connect } from 'node:net';

/** What a slow link holds back before its sender feels it. */
const QUEUE_CHUNKS_MAX = 64;

export class LinkProxy {
  #server;
  #pairs = new Set();
  #target;
  #delayMs = 0;
  #bytesPerSecond = Infinity;
  #refuse = false;
  #blackHole = false;
  cuts = 0;
  refused = 0;

  constructor(targetPort) {
    this.#target = targetPort;
    this.#server = createServer({ noDelay: true }, (client) => this.#accept(client));
  }

  listen(port = 0) {
    return new Promise((resolve) => this.#server.listen(port, '127.0.0.1', () => resolve(this.#server.address().port)));
  }

  /** Sets what the link is like from now on; what is not named is healed. */
  shape({ delayMs = 0, bytesPerSecond = Infinity, refuse = false, blackHole = false } = {}) {
    this.#delayMs = delayMs;
    this.#bytesPerSecond = bytesPerSecond;
    this.#refuse = refuse;
    this.#blackHole = blackHole;
    // A connection that lived through a black hole has lost bytes; TCP would not go on either.
    for (const pair of this.#pairs) if (pair.swallowed && !blackHole) this.#end(pair);
  }

  cut() {
    this.cuts += 1;
    for (const pair of [...this.#pairs]) this.#end(pair);
  }

  close() {
    this.cut();
    return new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client) {
    if (this.#refuse) {
      this.refused += 1;
      client.resetAndDestroy();
      return;
    }
    const server = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    const pair = { client, server, swallowed: false };
    this.#pairs.add(pair);
    this.#forward(pair, client, server);
    this.#forward(pair, server, client);
    for (const side of [client, server]) {
      side.on('error', () => this.#end(pair));
      side.on('close', () => this.#end(pair));
    }
  }

  /**
   * One direction: a chunk leaves no earlier than the delay and the link's rate allow, and never before the one that
   * came before it, also where the link got better meanwhile.
   */
  #forward(pair, from, to) {
    const queue = [];
    let freeAtMs = 0;
    let timer;
    const drain = () => {
      timer = undefined;
      const nowMs = performance.now();
      while (queue.length > 0 && queue[0].atMs <= nowMs) to.write(queue.shift().chunk);
      if (queue.length < QUEUE_CHUNKS_MAX) from.resume();
      if (queue.length > 0) timer = setTimeout(drain, Math.ceil(queue[0].atMs - nowMs));
    };
    from.on('data', (chunk) => {
      if (this.#blackHole) {
        pair.swallowed = true;
        return;
      }
      freeAtMs = Math.max(performance.now(), freeAtMs) + (chunk.length / this.#bytesPerSecond) * 1000;
      queue.push({ chunk, atMs: freeAtMs + this.#delayMs });
      if (queue.length >= QUEUE_CHUNKS_MAX) from.pause();
      if (timer === undefined) drain();
    });
    from.on('close', () => clearTimeout(timer));
  }

  #end(pair) {
    this.#pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  }
}
