/**
 * One connection to one server, from the dial to its end: handshake, Keep Alive, packets in, bytes out.
 *
 *   dial ──opened──▶ CONNECT ──CONNACK──▶ accepted ──▶ packet, packet, turn, … ──▶ closed (once, with the reason)
 *
 * It owns the socket and its timer and knows nothing of journals.
 */
import type { Clock, Timer } from '../core/clock.js';
import { Decoder } from '../mqtt/decoder.js';
import { encode } from '../mqtt/encoder.js';
import { ClientKeepAlive } from '../mqtt/keep-alive.js';
import type { ConnackPacket, ConnectPacket, Packet } from '../mqtt/packet.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { connackFault, disconnectFault, type Fault } from './fault.js';
import { Output } from './output.js';
import type { ServerUrl } from './server-url.js';
import { socketFault, timeoutFault } from './socket-fault.js';
import type { Dial, Stage, Transport, Way } from './transport.js';

export interface ClientOptions {
  readonly server: ServerUrl;
  readonly way: Way;
  readonly connect: ConnectPacket;
  readonly dial: Dial;
  readonly clock: Clock;
  /** What we take; announced in CONNECT. */
  readonly maximumPacketSize: number;
  /** The server was reached: CONNECT leaves when `then` is called. */
  readonly prepare?: (then: () => void) => void;
}

export interface ClientEvents {
  readonly accepted: (connack: ConnackPacket) => void;
  readonly packet: (packet: Packet) => void;
  /** All packets of a chunk have been told, or the socket takes bytes again: the time to write. */
  readonly turn: () => void;
  readonly closed: (fault: Fault) => void;
}

/** TCP, TLS and CONNECT together; on the slowest link a TLS handshake takes some 15 s. */
export const CONNECT_TIMEOUT_MS = 30_000;
/** How a web server or a proxy answers CONNECT. */
const HTTP = Buffer.from('HTTP/1.');
/** Any byte that arrives counts: behind a full window a PINGRESP comes late on a slow link. */
const PINGRESP_LIMIT_MS_MAX = 30_000;

export class Client {
  readonly output = new Output();
  readonly #options: ClientOptions;
  readonly #events: ClientEvents;
  readonly #decoder: Decoder;
  #transport: Transport | undefined;
  #state: 'dialling' | 'handshake' | 'connected' | 'closed' = 'dialling';
  #keptBack = false;
  #blocked = false;
  #keepAlive: ClientKeepAlive | undefined;
  #timer: Timer | undefined;

