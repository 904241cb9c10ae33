/**
 * The server under test, chosen by GODWIT_CONFORMANCE_PEER: godwit (the default) or mosquitto, and two stubs that
 * keep the tests honest: stub-ack acknowledges everything blindly, stub-close closes at once. A test that passes
 * against both stubs proves nothing.
 */
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type Connect, connect, type Version } from './build.js';
import { GodwitPeer } from './peer-godwit.js';
import { MosquittoPeer } from './peer-mosquitto.js';
import { StubPeer } from './peer-stub.js';
import { RawClient } from './raw-client.js';
import type { Connack } from './read.js';
import { type Handshake, WebSocketStream } from './web-socket.js';

export interface PeerOptions {
  readonly maxPacketSize?: number;
  readonly maxInflight?: number;
  readonly maxKeepAliveSeconds?: number;
  readonly maximumQos?: 0 | 1;
  readonly retainAvailable?: false;
  /** Topics below `forbidden/` may be neither published nor subscribed to, and whoever gives a user name is refused. */
  readonly guarded?: boolean;
  /** The users of scram.ts can prove themselves with SCRAM-SHA-256; nobody has to. */
  readonly scram?: boolean;
}

export interface Peer {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Ends it and starts it again with what it kept. */
  restart(): Promise<void>;
  /** Of the plain TCP listener. */
  readonly port: number;
  /** Of the WebSocket listener; undefined where the peer has none. */
  readonly webSocketPort: number | undefined;
  /** Whether sessions outlive `restart`. */
  readonly keepsSessions: boolean;
}

export const PEERS = ['godwit', 'mosquitto', 'stub-ack', 'stub-close'] as const;
export type PeerName = (typeof PEERS)[number];

export const peerName: PeerName = named(process.env.GODWIT_CONFORMANCE_PEER ?? 'godwit');
/** Stubs answer at once or never. */
const WAIT_MS_MAX = peerName.startsWith('stub') ? 150 : 5000;

/** A peer for all tests of a file. Connections that a test leaves open are closed after it. */
export function usePeer(options: PeerOptions = {}): Bench {
  const bench = new Bench(build(peerName, options));
  beforeAll(() => bench.peer.start());
  afterEach(() => bench.clear());
  afterAll(() => bench.peer.stop());
  return bench;
}

export interface Connected {
  readonly client: RawClient;
  readonly connack: Connack;
}

/** A peer, and what tests need around it. */
export class Bench {
  readonly peer: Peer;
  readonly #open: RawClient[] = [];
  #count = 0;

  constructor(peer: Peer) {
    this.peer = peer;
  }

  /** A Client Identifier or Topic Name that no other test of the file uses: letters and digits, at most 23. */
  unique(prefix = 't'): string {
    this.#count += 1;
    return `${prefix}${this.#count}`;
  }

  /** A TCP connection on which nothing was sent. */
  async open(version: Version = 4): Promise<RawClient> {
    const client = await RawClient.open(this.peer.port, version, WAIT_MS_MAX);
    this.#open.push(client);
    return client;
  }

  /** The same over WebSocket; undefined where the peer does not listen for it. */
  async openWebSocket(
    handshake?: Handshake,
    version: Version = 4,
  ): Promise<{ readonly client: RawClient; readonly stream: WebSocketStream } | undefined> {
    const port = this.peer.webSocketPort;
    if (port === undefined) return undefined;
    const stream = await WebSocketStream.open(port, handshake);
    const client = new RawClient(stream, version, WAIT_MS_MAX);
    this.#open.push(client);
    return { client, stream };
  }

  /** A connection whose CONNECT was accepted. */
  async connect(options: Connect = {}): Promise<Connected> {
    const client = await this.open(options.version ?? 4);
    client.send(connect({ ...options, clientId: options.clientId ?? this.unique('c') }));
    const connack = await client.expect('connack');
    if (connack.code !== 0) throw new Error(`CONNECT was refused with code 0x${connack.code.toString(16)}`);
    return { client, connack };
  }

  /** `connect` for those who do not look at CONNACK. */
  async client(options: Connect = {}): Promise<RawClient> {
    return (await this.connect(options)).client;
  }

  /** Closes what a test left open, and fails it if the peer broke the format in any packet. */
  clear(): void {
    const open = this.#open.splice(0);
    for (const client of open) client.destroy();
    const fault = open.find((client) => client.fault !== undefined)?.fault;
    if (fault !== undefined) throw fault;
  }
}

function build(name: PeerName, options: PeerOptions): Peer {
  if (name === 'godwit') return new GodwitPeer(options);
  if (name === 'mosquitto') return new MosquittoPeer(options);
  return new StubPeer(name === 'stub-ack');
}

function named(name: string): PeerName {
  const known = PEERS.find((one) => one === name);
  if (known === undefined)
    throw new Error(`GODWIT_CONFORMANCE_PEER is ${name}; ${PEERS.join(', ')} are known`);
  return known;
}
