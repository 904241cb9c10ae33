/** An answer of JSON lines that goes on until the client leaves. One that does not read loses lines, not our memory. */
import type { ServerResponse } from 'node:http';
import type { LineSink } from './route.js';

/** A screen's worth many times over; behind that, nobody can be reading along. */
const PENDING_BYTES_MAX = 256 * 1024;

export class LineStream implements LineSink {
  readonly #response: ServerResponse;
  /** Said before the head has left: what is retained, for one. */
  #early: string | undefined = '';
  #dropped = 0;
  #ended = false;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  /** @param stop called once when it is over */
  begin(headOnly: boolean, stop: () => void): void {
    const response = this.#response;
    const early = this.#early;
    this.#early = undefined;
    response.once('close', stop);
    // A bus may be silent for as long as it likes; a client that is gone is seen by its socket.
    response.socket?.setTimeout(0);
    response.writeHead(200, {
      'content-type': 'application/x-ndjson; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    if (headOnly) response.end();
    else if (early === undefined || early === '') response.flushHeaders();
    else response.write(early);
    if (this.#ended) response.end();
  }

  say(value: unknown): void {
    const response = this.#response;
    if (response.destroyed || response.writableEnded) return;
    const pending = this.#early?.length ?? response.writableLength;
    if (pending > PENDING_BYTES_MAX) {
      this.#dropped += 1;
      return;
    }
    if (this.#dropped > 0) this.#write({ dropped: this.#dropped });
    this.#dropped = 0;
    this.#write(value);
  }

  end(): void {
    if (this.#early === undefined) this.#response.end();
    this.#ended = true;
  }

  #write(value: unknown): void {
    const line = `${JSON.stringify(value)}\n`;
    if (this.#early === undefined) this.#response.write(line);
    else this.#early += line;
  }
}