  constructor(options: ClientOptions, events: ClientEvents) {
    this.#options = options;
    this.#events = events;
    this.#decoder = new Decoder({
      maximumPacketSize: options.maximumPacketSize,
      receiver: 'client',
      protocolVersion: options.connect.protocolVersion,
    });
  }

  open(): void {
    const { clock, dial, server, way } = this.#options;
    this.#timer = clock.at(clock.monotonicMs() + CONNECT_TIMEOUT_MS, () => this.#timedOut());
    this.#transport = dial(server, way, {
      opened: () => this.#opened(),
      data: (chunk) => this.#data(chunk),
      drained: () => this.#drained(),
      closed: (fault) =>
        this.#ended(socketFault(fault, server, this.#state === 'connected' ? 'connected' : this.#stage)),
    });
  }

  /** CONNECT was prepared and did not leave. */
  get keptBack(): boolean {
    return this.#keptBack;
  }

  /** The address that was reached. */
  get address(): string | undefined {
    return this.#transport?.address;
  }

  get connected(): boolean {
    return this.#state === 'connected';
  }

  /** False: the socket's own buffer is full; `turn` follows when it is not. */
  get writable(): boolean {
    return this.#state === 'connected' && !this.#blocked;
  }

  /** Appends a packet to the output; it leaves with the next `flush`. */
  send(packet: Packet): void {
    if (this.#state === 'closed') return;
    this.output.append(encode(packet, this.#options.connect.protocolVersion));
  }

  flush(): void {
    if (this.#transport === undefined || this.output.length === 0) return;
    this.#keepAlive?.sent(this.#options.clock.monotonicMs());
    if (!this.#transport.write(this.output.take())) this.#blocked = true;
  }

  /** Ends the connection now; the Will follows, unless DISCONNECT went out before. */
  close(fault: Fault): void {
    if (this.#state === 'closed') return;
    this.#transport?.destroy();
    this.#ended(fault);
  }

  /** DISCONNECT 0x00, then FIN: no Will. `closed` follows when the server has closed its side. */
  disconnect(): void {
    if (this.#state === 'closed') return;
    if (this.#state === 'dialling') {
      this.close({ kind: 'closed', sentence: 'it was not wanted any more' });
      return;
    }
    this.send({ type: 'disconnect', reasonCode: ReasonCode.success });
    this.flush();
    this.#transport?.end();
  }

  get #stage(): Stage {
    return this.#transport?.stage ?? 'open';
  }

  #timedOut(): void {
    const { server, way } = this.#options;
    const proxy = way.proxy && `${way.proxy.host}:${way.proxy.port}`;
    // A dial that says nothing of itself has come as far as what it has told.
    const stage = this.#transport?.stage ?? (this.#state === 'dialling' ? 'connect' : 'open');
    this.close(timeoutFault(server, stage, CONNECT_TIMEOUT_MS, proxy));
  }

  #opened(): void {
    if (this.#state !== 'dialling') return;
    const { connect, prepare = (then: () => void) => then() } = this.#options;
    this.#keptBack = true;
    prepare(() => {
      if (this.#state !== 'dialling') return;
      this.#state = 'handshake';
      this.#keptBack = false;
      this.send(connect);
      this.flush();
    });
  }

  #data(chunk: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#keepAlive?.pingrespReceived();
    if (this.#state === 'handshake' && HTTP.equals(chunk.subarray(0, HTTP.length))) {
      const { host, port } = this.#options.server;
      this.close({
        kind: 'protocol',
        sentence: `${host}:${port} answers in HTTP; is it the port of a web server, or does a proxy or a page for login answer in its place?`,
      });
      return;
    }
    this.#decoder.push(chunk);
    while (!this.#isClosed()) {
      const decoded = this.#decoder.next();
      if (decoded.kind === 'incomplete') break;
      if (decoded.kind === 'malformed') {
        this.#fail(decoded.reasonCode, decoded.why);
        return;
      }
      this.#packet(decoded.packet);
    }
    if (this.#state === 'connected') this.#events.turn();
  }

  /** A method, since a packet's own consequences may close the connection under a narrowed type. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #packet(packet: Packet): void {
    if (this.#state === 'handshake') {
      if (packet.type === 'connack') this.#connack(packet);
      else this.#fail(ReasonCode.protocolError, `${packet.type} came before CONNACK`);
      return;
    }
    switch (packet.type) {
      case 'pingresp':
        return;
      case 'disconnect':
        this.close(
          disconnectFault(
            this.#options.server,
            packet.reasonCode,
            packet.properties?.reasonString,
            packet.properties?.serverReference,
          ),
        );
        return;
      case 'connack':
      case 'auth':
        this.#fail(ReasonCode.protocolError, `${packet.type} came out of turn`);
        return;
      default:
        this.#events.packet(packet);
    }
  }

  #connack(packet: ConnackPacket): void {
    this.#transport?.judge?.(true);
    if (packet.reasonCode >= 0x80) {
      this.close(
        connackFault(
          this.#options.server,
          packet.reasonCode,
          packet.properties?.reasonString,
          packet.properties?.serverReference,
        ),
      );
      return;
    }
    const { clock, connect } = this.#options;
    if (packet.sessionPresent && connect.cleanStart) {
      this.#fail(ReasonCode.protocolError, 'CONNACK says Session Present after Clean Start [MQTT5-3.2.2-2]');
      return;
    }
    this.#state = 'connected';
    const keepAliveSeconds = packet.properties?.serverKeepAlive ?? connect.keepAlive;
    this.#keepAlive = new ClientKeepAlive(
      keepAliveSeconds,
      Math.min(keepAliveSeconds * 1000, PINGRESP_LIMIT_MS_MAX),
      clock.monotonicMs(),
    );
    this.#armKeepAlive();
    this.#events.accepted(packet);
  }

  #armKeepAlive(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { clock } = this.#options;
    const deadlineMs = this.#keepAlive?.deadlineMs ?? Infinity;
    if (deadlineMs === Infinity || this.#isClosed()) return;
    this.#timer = clock.at(deadlineMs, () => {
      // The deadline moves with every packet; the timer is set again only when it fires.
      const nowMs = clock.monotonicMs();
      const due = this.#keepAlive?.due(nowMs);
      if (due === 'dead') {
        const { host, port } = this.#options.server;
        this.close({
          kind: 'keep-alive',
          sentence: `${host}:${port} stopped answering: no PINGRESP within its limit`,
        });
        return;
      }
      if (due === 'ping') {
        this.send({ type: 'pingreq' });
        this.flush();
        this.#keepAlive?.pingreqSent(nowMs);
      }
      this.#armKeepAlive();
    });
  }

  #drained(): void {
    this.#blocked = false;
    if (this.#state === 'connected') this.#events.turn();
  }

  /** The server broke the protocol: it is told why, where the version has words for it. */
  #fail(reasonCode: ReasonCode, why: string): void {
    const { connect, server } = this.#options;
    if (connect.protocolVersion === 5 && this.#state === 'connected') {
      this.send({ type: 'disconnect', reasonCode });
      this.flush();
    }
    this.close({
      kind: 'protocol',
      sentence: `${server.host}:${server.port} sent what is not MQTT ${connect.protocolVersion === 5 ? '5.0' : '3.1.1'}: ${why}`,
      reasonCode,
    });
  }

  #ended(fault: Fault): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'connected' && fault.kind !== 'not-accepted') this.#transport?.judge?.(false);
    this.#state = 'closed';
    this.#timer?.cancel();
    this.#timer = undefined;
    this.output.clear();
    this.#events.closed(fault);
  }
}
