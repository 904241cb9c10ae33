/**
 * The thread in which a driver of the user's own runs: loads the file, checks its options, opens it, and does what the
 * gateway asks, one message at a time. Whatever it throws becomes a message.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { FromHost, HostStart, ToHost } from './host-protocol.js';
import type { OptionsCheck, UserBus, UserDevice, UserDriver, UserDriverFile } from './user-driver.js';

/** Longer than any sentence; a stack trace is not for a status page. */
const TEXT_MAX = 500;

const port = parentPort;
if (port === null) throw new Error('this file is the body of a worker thread');

const say = (message: FromHost): void => port.postMessage(message);
const wordsOf = (fault: unknown): string =>
  String(fault instanceof Error ? fault.message : fault).slice(0, TEXT_MAX);

function checked(check: OptionsCheck | undefined, options: unknown): unknown {
  if (check === undefined) return options ?? {};
  return typeof check === 'function' ? check(options ?? {}) : check.parse(options ?? {});
}

async function open(start: HostStart): Promise<UserDriver> {
  const file = (await import(start.url)) as UserDriverFile;
  if (typeof file.open !== 'function') throw new Error('the driver exports no function open');
  const devices: Record<string, UserDevice> = {};
  for (const [name, device] of Object.entries(start.devices)) {
    const points = Object.entries(device.points).map(([point, { options, writable }]) => [
      point,
      { options: checked(file.options?.point, options), writable },
    ]);
    devices[name] = {
      options: checked(file.options?.device, device.options),
      points: Object.fromEntries(points),
    };
  }
  const log = (level: 'info' | 'warn' | 'error') => (text: string) =>
    say({ kind: 'log', level, text: String(text).slice(0, TEXT_MAX) });
  const bus: UserBus = {
    name: start.name,
    options: checked(file.options?.bus, start.options),
    devices,
    publish: (device, values) => say({ kind: 'published', device: String(device), values }),
    log: { info: log('info'), warn: log('warn'), error: log('error') },
  };
  const driver = await file.open(bus);
  if (typeof driver?.read !== 'function') throw new Error('open gave back nothing with a function read');
  return driver;
}

async function carryOut(driver: UserDriver, message: ToHost): Promise<unknown> {
  switch (message.kind) {
    case 'read':
      return driver.read(message.device, message.points);
    case 'write':
      if (driver.write === undefined) throw new Error('the driver has no function write');
      return driver.write(message.device, message.point, message.value);
    case 'close':
      return driver.close?.();
  }
}

open(workerData as HostStart).then(
  (driver) => {
    port.on('message', (message: ToHost) => {
      carryOut(driver, message).then(
        (result) => {
          try {
            say({ kind: 'done', id: message.id, result });
          } catch (fault) {
            // A value that no message can carry, such as a function.
            say({ kind: 'failed', id: message.id, why: wordsOf(fault) });
          }
        },
        (fault: unknown) => say({ kind: 'failed', id: message.id, why: wordsOf(fault) }),
      );
    });
    say({ kind: 'opened' });
  },
  (fault: unknown) => say({ kind: 'refused', why: wordsOf(fault) }),
);
