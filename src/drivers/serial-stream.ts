/**
 * A serial port as a ByteStream, with its faults in one sentence each. The only file that knows `serialport`; its
 * native binding is loaded when the first port is opened.
 */

import { GodwitError, reasonOf } from '../core/error.js';
import type { ByteStream, OpenStream, StreamListener } from './byte-stream.js';

export interface SerialSettings {
  readonly path: string;
  readonly baudRate: number;
  readonly parity: 'none' | 'even' | 'odd';
  readonly dataBits: 7 | 8;
  readonly stopBits: 1 | 2;
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
  const port = new SerialPort({ ...settings, autoOpen: false, hupcl: false });
  let ended = false;
  // Faults show as a close (a port lost at the very moment of opening only with the next write); without a listener
  // they would end the process.
  port.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    port.open((error) => {
      if (error === null || error === undefined) resolve();
      else reject(new GodwitError('BUS_DOWN', sentenceOf(error, settings.path), { path: settings.path }));
    });
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
  return {
    write: (bytes) => {
      if (port.isOpen) port.write(bytes);
    },
    close,
  };
}

/** Open faults carry nothing but a message. */
function sentenceOf(error: Error, path: string): string {
  const text = reasonOf(error);
  if (text.includes('No such file')) return `${path} is missing; plug the adapter in or correct the path`;
  if (text.includes('Permission denied')) {
    return `${path} may not be opened: permission denied; add the user to group dialout and log in again`;
  }
  if (text.includes('Cannot lock port')) {
    return `${path} is locked: another program uses it; stop that program (a console on the UART counts too)`;
  }
  if (text.includes('Inappropriate ioctl') || text.includes('not a tty')) {
    return `${path} is not a serial port; correct the path`;
  }
  return `${path} cannot be opened: ${text}`;
}
