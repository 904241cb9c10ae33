/** A two-way stream of bytes to hardware: a serial port or a TCP connection. It ends once, and says why. */
export interface ByteStream {
  write(bytes: Uint8Array): void;
  /** Ends it; `onClosed` is not called any more. */
  close(): void;
}

export interface StreamListener {
  onBytes(bytes: Uint8Array): void;
  /** It ended by itself: unplugged, closed or reset by the peer. */
  onClosed(why: string): void;
}

/** Resolves once bytes can be sent, rejects with a GodwitError whose message tells what is wrong and what to do. */
export type OpenStream = (listener: StreamListener, signal: AbortSignal) => Promise<ByteStream>;
