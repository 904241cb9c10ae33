/**
 * The gateway's own HTTP server, used twice: on the Unix socket that the command line speaks to (mode 0660: who
 * may, is decided by the file's owner and group), and on `http.listen` where the configuration has it.
 *
 *   request ──▶ table of routes ──▶ answer (JSON or text), no-store
 *
 * Everything a client sends is bounded in size and time, and so is the number of clients.
 */
import { chmodSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ListenOptions } from 'node:net';
import { GodwitError, reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Part } from '../core/part.js';
import type { Snapshot } from '../core/snapshot.js';
import { LineStream } from './line-stream.js';
import { jsonAnswer, type Route, type StreamRoute, type WebAnswer } from './route.js';
import { clearSocketFile } from './socket-file.js';
import { statusRoutes } from './status-routes.js';

export interface WebServerOptions {
  /** Beside the journal: `godwit.sock`. */
  readonly socketPath: string;
  /** `http://HOST:PORT`; absent: the Unix socket alone. */
  readonly listen?: string;
  readonly snapshot: () => Snapshot;
  readonly log: Log;
  readonly routes?: readonly (Route | StreamRoute)[];
}

export class WebServer implements Part {
  readonly name = 'web';
  readonly #options: WebServerOptions;
  readonly #routes: readonly (Route | StreamRoute)[];
  #servers: Server[] = [];
  #url: string | undefined;
  #answerFailed = false;

  constructor(options: WebServerOptions) {
    this.#options = options;
    this.#routes = [...statusRoutes(options.snapshot), ...(options.routes ?? [])];
  }

  /** Where the page is, with the real port number; undefined where the configuration has no `http.listen`. */
  get url(): string | undefined {
    return this.#url;
  }

  async start(): Promise<void> {
    const { socketPath, listen } = this.#options;
    await clearSocketFile(socketPath);
    await this.#listen({ path: socketPath }, true, socketPath);
    // Until here the mode was that of the umask, which lets no other user write: nobody could have connected.
    chmodSync(socketPath, 0o660);
    if (listen === undefined) return;
    const { hostname, port } = new URL(listen);
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const server = await this.#listen({ host, port: port === '' ? 80 : Number(port) }, false, listen);
    const address = server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    this.#url = `http://${hostname}:${bound}`;
  }

  async stop(): Promise<void> {
    const servers = this.#servers;
    this.#servers = [];
    await Promise.all(
      servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
  }

  #listen(where: ListenOptions, isSocket: boolean, shown: string): Promise<Server> {
    const server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: HEADERS_MS_MAX,
        requestTimeout: REQUEST_MS_MAX,
        keepAliveTimeout: IDLE_MS_MAX,
        connectionsCheckingInterval: 1000,
      },
      (request, response) => void this.#serve(request, response, isSocket),
    );
    server.maxConnections = CONNECTIONS_MAX;
    server.maxHeadersCount = HEADERS_MAX;
    // A client that does not read its answer.
    server.setTimeout(REQUEST_MS_MAX, (socket) => socket.destroy());
    return new Promise((resolve, reject) => {
      server.once('error', (fault: NodeJS.ErrnoException) => reject(listenFault(fault, shown)));
      server.listen(where, () => {
        server.removeAllListeners('error');
        server.on('error', (fault) =>
          this.#options.log.warn({ address: shown, reason: reasonOf(fault) }, 'HTTP server had a fault'),
        );
        this.#servers.push(server);
        resolve(server);
      });
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse, isSocket: boolean): Promise<void> {
    let answer: (WebAnswer & { readonly allow?: string }) | undefined;
    try {
      answer = await this.#answer(request, response, isSocket);
      this.#answerFailed = false;
    } catch (fault) {
      // The client left while it was sending.
      if (request.errored !== null) return;
      if (!this.#answerFailed) {
        this.#options.log.error({ path: request.url, fault }, 'HTTP request could not be answered');
      }
      this.#answerFailed = true;
      answer = jsonAnswer(500, { error: 'the gateway could not answer; its log says why' });
    }
    if (answer === undefined || response.destroyed) return;
    const body = Buffer.from(answer.body);
    response.writeHead(answer.status, {
      'content-type': answer.type,
      'content-length': body.length,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(answer.allow === undefined ? {} : { allow: answer.allow }),
      // What is left of a body that was not read must not be taken for the next request.
      ...(request.complete ? {} : { connection: 'close' }),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  /** undefined: it is a stream, and answers by itself. */
  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    isSocket: boolean,
  ): Promise<(WebAnswer & { readonly allow?: string }) | undefined> {
    const [path = '', query = ''] = splitOnce(request.url ?? '', '?');
    const known = this.#routes.filter((route) => route.path === path && (isSocket || !route.onlySocket));
    if (known.length === 0) return jsonAnswer(404, { error: `there is nothing at ${path}` });
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const route = known.find((candidate) => candidate.method === method);
    if (route === undefined) {
      const allow = known.map((one) => (one.method === 'GET' ? 'GET, HEAD' : one.method)).join(', ');
      return {
        ...jsonAnswer(405, { error: `${path} does not take ${request.method}, but ${allow}` }),
        allow,
      };
    }
    if ('stream' in route) {
      const lines = new LineStream(response);
      const opened = route.stream({ query: new URLSearchParams(query), body: new Uint8Array(0) }, lines);
      if ('error' in opened) return jsonAnswer(400, opened);
      lines.begin(request.method === 'HEAD', opened.stop);
      return undefined;
    }
    const body = route.method === 'POST' ? await readBody(request) : new Uint8Array(0);
    if (body === undefined) {
      return jsonAnswer(413, { error: `a body may have ${BODY_BYTES_MAX} bytes at most` });
    }
    return route.answer({ query: new URLSearchParams(query), body });
  }
}

/** A browser opens six; the page, a probe, a scraper and some commands fit well. */
const CONNECTIONS_MAX = 64;
const HEADER_BYTES_MAX = 8 * 1024;
const HEADERS_MAX = 100;
const BODY_BYTES_MAX = 64 * 1024;
const HEADERS_MS_MAX = 5000;
const REQUEST_MS_MAX = 10_000;
const IDLE_MS_MAX = 5000;

/** undefined: larger than allowed. */
async function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    bytes += (part as Buffer).length;
    if (bytes > BODY_BYTES_MAX) return undefined;
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
}

function splitOnce(text: string, mark: string): [string, string?] {
  const at = text.indexOf(mark);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function listenFault(fault: NodeJS.ErrnoException, shown: string): GodwitError {
  const options = { address: shown, cause: fault };
  switch (fault.code) {
    case 'EADDRINUSE':
      return new GodwitError(
        'ADDRESS_IN_USE',
        `${shown} is in use by another program: stop that program or change http.listen`,
        options,
      );
    case 'EACCES':
    case 'EPERM':
      return new GodwitError(
        'ADDRESS_NOT_ALLOWED',
        `This user may not listen on ${shown}: use a port above 1023, or a folder that may be written`,
        options,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new GodwitError(
        'ADDRESS_UNKNOWN',
        `This machine has no address ${shown}: change http.listen to one of its own, or to 0.0.0.0`,
        options,
      );
    default:
      return new GodwitError('LISTEN_FAILED', `Cannot listen on ${shown}: ${fault.message}`, options);
  }
}
