/**
 * A TCP proxy that is a bad link: it delays, narrows, cuts, swallows and refuses, as told. Bytes are forwarded in
 * order; a cut resets both sides, as a NAT that forgets or a modem that resets would.
 *
 *   client ──up──▶ proxy ──delay, rate──▶ target         refuse: new connections are reset
 *          ◀─down─                     ◀──               blackHole: everything is read and nothing forwarded
 *
 * Both directions are shared by all connections and counted in bytes on the wire (link-model.mjs). No more is read
 * while `queueBytes` wait to leave, or `WINDOW_BYTES` of a connection are under way, so that a sender feels ordinary TCP
 * backpressure. A connection costs one round trip before its first byte.
 */
import { connect, createServer } from 'node:net';
import { HEADER_BYTES, LinkDirection, SEGMENT_BYTES, SYN_BYTES } from './link-model.mjs';

/** What a modem holds back before its sender feels it: half a second at 256 kbit/s. */
const QUEUE_BYTES = 16 * 1024;
/** A receiver's window, as a kernel would grow it. */
const WINDOW_BYTES = 1024 * 1024;
/** A segment without a second one is acknowledged so late, where no data answers it before. */
const DELAYED_ACK_MS = 40;
const UP = 0;
const DOWN = 1;

export class LinkProxy {
  /** Called with each chunk as it goes on the wire: (direction, chunk, connection, atMs). */
  tap = undefined;
  up = new LinkDirection();
  down = new LinkDirection();
  cuts = 0;
  refused = 0;
  accepted = 0;
  #server;
  #connections = new Set();
  #target;
  #queueBytes;
  #refuse = false;
  #blackHole = false;
  /** By direction: chunks under way, the timer of the first, and that of the next look at the senders. */
  #underWay = [[], []];
  #arrivalTimers = [undefined, undefined];
  #roomTimers = [undefined, undefined];

  constructor(targetPort, { queueBytes = QUEUE_BYTES } = {}) {
    this.#target = targetPort;
    this.#queueBytes = Math.max(queueBytes, 2 * SEGMENT_BYTES);
    const options = { noDelay: true, pauseOnConnect: true, allowHalfOpen: true };
    this.#server = createServer(options, (client) => this.#accept(client));
  }

