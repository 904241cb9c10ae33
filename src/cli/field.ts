/**
 * The devices as a command sees them: through the gateway that runs on this configuration, or, where none runs, by a
 * driver that is opened for the one question. A gateway that runs has the port; it is never opened a second time.
 */
import { request } from 'node:http';
import { type LoadedConfig, loadConfig } from '../config/load.js';
import { profileFiles } from '../config/profile-files.js';
import type { BusConfig } from '../config/schema.js';
import { SystemClock } from '../core/clock.js';
import { GodwitError } from '../core/error.js';
import type { KeyValueDoor } from '../core/key-value.js';
import { createLog } from '../core/pino-log.js';
import type { Driver } from '../drivers/driver.js';
import { openDriver } from '../drivers/open-driver.js';
import {
  FieldDesk,
  type PlainFrame,
  type PlainReading,
  type PlainWrite,
  plainFrame,
  plainReading,
  plainWrite,
} from '../gateway/field-desk.js';
import { socketPathOf } from '../gateway/socket-path.js';
import type { ScanTold } from '../gateway/unit-scan.js';
import { controlFault, requestControl } from './control-client.js';

/** The slowest bus with all its retries; a gateway that is gone is noticed at once. */
const ANSWER_MS_MAX = 120_000;
/** A port that does not open says why within this. */
const OPEN_MS_MAX = 5000;

export class Field {
  readonly #file: string;
  readonly #socketPath: string;

  constructor(file: string) {
    this.#file = file;
    const { journalPath } = loadConfig(file, process.env, { only: ['gateway', 'journal'] });
    this.#socketPath = socketPathOf(journalPath);
  }

  async read(device: string, point: string | undefined): Promise<readonly PlainReading[]> {
    const answer = await this.#either(
      () => this.#post<{ readings: readonly PlainReading[] }>('/api/read', { device, point }),
      device,
      async (desk) => {
        const read = await desk.read(device, point);
        return 'error' in read ? read : { readings: read.readings.map(plainReading) };
      },
    );
    if ('error' in answer) throw new GodwitError('FIELD', answer.error);
    return answer.readings;
  }

  write(device: string, point: string, value: string): Promise<PlainWrite> {
    return this.#either(
      async () => {
        const answer = await this.#post<PlainWrite>('/api/write', { device, point, value });
        return 'ok' in answer ? answer : { ok: false, error: answer.error };
      },
      device,
      async (desk) => plainWrite(await desk.write(device, point, value)),
    );
  }

  async setInService(device: string, inService: boolean): Promise<void> {
    const answer = await this.#post<{ ok: true }>('/api/service', { device, inService });
    if ('error' in answer) throw new GodwitError('FIELD', answer.error);
  }

  /** Tells every frame until the signal says stop. */
  async trace(
    bus: string,
    tell: (frame: PlainFrame | { readonly dropped: number }) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const query = `/api/trace?bus=${encodeURIComponent(bus)}`;
    await this.#eitherOf(
      () => this.#lines(query, (line) => tell(line as PlainFrame), signal),
      async () => {
        const loaded = loadConfig(this.#file, process.env);
        const driver = await openAlone(loaded, bus, () => true);
        try {
          const desk = deskOf(loaded, bus, driver);
          const traced = desk.trace(bus, (frame) => tell(plainFrame(frame)));
          if ('error' in traced) throw new GodwitError('FIELD', traced.error);
          await driver.start();
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        } finally {
          await driver.stop();
        }
      },
    );
  }

  /** @param line settings of the serial line to try, one after the other; only where no gateway runs */
  async scan(
    bus: string,
    units: string,
    line: readonly LineTried[],
    tell: (told: ScanTold, line: LineTried | undefined) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const query = `/api/scan?bus=${encodeURIComponent(bus)}&units=${encodeURIComponent(units)}`;
    await this.#eitherOf(
      async () => {
        if (line.length > 0) {
          await requestControl(this.#socketPath, '/healthz');
          throw new GodwitError(
            'FIELD',
            'A gateway runs and has the line at one speed: stop it to try others',
          );
        }
        await this.#lines(query, (said) => tell(said as ScanTold, undefined), signal);
      },
      async () => {
        const loaded = loadConfig(this.#file, process.env);
        for (const tried of line.length === 0 ? [undefined] : line) {
          if (signal.aborted) return;
          await scanAlone(loaded, bus, units, tried, (told) => tell(told, tried), signal);
        }
      },
    );
  }

  /** Messages as they are published; only of a gateway that runs. */
  watch(filter: string, tell: (message: unknown) => void, signal: AbortSignal): Promise<void> {
    return this.#lines(`/api/watch?filter=${encodeURIComponent(filter)}`, tell, signal);
  }

  async #either<Answer>(
    running: () => Promise<Answer>,
    device: string,
    alone: (desk: FieldDesk) => Promise<Answer>,
  ): Promise<Answer> {
    return this.#eitherOf(running, async () => {
      const loaded = loadConfig(this.#file, process.env);
      const bus = loaded.config.devices[device]?.bus;
      if (bus === undefined) return alone(deskOf(loaded, '', undefined));
      // The other devices of the bus are left alone.
      const driver = await openAlone(loaded, bus, (name) => name === device);
      try {
        await driver.start();
        await opened(driver);
        return await alone(deskOf(loaded, bus, driver));
      } finally {
        await driver.stop();
      }
    });
  }

  async #eitherOf<Answer>(running: () => Promise<Answer>, alone: () => Promise<Answer>): Promise<Answer> {
    try {
      return await running();
    } catch (fault) {
      if (fault instanceof GodwitError && fault.code === 'NOT_RUNNING') return alone();
      throw fault;
    }
  }

  async #post<Answer>(path: string, body: object): Promise<Answer | { error: string }> {
    const options = { method: 'POST', body: JSON.stringify(body), silenceMsMax: ANSWER_MS_MAX } as const;
    const answer = await requestControl(this.#socketPath, path, options);
    return JSON.parse(answer.body) as Answer | { error: string };
  }

  #lines(path: string, tell: (line: unknown) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const ask = request({ socketPath: this.#socketPath, path, agent: false, signal }, (response) => {
        let rest = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          const lines = (rest + text).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) {
            const said = JSON.parse(line) as { error?: string };
            if (response.statusCode === 200 && said.error === undefined) tell(said);
            else
              reject(new GodwitError('FIELD', said.error ?? `The gateway answered ${response.statusCode}`));
          }
        });
        response.on('error', () => {});
        response.on('close', () =>
          signal.aborted || response.complete
            ? resolve()
            : reject(new GodwitError('NO_ANSWER', 'The gateway has stopped')),
        );
      });
      ask.on('error', (fault: NodeJS.ErrnoException) => {
        if (signal.aborted) resolve();
        else reject(controlFault(fault, this.#socketPath));
      });
      ask.end();
    });
  }
}

