/**
 * Real connections, from a name to a stream of MQTT. Nothing is decided here.
 *
 *   resolve ─▶ connect ─▶ proxy ─▶ tls ─▶ upgrade ─▶ open
 *                         └─ those that the way and the server's URL ask for ─┘
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { SystemClock } from '../core/clock.js';
import { connectWebSocket, type WebSocketStream } from '../mqtt/web-socket.js';
import { Addresses, systemLookup } from './addresses.js';
import { chainOf, type Validity, withDates } from './certificate-fault.js';
import { ConnectRace } from './connect-race.js';
import { type ProxyServer, proxyHandshake } from './proxy.js';
import type { ServerUrl } from './server-url.js';
import type { Dial, Stage, Transport, TransportEvents, Way } from './transport.js';

/** As much as a server may put into one frame; a packet of the largest size that anyone here announces. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024;

const clock = new SystemClock();

export const dial: Dial = (server, way, events) => {
  const dialling = new Dialling(server, way, events);
  dialling.start();
  return dialling;
};

class Dialling implements Transport {
  readonly #server: ServerUrl;
  readonly #way: Way;
  readonly #events: TransportEvents;
  readonly #addresses: Addresses;
  stage: Stage = 'resolve';
  address: string | undefined;
  /** Takes back the question, then the race. */
  #giveUp: () => void = () => undefined;
  #tcp: Socket | undefined;
  /** What MQTT is written to. */
  #stream: Socket | WebSocketStream | undefined;
  #fault: Error | undefined;
  #isClosed = false;

  constructor(server: ServerUrl, way: Way, events: TransportEvents) {
    this.#server = server;
    this.#way = way;
    this.#events = events;
    this.#addresses = way.addresses ?? new Addresses({ lookup: systemLookup, clock });
  }

  start(): void {
    const { host, port } = this.#target;
    this.#giveUp = this.#addresses.resolve(host, (answer) => {
      if (this.#isClosed) return;
      if (answer.kind === 'fault') {
        this.#failed(answer.fault);
        this.#closeSoon();
        return;
      }
      this.stage = 'connect';
      const race = new ConnectRace({
        addresses: answer.addresses,
        connect: (address) => connectTcp({ host: address, port, noDelay: true }),
        clock,
        won: (socket, address) => this.#connected(socket, address),
        lost: (fault) => {
          this.#failed(fault);
          this.#closeSoon();
        },
      });
      this.#giveUp = () => race.cancel();
      race.start();
    });
  }

  write(bytes: Uint8Array): boolean {
    return this.#stream?.write(bytes) ?? true;
  }

  end(): void {
    if (this.#stream === undefined) this.destroy();
    else this.#stream.end();
  }

  destroy(): void {
    this.#giveUp();
    if (this.#tcp === undefined) this.#closeSoon();
    else this.#tcp.destroy();
  }

  judge(worked: boolean): void {
    if (this.address === undefined) return;
    if (worked) this.#addresses.worked(this.#target.host, this.address);
    else this.#addresses.failed(this.address);
  }

  get #target(): { readonly host: string; readonly port: number } {
    return this.#way.proxy ?? this.#server;
  }

  #connected(socket: Socket, address: string): void {
    const { proxy } = this.#way;
    this.#tcp = socket;
    this.address = address;
    socket.on('error', (fault) => this.#failed(fault));
    socket.once('close', () => {
      if (this.stage === 'proxy') this.#failed(new Error('it closed the connection'));
      this.#closed();
    });
    if (proxy === undefined) {
      this.#secure(socket);
      return;
    }
    this.stage = 'proxy';
    tunnel(
      socket,
      proxy,
      this.#server,
      () => {
        this.#secure(socket);
        if (!this.#server.secure) socket.resume();
      },
      (fault) => socket.destroy(fault),
    );
  }

  #secure(tcp: Socket): void {
    if (!this.#server.secure) {
      this.#upgrade(tcp);
      return;
    }
    this.stage = 'tls';
    const secure = connectTls({ socket: tcp, ...tlsOptions(this.#server, this.#way) });
    let chain: readonly Validity[] = [];
    // Before it is judged: afterwards the socket is gone, and its certificate with it.
    secure.prependOnceListener('secure', () => {
      chain = chainOf(secure.getPeerCertificate(true));
    });
    secure.on('error', (fault) => this.#failed(withDates(fault, chain, clock.wallMs())));
    secure.once('secureConnect', () => this.#upgrade(secure));
  }

  #upgrade(socket: Socket): void {
    const { host, path, port, secure } = this.#server;
    if (path === undefined) {
      this.#stream = socket;
      this.stage = 'open';
      this.#events.opened();
      socket.on('data', this.#events.data);
      socket.on('drain', this.#events.drained);
      // The server's FIN: nothing more comes, and half a connection is no use.
      socket.on('end', () => this.#tcp?.destroy());
      return;
    }
    this.stage = 'upgrade';
    const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    connectWebSocket(
      {
        url: `${secure ? 'wss' : 'ws'}://${place}${path}`,
        headers: this.#way.headers ?? {},
        socket,
        maximumPacketSize: FRAME_BYTES_MAX,
      },
      clock,
      (stream) => {
        this.#stream = stream;
        this.stage = 'open';
        stream.serve({
          received: this.#events.data,
          drained: this.#events.drained,
          closed: (why) => {
            if (why !== undefined) this.#failed(new Error(`the server closed the WebSocket: ${why}`));
            this.#tcp?.destroy();
          },
        });
        this.#events.opened();
      },
      (fault) => {
        this.#failed(fault);
        this.#tcp?.destroy();
      },
    );
  }

  #failed(fault: Error): void {
    const { proxy } = this.#way;
    const isProxys = proxy !== undefined && ['resolve', 'connect', 'proxy'].includes(this.stage);
    this.#fault ??= isProxys ? throughProxy(proxy, fault) : fault;
  }

  /** Nothing is told within the call that asked for it. */
  #closeSoon(): void {
    queueMicrotask(() => this.#closed());
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events.closed(this.#fault);
  }
}

function tlsOptions(server: ServerUrl, { alpn, serverName, tls }: Way): ConnectionOptions {
  const name = serverName ?? server.serverName;
  return {
    // Also what the certificate is checked against where there is no Server Name.
    host: server.host,
    ...(name === undefined ? {} : { servername: name }),
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls?.key === undefined ? {} : { key: tls.key }),
  };
}

function tunnel(
  socket: Socket,
  proxy: ProxyServer,
  server: ServerUrl,
  opened: () => void,
  failed: (error: Error) => void,
): void {
  const handshake = proxyHandshake(proxy, server.host, server.port);
  const take = (chunk: Buffer): void => {
    const step = handshake.data(chunk);
    if (step.do === 'send') socket.write(step.bytes);
    if (step.do === 'fail') failed(new Error(step.why));
    if (step.do !== 'open') return;
    socket.off('data', take);
    socket.off('end', ended);
    socket.pause();
    if (step.rest.length > 0) socket.unshift(step.rest);
    opened();
  };
  const ended = (): void => {
    socket.destroy();
  };
  socket.on('data', take);
  socket.on('end', ended);
  socket.write(handshake.greeting);
}

function throughProxy(proxy: ProxyServer, fault: Error): Error {
  const why =
    'code' in fault && fault.code === 'ENOTFOUND' ? 'its name does not exist in DNS' : fault.message;
  return Object.assign(new Error(`the proxy ${proxy.host}:${proxy.port}: ${why}`), { code: 'ERR_PROXY' });
}
