/** A byte stream to one client, whatever carries it: TCP now, TLS and WebSocket behind the same face. */
export interface Transport {
  readonly remoteAddress: string;
  /** Hands bytes over. True: taken at once, and the array may be written to again; false: it is kept until `drained`. */
  write(bytes: Uint8Array): boolean;
  /** Handed over and not yet taken by the kernel. */
  readonly pendingBytes: number;
  /** Sends what was handed over, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  /** Stops reading, so that TCP slows the client down. */
  pause(): void;
  resume(): void;
}

/** Who is told what happens on a Transport. */
export interface TransportUser {
  received(chunk: Uint8Array): void;
  drained(): void;
  /** The stream is gone, whoever ended it. Called once. */
  closed(): void;
}
