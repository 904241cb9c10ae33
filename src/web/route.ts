/** One line of the server's table: what is asked for, and how it is answered. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** The socket is guarded by its file mode, the HTTP address by nothing: what changes something is for the socket. */
  readonly onlySocket?: boolean;
  readonly answer: (request: WebRequest) => WebAnswer | Promise<WebAnswer>;
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
