/** Real processes for end-to-end tests: godwit, mosquitto, mosquitto_sub. Waits are for events, never for time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect as tcpConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');
export const MAIN = join(ROOT, 'dist', 'main.js');

/** A folder of its own for a test, and the way to remove it. */
export function scratch(): { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-test-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A child process whose output lines can be waited for. */
export class Running {
  readonly process: ChildProcess;
  readonly #what: string;
  #lines: string[] = [];
  #errors = '';
  #partial = '';
  readonly #waiting = new Set<() => void>();
  #ended = false;

  constructor(what: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.#what = what;
    this.process = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (this.#partial + text).split('\n');
      this.#partial = parts.pop() ?? '';
      this.#lines.push(...parts);
      this.#wake();
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
      this.#wake();
    });
    this.process.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
    this.process.on('error', (fault) => {
      this.#errors += String(fault);
      this.#ended = true;
      this.#wake();
    });
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  get errors(): string {
    return this.#errors;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The first line, from the beginning, that satisfies; fails when the process ends or time is up. */
  async line(satisfies: (line: string) => boolean, limitMs = 20_000): Promise<string> {
    await this.until(() => this.#lines.some(satisfies), limitMs);
    return this.#lines.find(satisfies) as string;
  }

  async until(condition: () => boolean, limitMs = 20_000): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const finish = (run: () => void): void => {
        clearTimeout(limit);
        this.#waiting.delete(check);
        run();
      };
      const tail = (): string => `${this.#lines.slice(-15).join('\n')}\n${this.#errors.slice(-3000)}`;
      const check = (): void => {
        if (condition()) finish(resolve);
        else if (this.#ended) finish(() => reject(new Error(`${this.#what} ended first:\n${tail()}`)));
      };
      const limit = setTimeout(
        () => finish(() => reject(new Error(`${this.#what}: waited ${limitMs} ms in vain:\n${tail()}`))),
        limitMs,
      );
      this.#waiting.add(check);
      check();
    });
  }

  /** Sends the signal and waits for the end; the exit code, or null where a signal ended it. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return this.process.exitCode;
    this.process.kill(signal);
    return this.exit();
  }

  async exit(): Promise<number | null> {
    if (!this.#ended) await once(this.process, 'close');
    return this.process.exitCode;
  }

  #wake(): void {
    for (const check of [...this.#waiting]) check();
  }
}

/** godwit itself, from dist, as a user starts it. */
export function godwit(args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  return new Running(`godwit ${args.join(' ')}`, process.execPath, [MAIN, ...args], {
    ...process.env,
    ...env,
  });
}

export async function runningGateway(configFile: string, env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const gateway = godwit(['run', '-c', configFile], env);
  await gateway.line((line) => line.includes('Gateway is running'));
  return gateway;
}

/** mosquitto as the upstream: it keeps everything, since its default drops what it acknowledged. */
export async function runningMosquitto(
  folder: string,
  port: number,
  extra: readonly string[] = [],
): Promise<Running> {
  const file = join(folder, `mosquitto-${port}.conf`);
  writeFileSync(
    file,
    [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      'persistence true',
      `persistence_location ${folder}/`,
      `persistence_file mosquitto-${port}.db`,
      'max_queued_messages 0',
      'max_inflight_messages 1000',
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      ...extra,
      '',
    ].join('\n'),
  );
  const broker = new Running('mosquitto', '/usr/sbin/mosquitto', ['-c', file]);
  await broker.until(
    () => / running$/m.test(broker.errors) || broker.lines.some((line) => line.endsWith(' running')),
  );
  await accepting(port);
  return broker;
}

/** Resolves when something accepts connections there. */
export async function accepting(port: number): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const socket = tcpConnect(port, '127.0.0.1');
    const up = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (up) return;
    if (attempt > 200) throw new Error(`nothing listens on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** mosquitto_sub with `topic payload` lines; resolves once its subscription stands. */
export async function subscribed(port: number, args: readonly string[]): Promise<Running> {
  // Its standard output is a pipe here, so lines would wait for a full block.
  const subscriber = new Running('mosquitto_sub', 'stdbuf', [
    '-oL',
    'mosquitto_sub',
    '-h',
    '127.0.0.1',
    '-p',
    String(port),
    '-d',
    ...(args.includes('-F') ? [] : ['-F', '~ %t %q %r %p']),
    ...args,
  ]);
  await subscriber.until(() =>
    [...subscriber.lines, subscriber.errors].some(
      (text) => text.includes('received SUBACK') || text.includes('Subscribed (mid'),
    ),
  );
  return subscriber;
}

/** What a `subscribed` process has received so far. */
export function received(
  subscriber: Running,
): { topic: string; qos: number; retain: boolean; payload: string }[] {
  return subscriber.lines.flatMap((line) => {
    const match = /^~ (\S+) (\d) (\d) (.*)$/.exec(line);
    return match === null
      ? []
      : [
          {
            topic: match[1] as string,
            qos: Number(match[2]),
            retain: match[3] === '1',
            payload: match[4] as string,
          },
        ];
  });
}