  listen(port = 0) {
    return new Promise((resolve) => this.#server.listen(port, '127.0.0.1', () => resolve(this.#server.address().port)));
  }

  /** Sets what the link is like from now on; what is not named is healed. */
  shape({ delayMs = 0, bytesPerSecond = Infinity, refuse = false, blackHole = false } = {}) {
    for (const direction of [this.up, this.down]) {
      direction.delayMs = delayMs;
      direction.bytesPerSecond = bytesPerSecond;
    }
    this.#refuse = refuse;
    this.#blackHole = blackHole;
    for (const connection of [...this.#connections]) {
      // A connection that lived through a black hole has lost bytes; TCP would not go on either.
      if (connection.swallowed && !blackHole) this.#end(connection);
      else for (const way of [UP, DOWN]) this.#read(connection, way);
    }
  }

  cut() {
    this.cuts += 1;
    for (const connection of [...this.#connections]) this.#end(connection);
  }

  close() {
    this.cut();
    for (const timer of [...this.#arrivalTimers, ...this.#roomTimers]) clearTimeout(timer);
    return new Promise((resolve) => this.#server.close(resolve));
  }

  #direction(way) {
    return way === UP ? this.up : this.down;
  }

  #accept(client) {
    if (this.#refuse) {
      this.refused += 1;
      client.resetAndDestroy();
      return;
    }
    this.accepted += 1;
    const nowMs = performance.now();
    const connectAtMs = this.up.transmit(SYN_BYTES, nowMs) + this.up.delayMs;
    this.down.transmit(SYN_BYTES, nowMs);
    this.up.transmit(HEADER_BYTES, nowMs);
    const connection = {
      number: this.accepted,
      acceptedAtMs: nowMs,
      /** By direction, who sends in it. */
      senders: [client, undefined],
      startAtMs: connectAtMs + this.down.delayMs,
      underWayBytes: [0, 0],
      unacknowledged: [0, 0],
      acknowledgeTimers: [undefined, undefined],
      connectTimer: undefined,
      swallowed: false,
    };
    this.#connections.add(connection);
    this.#watch(connection, UP);
    connection.connectTimer = setTimeout(() => {
      connection.senders[DOWN] = connect({ port: this.#target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
      this.#watch(connection, DOWN);
      const waitMs = connection.startAtMs - performance.now();
      connection.connectTimer = setTimeout(() => this.#read(connection, UP), Math.max(0, Math.ceil(waitMs)));
    }, Math.ceil(connectAtMs - nowMs));
  }

  #watch(connection, way) {
    const socket = connection.senders[way];
    socket.on('readable', () => this.#read(connection, way));
    socket.on('end', () => this.#enqueue(connection, way, 'fin'));
    socket.on('error', () => this.#enqueue(connection, way, 'reset'));
  }

  #read(connection, way) {
    const socket = connection.senders[way];
    if (socket === undefined || !this.#connections.has(connection)) return;
    if (this.#blackHole) {
      if (socket.read() !== null) connection.swallowed = true;
      return;
    }
    const direction = this.#direction(way);
    for (;;) {
      const nowMs = performance.now();
      if (way === UP && nowMs < connection.startAtMs) return;
      const free = this.#queueBytes - direction.backlog(nowMs);
      const room = Math.min(free, WINDOW_BYTES - connection.underWayBytes[way]);
      if (free < SEGMENT_BYTES) this.#lookAgain(way, nowMs);
      const bytes = Math.min(Math.floor(room / SEGMENT_BYTES) * SEGMENT_BYTES, socket.readableLength);
      // With nothing to read, too: that is what brings the next `readable`, and `end`.
      const chunk = bytes > 0 ? socket.read(bytes) : room >= SEGMENT_BYTES ? socket.read() : null;
      if (chunk === null) return;
      // The acknowledgement of what came the other way rides along.
      connection.unacknowledged[1 - way] = 0;
      this.tap?.(way === UP ? 'up' : 'down', chunk, connection, nowMs);
      this.#enqueue(connection, way, chunk);
    }
  }

  /** The queue is full: its senders are read again once two segments have left. */
  #lookAgain(way, nowMs) {
    if (this.#roomTimers[way] !== undefined) return;
    const atMs = this.#direction(way).backlogAtMost(this.#queueBytes - 2 * SEGMENT_BYTES, nowMs);
    this.#roomTimers[way] = setTimeout(
      () => {
        this.#roomTimers[way] = undefined;
        for (const connection of [...this.#connections]) this.#read(connection, way);
      },
      Math.ceil(atMs - nowMs),
    );
  }

  /** `what` is a chunk, or `fin` or `reset`. */
  #enqueue(connection, way, what) {
    if (!this.#connections.has(connection)) return;
    if (this.#blackHole) {
      connection.swallowed = true;
      return;
    }
    const bytes = typeof what === 'string' ? 0 : what.length;
    connection.underWayBytes[way] += bytes;
    const atMs = this.#direction(way).send(bytes, performance.now());
    this.#underWay[way].push({ connection, what, bytes, atMs });
    if (this.#underWay[way].length === 1) this.#awaitArrival(way);
  }

  #awaitArrival(way) {
    const [first] = this.#underWay[way];
    if (first === undefined) return;
    const waitMs = Math.max(0, Math.ceil(first.atMs - performance.now()));
    this.#arrivalTimers[way] = setTimeout(() => this.#arrive(way), waitMs);
  }

  #arrive(way) {
    const queue = this.#underWay[way];
    const nowMs = performance.now();
    while (queue.length > 0 && queue[0].atMs <= nowMs) this.#deliver(way, queue.shift(), nowMs);
    this.#awaitArrival(way);
  }

  #deliver(way, { connection, what, bytes }, nowMs) {
    const receiver = connection.senders[1 - way];
    if (!this.#connections.has(connection) || receiver === undefined) return;
    if (what === 'reset') {
      this.#end(connection);
      return;
    }
    if (what === 'fin') {
      receiver.end();
      if (connection.finished) this.#connections.delete(connection);
      connection.finished = true;
      return;
    }
    const back = this.#direction(1 - way);
    connection.unacknowledged[way] += Math.ceil(bytes / SEGMENT_BYTES);
    for (; connection.unacknowledged[way] >= 2; connection.unacknowledged[way] -= 2) back.acknowledge(nowMs);
    clearTimeout(connection.acknowledgeTimers[way]);
    connection.acknowledgeTimers[way] = setTimeout(() => {
      if (connection.unacknowledged[way] === 0) return;
      connection.unacknowledged[way] = 0;
      back.acknowledge(performance.now());
    }, DELAYED_ACK_MS);
    receiver.write(what, () => {
      connection.underWayBytes[way] -= bytes;
      this.#read(connection, way);
    });
  }

  #end(connection) {
    this.#connections.delete(connection);
    for (const timer of [connection.connectTimer, ...connection.acknowledgeTimers]) clearTimeout(timer);
    for (const socket of connection.senders) socket?.resetAndDestroy();
  }
}
