/**
 * `godwit unbatch`: on the server's side, publishes again what came in batches, message by message. Runs in the
 * foreground until SIGTERM or SIGINT; what it has taken is in its journal, and a kill loses nothing of it.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type BridgeConfig, bridgeSchema, journalSchema } from '../config/schema.js';
import { SystemClock } from '../core/clock.js';
import { GodwitError, reasonOf } from '../core/error.js';
import { createLog } from '../core/pino-log.js';
import { type BridgeEnd, Unbatcher } from '../gateway/unbatcher.js';
import { WorkerStorage } from '../storage/worker-storage.js';
import type { ExitCode } from './exit-code.js';
import { die, stopWithin, untilSignal } from './run.js';

export interface UnbatchOptions {
  readonly from: string;
  readonly to: string;
  readonly filter: string;
  readonly state?: string;
  readonly clientId: string;
  readonly fromUser?: string;
  readonly toUser?: string;
  readonly ca?: string;
  readonly protocol: '5' | '3.1.1';
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** Passwords come from the environment, where no other user of the machine reads them. */
const FROM_PASSWORD = 'GODWIT_FROM_PASSWORD';
const TO_PASSWORD = 'GODWIT_TO_PASSWORD';

export async function unbatch(options: UnbatchOptions): Promise<ExitCode> {
  const log = createLog({ level: options.logLevel });
  const clock = new SystemClock();
  const folder = resolve(options.state ?? process.env.STATE_DIRECTORY ?? 'godwit-unbatch');
  makeFolder(folder);
  const storage = new WorkerStorage({
    path: resolve(folder, 'unbatch.db'),
    // What was delivered is of no further use here: the gateway has its own history.
    config: journalSchema.parse({ max_age: '1h' }),
    ...{ log, clock, clockTrusted: () => true },
    onFatal: (fault) => die(log, fault),
  });
  const unbatcher = new Unbatcher({
    from: endOf(options, options.from, 'from'),
    to: endOf(options, options.to, 'to'),
    ...{ storage, clock, log },
    random: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  });
  process.on('uncaughtException', (fault) => die(log, fault));
  process.on('unhandledRejection', (fault) => die(log, fault));
  const ended = untilSignal();
  await unbatcher.start();
  const { from, to, filter } = options;
  log.info({ from, to, filter, state: folder }, 'Unbatching');
  const signal = await ended;
  log.info({ signal, ...unbatcher.counts }, 'Unbatching ends');
  return stopWithin(unbatcher, log);
}

function endOf(options: UnbatchOptions, server: string, side: 'from' | 'to'): BridgeEnd {
  const { ca, clientId, filter, fromUser, protocol, toUser } = options;
  const username = side === 'from' ? fromUser : toUser;
  const password = process.env[side === 'from' ? FROM_PASSWORD : TO_PASSWORD];
  const config: BridgeConfig = bridgeSchema.parse({
    servers: [server],
    version: protocol === '5' ? 5 : protocol,
    client_id: `${clientId}-${side}`,
    status: 'none',
    ...(username !== undefined && { username }),
    ...(side === 'from' && { receive: [{ filter, qos: 2 }] }),
  });
  return {
    config,
    secrets: {
      ...(password !== undefined && { password }),
      ...(ca !== undefined && { tls: { ca: readCa(ca) } }),
    },
  };
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new GodwitError(
      'UNBATCH_STATE',
      `The state folder ${folder} cannot be made (${reasonOf(cause)}): name another with --state`,
      { cause },
    );
  }
}

function readCa(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new GodwitError(
      'UNBATCH_CA',
      `The file of authorities ${file} cannot be read: ${reasonOf(cause)}`,
      {
        cause,
      },
    );
  }
}
