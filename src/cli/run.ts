/**
 * `godwit run`: the gateway in the foreground, until SIGTERM or SIGINT. SIGHUP reloads the configuration. A fault that
 * leaves nobody knowing what was acknowledged ends the process; systemd starts it again from the journal.
 */

import { type LoadedConfig, loadConfig } from '../config/load.js';
import type { ConfigError } from '../config/parse.js';
import { simulatedConfig } from '../config/simulated.js';
import { SystemClock } from '../core/clock.js';
import { GodwitError, reasonOf } from '../core/error.js';
import type { Log } from '../core/log.js';
import type { Part } from '../core/part.js';
import { createLog } from '../core/pino-log.js';
import { Gateway } from '../gateway/gateway.js';
import { SystemdNotifier } from '../gateway/sd-notify.js';
import { ExitCode } from './exit-code.js';
import { returnMemory } from './return-memory.js';

/** systemd and the contract give 10 s; the rest is for the kernel to take the process down. */
const STOP_MS_MAX = 9_000;

export async function run(file: string, simulate: boolean): Promise<ExitCode> {
  const load = (): LoadedConfig => loadAs(file, simulate);
  const loaded = load();
  const log = createLog({ level: loaded.config.log.level });
  const clock = new SystemClock();
  const gateway = new Gateway({ loaded, log, clock, onFatal: (fault) => die(log, fault) });
  const systemd = new SystemdNotifier({ clock, log });
  process.on('uncaughtException', (fault) => die(log, fault));
  process.on('unhandledRejection', (fault) => die(log, fault));
  const ended = untilSignal();
  await gateway.start();
  systemd.ready();
  returnMemory();
  if (simulate) log.warn({}, 'Devices are simulated: no bus is opened, and values are made up');
  reloadOnHangUp(gateway, load, log);
  const signal = await ended;
  log.info({ signal }, 'Gateway is stopping');
  systemd.stopping();
  return stopWithin(gateway, log);
}

/** Resolves at the first SIGTERM or SIGINT. A second one ends the process at once: the journal allows it. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(ExitCode.failed);
        asked = true;
        resolve(signal);
      });
    }
  });
}

export async function stopWithin(gateway: Pick<Part, 'stop'>, log: Log): Promise<ExitCode> {
  const limit = setTimeout(() => {
    log.error({ limitMs: STOP_MS_MAX }, 'Gateway did not stop in time and is ended; the journal is safe');
    process.exit(ExitCode.failed);
  }, STOP_MS_MAX);
  try {
    await gateway.stop();
    return ExitCode.done;
  } catch (fault) {
    log.error({ reason: reasonOf(fault) }, 'A part did not stop cleanly');
    return ExitCode.failed;
  } finally {
    clearTimeout(limit);
  }
}

function loadAs(file: string, simulate: boolean): LoadedConfig {
  const loaded = loadConfig(file, process.env);
  return simulate ? { ...loaded, config: simulatedConfig(loaded.config) } : loaded;
}

function reloadOnHangUp(gateway: Gateway, load: () => LoadedConfig, log: Log): void {
  let turn: Promise<void> = Promise.resolve();
  process.on('SIGHUP', () => {
    turn = turn.then(async () => {
      const loaded = tryLoad(load, log);
      if (loaded === undefined) return;
      await gateway.reload(loaded);
      returnMemory();
    });
    turn = turn.catch((fault: unknown) => {
      log.error({ reason: reasonOf(fault) }, 'Reloading the configuration failed half-way');
    });
  });
}

/** A configuration with mistakes is refused and the old one runs on. */
function tryLoad(load: () => LoadedConfig, log: Log): LoadedConfig | undefined {
  try {
    return load();
  } catch (fault) {
    const errors =
      fault instanceof GodwitError ? (fault.fields.errors as readonly ConfigError[] | undefined) : undefined;
    log.error(
      { reason: reasonOf(fault), errors: errors?.map((error) => error.line) },
      'New configuration has mistakes; the old one runs on',
    );
    return undefined;
  }
}

export function die(log: Log, fault: unknown): never {
  log.error(
    { reason: reasonOf(fault), stack: fault instanceof Error ? fault.stack : undefined },
    'Gateway cannot go on and ends; it starts again from the journal',
  );
  process.exit(ExitCode.failed);
}
