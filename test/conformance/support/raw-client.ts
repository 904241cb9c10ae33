/**
 * A TCP client that sends any bytes and reads strictly. Packets wait in an inbox until a test takes them:
 *
 *   socket ─▶ read ─▶ inbox ─▶ next()    the first one, whatever it is
 *                          └─▶ take(type) the first of that type; others stay
 *
 * Waits end with an event or fail after a limit; no test sleeps. Silence is proven by a fence: what was to come
 * would have come before the answer to a later request.
 */
import { once } from 'node:events';
import { Socket, connect as tcpConnect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Version } from './build.js';
import { pingreq } from './build.js';
import { type PacketOf, type PacketType, type Published, read, type ServerPacket } from './read.js';
import { hex } from './wire.js';

export class RawClient {
  readonly version: Version;
  /** All packets of this connection, taken or not. */
  readonly received: ServerPacket[] = [];
  readonly #socket: Duplex;
  readonly #limitMs: number;
  readonly #inbox: ServerPacket[] = [];
  readonly #looks = new Set<() => void>();
  #rest: Buffer = Buffer.alloc(0);
  #bytesReceived = 0;
  #closed = false;
  #fault: Error | undefined;
  #nextIdentifier = 0;

  /** Over a stream that is open: TCP, or what speaks WebSocket below. */
  constructor(stream: Duplex, version: Version, limitMs: number) {
    this.#socket = stream;
    this.version = version;
    this.#limitMs = limitMs;
    stream.on('data', (chunk: Buffer) => this.#data(chunk));
    // A reset is one way of closing.
    stream.on('error', () => this.#end());
    stream.on('end', () => this.#end());
    stream.on('close', () => this.#end());
  }

  static async open(port: number, version: Version = 4, limitMs = 5000): Promise<RawClient> {
    // Half-open, so that a test can end its side and still see the server end its own.
    const socket = tcpConnect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket, version, limitMs);
  }

  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** What the strict reader found wrong with the peer's bytes, if anything. */
  get fault(): Error | undefined {
    return this.#fault;
  }

  /** A Packet Identifier that this connection has not used yet. */
  newIdentifier(): number {
    this.#nextIdentifier += 1;
    return this.#nextIdentifier;
  }

  /** Hexadecimal digits or bytes. */
  send(...parts: readonly (Uint8Array | string)[]): void {
    const bytes = Buffer.concat(parts.map((part) => (typeof part === 'string' ? hex(part) : part)));
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Sends and resolves when the kernel has taken it all. */
  async sendSlowly(pieces: Iterable<Uint8Array>): Promise<void> {
    for (const piece of pieces) {
      if (!this.#socket.writable) return;
      await new Promise<void>((resolve) => this.#socket.write(piece, () => resolve()));
    }
  }

  /** The next packet, whatever it is. */
  next(): Promise<ServerPacket> {
    return this.#wait('a packet', () => this.#inbox.shift());
  }

  /** The next packet, which has to be of this type. */
  async expect<T extends PacketType>(type: T): Promise<PacketOf<T>> {
    const packet = await this.#wait(`${type} as the next packet`, () => this.#inbox.shift());
    if (!isOf(packet, type)) throw new Error(`${type} was due, ${describe([packet])} came`);
    return packet;
  }

  /** The first packet of this type that satisfies; those before it stay in the inbox. */
  take<T extends PacketType>(
    type: T,
    satisfies: (packet: PacketOf<T>) => boolean = () => true,
  ): Promise<PacketOf<T>> {
    return this.#wait(`${type}`, () => {
      for (const [index, packet] of this.#inbox.entries()) {
        if (isOf(packet, type) && satisfies(packet)) {
          this.#inbox.splice(index, 1);
          return packet;
        }
      }
      return undefined;
    });
  }

  /** Resolves when the peer has closed, with what it sent before and no one has taken. */
  async closed(): Promise<ServerPacket[]> {
    await this.#wait('the peer to close', () => (this.#closed ? true : undefined));
    return this.#inbox.splice(0);
  }

  /** PINGREQ and PINGRESP around: everything that came before PINGRESP and was not taken. */
  async fence(): Promise<ServerPacket[]> {
    this.send(pingreq());
    return this.#wait('PINGRESP', () => {
      const at = this.#inbox.findIndex(({ type }) => type === 'pingresp');
      return at < 0 ? undefined : this.#inbox.splice(0, at + 1).slice(0, -1);
    });
  }

  /** The PUBLISH packets up to and with the one that satisfies, which are taken from the inbox. */
  publishedUntil(satisfies: (packet: Published) => boolean): Promise<Published[]> {
    return this.#wait('a certain PUBLISH', () => {
      const last = this.#inbox.findIndex((packet) => isOf(packet, 'publish') && satisfies(packet));
      if (last < 0) return undefined;
      const upTo = this.#inbox.splice(0, last + 1);
      this.#inbox.unshift(...upTo.filter((packet) => packet.type !== 'publish'));
      return upTo.filter((packet) => isOf(packet, 'publish'));
    });
  }

  /** Ends our side (FIN) and keeps reading. */
  end(): void {
    this.#socket.end();
  }

  /** Ends the connection as a failing network would (RST). */
  reset(): void {
    if (this.#socket instanceof Socket) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** Stops reading, as a slow client does. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #data(chunk: Buffer): void {
    this.#bytesReceived += chunk.length;
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    try {
      for (let one = this.#read(); one !== undefined; one = this.#read()) {
        this.received.push(one);
        this.#inbox.push(one);
      }
    } catch (fault) {
      this.#fault ??= fault instanceof Error ? fault : new Error(String(fault));
      this.#socket.destroy();
    }
    this.#wake();
  }

  #read(): ServerPacket | undefined {
    const packet = read(this.#rest, this.version);
    if (packet !== undefined) this.#rest = this.#rest.subarray(packet.bytes.length);
    return packet;
  }

  #end(): void {
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    for (const look of [...this.#looks]) look();
  }

  #wait<T>(what: string, find: () => T | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const finish = (run: () => void): void => {
        clearTimeout(limit);
        this.#looks.delete(look);
        run();
      };
      const fail = (why: string): void =>
        finish(() => reject(new Error(`waited for ${what}: ${why}; ${describe(this.#inbox)} in the inbox`)));
      const look = (): void => {
        const found = find();
        if (found !== undefined) finish(() => resolve(found));
        else if (this.#fault !== undefined) finish(() => reject(this.#fault));
        else if (this.#closed) fail('the peer closed');
      };
      const limit = setTimeout(() => fail(`nothing for ${this.#limitMs} ms`), this.#limitMs);
      this.#looks.add(look);
      look();
    });
  }
}

function isOf<T extends PacketType>(packet: ServerPacket, type: T): packet is PacketOf<T> {
  return packet.type === type;
}

function describe(packets: readonly ServerPacket[]): string {
  const names = packets.map(({ type, bytes }) => `${type} ${bytes.subarray(0, 24).toString('hex')}`);
  return names.length === 0 ? 'nothing' : names.join(', ');
}
