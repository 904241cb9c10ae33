import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Peer } from './peer.js';
import { packet, u8, u16 } from './wire.js';

/** What no server should be: one that says yes to everything and does nothing, or one that only hangs up. */
export class StubPeer implements Peer {
  readonly webSocketPort = undefined;
  readonly keepsSessions = true;
  port = 0;
  readonly #answers: boolean;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(answers: boolean) {
    this.#answers = answers;
  }

  async start(): Promise<void> {
    const server = createServer((socket) => this.#serve(socket));
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
    if (this.#server !== undefined) await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    if (!this.#answers) {
      socket.resume().end();
      return;
    }
    let version = 4;
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let found = split(rest); found !== undefined; found = split(rest)) {
        rest = found.rest;
        const [first, body] = [found.first, found.body];
        if (first >> 4 === 1) version = body[6] ?? 4;
        const answer = answerTo(first, body, version);
        if (answer !== undefined) socket.write(answer);
      }
    });
  }
}

function split(bytes: Buffer): { first: number; body: Buffer; rest: Buffer } | undefined {
  for (let at = 1, value = 0; at < bytes.length && at <= 4; at++) {
    const octet = bytes[at] as number;
    value += (octet & 0x7f) * 128 ** (at - 1);
    if (octet >= 0x80) continue;
    const end = at + 1 + value;
    if (bytes.length < end) return undefined;
    return { first: bytes[0] as number, body: bytes.subarray(at + 1, end), rest: bytes.subarray(end) };
  }
  return undefined;
}

function answerTo(first: number, body: Buffer, version: number): Buffer | undefined {
  const none = version === 5 ? [u8(0)] : [];
  const identifier = body.subarray(0, 2);
  switch (first >> 4) {
    case 1:
      return packet(0x20, u16(0), ...none);
    case 3: {
      const qos = (first >> 1) & 3;
      const at = 2 + body.readUInt16BE(0);
      if (qos === 0 || body.length < at + 2) return undefined;
      return packet(qos === 1 ? 0x40 : 0x50, body.subarray(at, at + 2));
    }
    case 5:
      return packet(0x62, identifier);
    case 6:
      return packet(0x70, identifier);
    case 8:
      return packet(0x90, identifier, ...none, Buffer.from(wanted(body, version, true)));
    case 10:
      return packet(
        0xb0,
        identifier,
        ...none,
        Buffer.from(version === 5 ? wanted(body, version, false) : []),
      );
    case 12:
      return packet(0xd0);
    default:
      return undefined;
  }
}

/** One code for each filter: what was asked for. */
function wanted(body: Buffer, version: number, options: boolean): number[] {
  const codes: number[] = [];
  let at = 2;
  if (version === 5) at += 1 + (body[at] ?? 0);
  while (at + 2 <= body.length) {
    at += 2 + body.readUInt16BE(at);
    codes.push(options ? (body[at] ?? 0) & 3 : 0);
    if (options) at += 1;
  }
  return codes;
}
