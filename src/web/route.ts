/** One line of the server's table: what is asked for, and how it is answered. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** The socket is guarded by its file mode, the HTTP address by nothing: what changes something is for the socket. */
  readonly onlySocket?: boolean;
  readonly answer: (request: WebRequest) => WebAnswer | Promise<WebAnswer>;
}

/** An answer that goes on: lines of JSON until either side ends it. */
export interface StreamRoute {
  readonly method: 'GET';
  readonly path: string;
  readonly onlySocket?: boolean;
  /** `stop` is called once, when the client has gone or the server stops. */
  readonly stream: (
    request: WebRequest,
    lines: LineSink,
  ) => { readonly stop: () => void } | { readonly error: string };
}

export interface LineSink {
  /** For a client that does not keep up, lines are left out; it is told how many by `{"dropped":N}`. */
  say(value: unknown): void;
  /** There is no more to say. */
  end(): void;
}

export interface WebRequest {
  readonly query: URLSearchParams;
  /** Empty unless the method is POST. */
  readonly body: Uint8Array;
}

export interface WebAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export function jsonAnswer(status: number, value: unknown): WebAnswer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}