/** How a serial line may be set. */
export interface LineTried {
  readonly baud_rate: number;
  readonly parity: 'none' | 'even' | 'odd';
}

async function scanAlone(
  loaded: LoadedConfig,
  bus: string,
  units: string,
  line: LineTried | undefined,
  tell: (told: ScanTold) => void,
  signal: AbortSignal,
): Promise<void> {
  const driver = await openAlone(loaded, bus, () => false, line);
  try {
    await driver.start();
    await opened(driver);
    const { state, reason } = driver.snapshot();
    if (state !== 'up')
      throw new GodwitError('FIELD', `Bus ${bus} cannot be used: ${reason ?? 'it does not open'}`);
    await new Promise<void>((resolve, reject) => {
      const scan = deskOf(loaded, bus, driver).scan(bus, units, tell, (fault) =>
        fault === undefined ? resolve() : reject(fault as Error),
      );
      if ('error' in scan) reject(new GodwitError('FIELD', scan.error));
      else signal.addEventListener('abort', scan.stop, { once: true });
    });
  } finally {
    await driver.stop();
  }
}

function deskOf(loaded: LoadedConfig, bus: string, driver: Driver | undefined): FieldDesk {
  return new FieldDesk({
    devices: () => loaded.config.devices,
    buses: () => Object.keys(loaded.config.buses),
    driver: (name) => (name === bus ? driver : undefined),
    profiles: () => profileFiles(loaded.folder),
    committed: async () => {},
    watch: () => () => {},
  });
}

/** Devices are polled too while it is open; nobody is told, and nothing is remembered. */
async function openAlone(
  loaded: LoadedConfig,
  bus: string,
  isAsked: (device: string) => boolean,
  line?: LineTried,
): Promise<Driver> {
  const config = loaded.config.buses[bus];
  if (config === undefined) {
    throw new GodwitError(
      'FIELD',
      `There is no bus ${bus}; there are ${Object.keys(loaded.config.buses).join(', ') || 'none'}`,
    );
  }
  const clock = new SystemClock();
  return openDriver({
    bus,
    config: { ...config, ...line } as BusConfig,
    devices: new Map(
      Object.entries(loaded.config.devices).filter(([name, device]) => device.bus === bus && isAsked(name)),
    ),
    sink: { readings: () => {}, device: () => {} },
    clock,
    stamp: () => ({ wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs(), bootId: '', trusted: true }),
    log: createLog({ level: 'error' }),
    keyValue: forgetful(),
    random: Math.random,
  });
}

/** Until the bus is up, or says why it is not. */
async function opened(driver: Driver): Promise<void> {
  const untilMs = performance.now() + OPEN_MS_MAX;
  while (driver.snapshot().state === 'connecting' && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function forgetful(): KeyValueDoor {
  const kept = new Map<string, Uint8Array>();
  return {
    get: (key) => kept.get(key),
    put: (key, value) => void kept.set(key, value),
    remove: (key) => void kept.delete(key),
    entries: () => kept.entries(),
  };
}
