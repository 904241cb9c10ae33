/**
 * The RTS line as the direction of an RS-485 driver that does not find it by itself:
 *
 *   rest ──send──▶ sending level ──before──▶ bytes ──drained──after──▶ rest
 *
 * From user space the end of the last stop bit cannot be seen, only that the kernel has handed everything to the
 * hardware. A driver that stays on too long swallows the beginning of a quick answer; where that happens, let the
 * kernel (TIOCSRS485) or the adapter switch.
 */

import { setTimeout as pause } from 'node:timers/promises';

export interface RtsSettings {
  readonly mode: 'on' | 'off' | 'while-sending' | 'while-receiving';
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** What of a serial port is needed here. */
export interface RtsPort {
  readonly isOpen: boolean;
  set(lines: { readonly rts: boolean }, done: (fault: Error | null) => void): void;
  write(bytes: Uint8Array): void;
  drain(done: (fault: Error | null) => void): void;
}

export class RtsSwitch {
  readonly #port: RtsPort;
  readonly #settings: RtsSettings;

  constructor(port: RtsPort, settings: RtsSettings) {
    this.#port = port;
    this.#settings = settings;
  }

  /** The level while nothing is sent. Rejects where the port has no such line. */
  rest(): Promise<void> {
    return this.#set(this.#settings.mode === 'on' || this.#settings.mode === 'while-receiving');
  }

  async send(bytes: Uint8Array): Promise<void> {
    const { mode, beforeMs, afterMs } = this.#settings;
    if (!this.#port.isOpen) return;
    if (mode === 'on' || mode === 'off') {
      this.#port.write(bytes);
      return;
    }
    await this.#set(mode === 'while-sending');
    if (beforeMs > 0) await pause(beforeMs);
    // Unplugged in the meantime: what is written now would be sent when it is back.
    if (!this.#port.isOpen) return;
    this.#port.write(bytes);
    await new Promise<void>((resolve, reject) => {
      this.#port.drain((fault) => (fault === null ? resolve() : reject(fault)));
    });
    if (afterMs > 0) await pause(afterMs);
    await this.rest();
  }

  #set(rts: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#port.set({ rts }, (fault) => (fault === null ? resolve() : reject(fault)));
    });
  }
}
