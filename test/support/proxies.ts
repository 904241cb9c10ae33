/** Proxies of a test's own: HTTP CONNECT and SOCKS5, to whatever port of this machine they are asked for. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class TestProxy {
  /** HOST:PORT, as they were asked for. */
  readonly asked: string[] = [];
  /** From now on tunnels are opened, and what goes in does not come out. */
  swallows = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(serve: (near: Socket, proxy: TestProxy) => void) {
    this.#server = createServer((near) => {
      this.#keep(near);
      serve(near, this);
    });
  }

  static http(): Promise<TestProxy> {
    return new TestProxy((near, proxy) => {
      near.once('data', (chunk) => {
        const place = /^CONNECT (\S+) HTTP\/1\.1\r\n/.exec(chunk.toString('latin1'))?.[1] ?? '';
        proxy.#open(near, place, 'HTTP/1.1 200 OK\r\n\r\n');
      });
    }).#listen();
  }

  static socks5(): Promise<TestProxy> {
    return new TestProxy((near, proxy) => {
      near.once('data', () => {
        near.once('data', (chunk) => {
          const end = 5 + (chunk[4] ?? 0);
          const place = `${chunk.toString('latin1', 5, end)}:${chunk.readUInt16BE(end)}`;
          proxy.#open(near, place, Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
        });
        near.write(Buffer.from([5, 0]));
      });
    }).#listen();
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  async #listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  #open(near: Socket, place: string, answer: string | Uint8Array): void {
    this.asked.push(place);
    if (this.swallows) {
      near.write(answer);
      near.resume();
      return;
    }
    const far = connect(Number(place.split(':').at(-1)), '127.0.0.1', () => {
      near.write(answer);
      near.pipe(far).pipe(near);
    });
    this.#keep(far);
    far.on('close', () => near.destroy());
    near.on('close', () => far.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
