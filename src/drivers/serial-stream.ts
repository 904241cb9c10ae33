/**
 * A serial port as a ByteStream, with its faults in one sentence each. The only file that knows `serialport`; its
 * native binding is loaded when the first port is opened.
 */

import { GodwitError, reasonOf } from '../core/error.js';
import type { ByteStream, OpenStream, StreamListener } from './byte-stream.js';
import { type RtsSettings, RtsSwitch } from './rts-switch.js';
import { openFaultSentence } from './serial-port-advice.js';

export interface SerialSettings {
  readonly path: string;
  readonly baudRate: number;
  readonly parity: 'none' | 'even' | 'odd';
  readonly dataBits: 7 | 8;
  readonly stopBits: 1 | 2;
  readonly flowControl?: 'none' | 'hardware' | 'software';
  readonly rts?: RtsSettings;
}

export function serialStream(settings: SerialSettings): OpenStream {
  return (listener, signal) => openPort(settings, listener, signal);
}

async function openPort(
  settings: SerialSettings,
  listener: StreamListener,
  signal: AbortSignal,
): Promise<ByteStream> {
  const { SerialPort } = await import('serialport');
  // A port object is used for one opening: one that lost its device would keep what was written and send it
  // minutes later. hupcl off: opening must not toggle DTR, which resets Arduino-like devices.
  const { flowControl, rts, ...plain } = settings;
  const port = new SerialPort({
    ...plain,
    rtscts: flowControl === 'hardware',
    xon: flowControl === 'software',
    xoff: flowControl === 'software',
    autoOpen: false,
    hupcl: false,
  });
  let ended = false;
  // Faults show as a close (a port lost at the very moment of opening only with the next write); without a listener
  // they would end the process.
  port.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    port.open((error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  }).catch(async (fault: unknown) => {
    const sentence = await openFaultSentence(reasonOf(fault), settings.path);
    throw new GodwitError('BUS_DOWN', sentence, { path: settings.path });
  });
  const close = (): void => {
    if (ended) return;
    ended = true;
    // It may be gone already; then there is nothing left to close.
    if (port.isOpen) port.close(() => undefined);
  };
  if (signal.aborted) {
    close();
    throw new GodwitError('BUS_DOWN', 'stopped', { path: settings.path });
  }
  port.on('data', (bytes: Uint8Array) => {
    if (!ended) listener.onBytes(bytes);
  });
  port.on('close', () => {
    if (ended) return;
    ended = true;
    listener.onClosed(`${settings.path} was unplugged or its driver gave up; plug it in again`);
  });
  // What came before we asked for anything answers nobody.
  port.flush(() => undefined);
  if (rts === undefined) {
    return {
      write: (bytes) => {
        if (port.isOpen) port.write(bytes);
      },
      close,
    };
  }
  const lineSwitch = new RtsSwitch(port, rts);
  try {
    await lineSwitch.rest();
  } catch (fault) {
    close();
    throw new GodwitError(
      'BUS_DOWN',
      `${settings.path} has no RTS line to switch (${reasonOf(fault)}); remove rts`,
      {
        path: settings.path,
      },
    );
  }
  return { write: (bytes) => void lineSwitch.send(bytes).catch(() => undefined), close };
}
