/**
 * `godwit demo`: the whole gateway on simulated devices, with its journal in a temporary folder that goes away
 * with it. Written for a person who sees godwit for the first time.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEMO_CONFIG } from '../config/demo.js';
import { describeConfig, renderReport } from '../config/describe.js';
import type { LoadedConfig } from '../config/load.js';
import { parseConfig } from '../config/parse.js';
import type { Config } from '../config/schema.js';
import { NO_SECRETS } from '../config/secrets.js';
import { SystemClock } from '../core/clock.js';
import { GodwitError, invariant } from '../core/error.js';
import { createLog } from '../core/pino-log.js';
import type { Snapshot } from '../core/snapshot.js';
import { Gateway } from '../gateway/gateway.js';
import type { ExitCode } from './exit-code.js';
import { stopWithin, untilSignal } from './run.js';

const LINE_MS = 1000;

export async function demo(): Promise<ExitCode> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-demo-'));
  // Also when the process ends in a hurry: the folder is only worth something while it runs.
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const { config } = parseConfig(DEMO_CONFIG, 'demo', process.env);
  invariant(config !== undefined, 'the built-in configuration is valid');
  const log = createLog({ level: 'warn' });
  const ended = untilSignal();
  const { gateway, portTaken } = await startOnFreePort(config, folder, log);
  say(config, gateway, portTaken, folder);
  const timer = setInterval(() => process.stdout.write(`${liveLine(gateway)}\n`), LINE_MS);
  await ended;
  clearInterval(timer);
  process.stdout.write('\nStopping… ');
  const exitCode = await stopWithin(gateway, log);
  process.stdout.write('stopped.\n');
  return exitCode;
}

async function startOnFreePort(
  config: Config,
  folder: string,
  log: ReturnType<typeof createLog>,
): Promise<{ gateway: Gateway; portTaken: boolean }> {
  const create = (used: Config): Gateway => {
    const loaded: LoadedConfig = {
      config: used,
      file: 'demo',
      folder,
      journalPath: join(folder, 'journal.db'),
      secrets: NO_SECRETS,
    };
    return new Gateway({
      loaded,
      log,
      clock: new SystemClock(),
      onFatal: (fault) => {
        throw fault;
      },
    });
  };
  const gateway = create(config);
  try {
    await gateway.start();
    return { gateway, portTaken: false };
  } catch (fault) {
    if (!(fault instanceof GodwitError) || fault.code !== 'ADDRESS_IN_USE') throw fault;
    const free = create({
      ...config,
      broker: { ...config.broker, listeners: [{ url: 'mqtt://127.0.0.1:0' }] },
    });
    await free.start();
    return { gateway: free, portTaken: true };
  }
}

function say(config: Config, gateway: Gateway, portTaken: boolean, folder: string): void {
  const url = gateway.brokerUrls[0] ?? '';
  const port = new URL(url).port;
  const lines = [
    'godwit demo: simulated devices, a real gateway.',
    '',
    renderReport(describeConfig(config), process.stdout.isTTY === true).trimEnd(),
    '',
    portTaken ? `Port 1883 is taken, so a free one is used. Broker: ${url}` : `Broker: ${url}`,
    `Journal: ${folder} (removed at the end)`,
    '',
    'Watch it from another terminal:',
    '',
    `  mosquitto_sub -h 127.0.0.1 -p ${port} -t 'demo/#' -t 'godwit/#' -v`,
    '',
    'Ctrl-C stops it.',
    '',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** What a person wants to see each second: the time, a few values, and that it counts. */
function liveLine(gateway: Gateway): string {
  const snapshot = gateway.snapshot();
  const time = new Date(snapshot.clock.now).toLocaleTimeString('en-GB');
  const devices = Object.entries(snapshot.devices).map(([name, device]) => `${name} ${deviceWords(device)}`);
  return `${time}  ${devices.join(' | ')} | ${gateway.readingsTaken} readings, ${snapshot.journal.records} records, ${snapshot.broker.connections} clients`;
}

function deviceWords(device: Snapshot['devices'][string]): string {
  if (device.state === 'offline') return `offline (${device.reason ?? 'no answer'})`;
  const points = Object.values(device.points).slice(0, 2);
  if (points.length === 0) return '…';
  return points
    .map((point) =>
      point.value === null ? '-' : `${point.value}${point.unit === undefined ? '' : ` ${point.unit}`}`,
    )
    .join(' ');
}
