/** Bytes of one connection become packets. (Signatures first; the body follows.) */
import type { Packet, ProtocolVersion } from './packet.js';
import type { ReasonCode } from './reason-code.js';

export type Decoded =
  | { readonly kind: 'packet'; readonly packet: Packet; readonly bytesUsed: number }
  | { readonly kind: 'incomplete'; readonly bytesNeeded: number }
  | Malformed;

/** The connection must be closed; every later `next()` says the same. */
export interface Malformed {
  readonly kind: 'malformed';
  readonly reasonCode: ReasonCode;
  readonly why: string;
  /**
   * Only with `unsupportedProtocolVersion`: the level that the CONNECT asked for under a name that is MQTT's.
   * Such a peer is answered by `20 02 00 01`, which every version can read [MQTT311-3.1.2-2].
   */
  readonly protocolLevel?: number;
}

export interface DecoderOptions {
  /** Our own limit; a larger packet is refused from its header alone. */
  readonly maximumPacketSize: number;
  /** Who reads: a `server` refuses packets that only servers send, and the other way about. */
  readonly receiver: 'server' | 'client';
  /** A client knows it; a server learns it from CONNECT. */
  readonly protocolVersion?: ProtocolVersion;
}

export class Decoder {
  /** Undefined until a server's decoder has read the level in CONNECT. */
  protocolVersion: ProtocolVersion | undefined;

  constructor(options: DecoderOptions) {
    this.protocolVersion = options.protocolVersion;
  }

  /** Payloads and binary data are slices of `chunk`: it must not be written to afterwards. */
  push(_chunk: Uint8Array): void {
    throw new Error('not built yet');
  }

  next(): Decoded {
    throw new Error('not built yet');
  }
}
