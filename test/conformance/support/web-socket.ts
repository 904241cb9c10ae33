/**
 * The client's side of RFC 6455 in as few lines as tests need: a stream whose writes leave as one masked binary
 * frame each and which reads what binary frames hold. `frame` sends any frame, also wrong ones.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Socket, connect as tcpConnect } from 'node:net';
import { Duplex } from 'node:stream';
import { u8, u16 } from './wire.js';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Handshake {
  readonly path?: string;
  readonly origin?: string;
  /** What Sec-WebSocket-Protocol offers; undefined: the header is left out. */
  readonly subprotocols?: readonly string[];
}

export class WebSocketStream extends Duplex {
  /** Status line and header lines of the answer, lower case. */
  readonly answer: readonly string[];
  /** Opcodes of all frames from the server. */
  readonly opcodes: number[] = [];
  readonly #socket: Socket;
  #rest: Buffer;

  private constructor(socket: Socket, answer: readonly string[], rest: Buffer) {
    super();
    this.#socket = socket;
    this.answer = answer;
    this.#rest = rest;
    socket.on('data', (chunk: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      this.#frames();
    });
    socket.on('error', () => this.push(null));
    socket.on('close', () => this.push(null));
    this.#frames();
  }

  static async open(
    port: number,
    { path = '/mqtt', subprotocols = ['mqtt'], origin }: Handshake = {},
  ): Promise<WebSocketStream> {
    const socket = tcpConnect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      'Sec-WebSocket-Version: 13',
      ...(origin === undefined ? [] : [`Origin: ${origin}`]),
      ...(subprotocols.length === 0 ? [] : [`Sec-WebSocket-Protocol: ${subprotocols.join(', ')}`]),
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    let got: Buffer = Buffer.alloc(0);
    while (!got.includes('\r\n\r\n')) {
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      got = Buffer.concat([got, chunk]);
    }
    const end = got.indexOf('\r\n\r\n');
    const answer = got.subarray(0, end).toString().toLowerCase().split('\r\n');
    return new WebSocketStream(socket, answer, got.subarray(end + 4));
  }

  /** The status code of the answer: 101 where the connection is a WebSocket now. */
  get status(): number {
    return Number(this.answer[0]?.split(' ')[1]);
  }

  header(name: string): string | undefined {
    const prefix = `${name.toLowerCase()}:`;
    return this.answer
      .find((line) => line.startsWith(prefix))
      ?.slice(prefix.length)
      .trim();
  }

  frame(opcode: number, payload: Uint8Array, final = true): void {
    const mask = randomBytes(4);
    const masked = Buffer.from(payload.map((octet, at) => octet ^ (mask[at % 4] as number)));
    const length =
      payload.length < 126 ? u8(0x80 | payload.length) : Buffer.concat([u8(0x80 | 126), u16(payload.length)]);
    if (!this.#socket.writable) return;
    this.#socket.write(Buffer.concat([u8((final ? 0x80 : 0) | opcode), length, mask, masked]));
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.frame(OPCODE.binary, chunk);
    done();
  }

  override _final(done: () => void): void {
    this.#socket.end();
    done();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _destroy(fault: Error | null, done: (fault: Error | null) => void): void {
    this.#socket.destroy();
    done(fault);
  }

  #frames(): void {
    for (;;) {
      const rest = this.#rest;
      if (rest.length < 2) return;
      const short = (rest[1] as number) & 0x7f;
      const at = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (rest.length < at) return;
      const length =
        short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short;
      if (rest.length < at + length) return;
      this.#rest = rest.subarray(at + length);
      const opcode = (rest[0] as number) & 0x0f;
      this.opcodes.push(opcode);
      if (opcode === OPCODE.binary || opcode === OPCODE.continuation)
        this.push(rest.subarray(at, at + length));
      else if (opcode === OPCODE.close) this.push(null);
    }
  }
}
