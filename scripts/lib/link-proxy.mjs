/**
 * A TCP proxy that is a bad link: it delays, narrows, cuts, swallows and refuses, as told. Bytes are forwarded in
 * order; a cut resets both sides, as a NAT that forgets or a modem that resets would.
 *
 *   client ──▶ proxy ──delay, rate──▶ target          refuse: new connections are reset
 *          ◀──                     ◀──                blackHole: everything is read and nothing forwarded
 */
import { createServer, connect } from 'node:net';

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

  /** One direction: chunks leave in order, each no earlier than its delay and the link's rate allow. */
  #forward(pair, from, to) {
    let freeAtMs = 0;
    from.on('data', (chunk) => {
      if (this.#blackHole) {
        pair.swallowed = true;
        return;
      }
      const nowMs = performance.now();
      const startMs = Math.max(nowMs, freeAtMs);
      freeAtMs = startMs + (chunk.length / this.#bytesPerSecond) * 1000;
      const waitMs = freeAtMs - nowMs + this.#delayMs;
      if (waitMs < 1) {
        to.write(chunk);
        return;
      }
      if (freeAtMs - nowMs > 250) from.pause();
      setTimeout(() => {
        to.write(chunk);
        from.resume();
      }, waitMs);
    });
  }

  #end(pair) {
    this.#pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  }
}
