/**
 * A byte stream to a server, whatever carries it: the face of `dial.ts`. Tests put a scripted server in its place.
 */
import type { Addresses } from './addresses.js';
import type { ProxyServer } from './proxy.js';
import type { ServerUrl } from './server-url.js';

/** How far a dial has come; `open`: bytes go to the server. */
export type Stage = 'resolve' | 'connect' | 'proxy' | 'tls' | 'upgrade' | 'open';

export interface Transport {
  /** False: wait for `drained` before writing more. The bytes belong to the transport from now on. */
  write(bytes: Uint8Array): boolean;
  /** Sends what was written, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  /** Says what a silence means. */
  readonly stage?: Stage;
  /** The address that was reached. */
  readonly address?: string | undefined;
  /** Whether a server spoke MQTT at that address; where none did, another is tried first the next time. */
  judge?(worked: boolean): void;
}

/** `closed` is the last call, and comes once; none comes before `dial` has returned. */
export interface TransportEvents {
  readonly opened: () => void;
  readonly data: (chunk: Uint8Array) => void;
  readonly drained: () => void;
  readonly closed: (fault: Error | undefined) => void;
}

export interface TlsSecrets {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** Nothing of it need be set. */
export interface Way {
  readonly tls?: TlsSecrets;
  /** Server Name to ask for and to find in the certificate, instead of the host's own. */
  readonly serverName?: string;
  /** Protocols to offer by ALPN, as clouds want on port 443. */
  readonly alpn?: readonly string[];
  readonly proxy?: ProxyServer;
  /** For the request that asks for a WebSocket. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Absent: nothing is remembered from one dial to the next. */
  readonly addresses?: Addresses;
}

export type Dial = (server: ServerUrl, way: Way, events: TransportEvents) => Transport;
