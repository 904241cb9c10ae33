/**
 * Lines through /sys/class/gpio, which Pi kernels still have. The only file that knows `onoff`; its native part is
 * loaded when the first line is opened.
 *
 * onoff opens a line in one stretch, waiting for udev to set its permissions: lines are opened one by one.
 */
import { join } from 'node:path';
import type { Clock } from '../../core/clock.js';
import { reasonOf } from '../../core/error.js';
import { errnoOf, readIfThere } from '../kernel-file.js';
import { sysfsChips, sysfsNumber } from './chips.js';
import type { GpioBackend, GpioPort, LineListener, LineRequest } from './gpio-port.js';

/** What is used of onoff's Gpio. */
export interface OnoffGpio {
  read(): Promise<0 | 1>;
  write(value: 0 | 1): Promise<void>;
  watch(callback: (error: Error | null | undefined, value: 0 | 1) => void): void;
  unwatchAll(): void;
  unexport(): void;
  direction(): string;
  edge(): string;
}

export type OnoffGpioClass = new (
  gpio: number,
  direction: 'in' | 'out' | 'high' | 'low',
  edge?: 'none' | 'both',
  options?: { readonly activeLow?: boolean; readonly reconfigureDirection?: boolean },
) => OnoffGpio;

async function loadOnoff(): Promise<OnoffGpioClass> {
  try {
    return (await import('onoff')).Gpio as unknown as OnoffGpioClass;
  } catch (fault) {
    throw new Error(
      `the package onoff is not installed or not built for this machine (${reasonOf(fault).split('\n')[0]}); install python3, make and g++ and run npm install again, or set backend: chardev`,
    );
  }
}

export class SysfsBackend implements GpioBackend {
  readonly kind = 'sysfs';
  readonly #root: string;
  readonly #clock: Clock;
  readonly #load: () => Promise<OnoffGpioClass>;

  constructor(root: string, clock: Clock, load: () => Promise<OnoffGpioClass> = loadOnoff) {
    this.#root = root;
    this.#clock = clock;
    this.#load = load;
  }

  async open(request: LineRequest, listener: LineListener): Promise<GpioPort> {
    const Gpio = await this.#load();
    const number = sysfsNumber(request.line, await sysfsChips(this.#root));
    try {
      const gpio = await this.#make(Gpio, number, request);
      return new SysfsPort(gpio, request, listener, this.#clock);
    } catch (fault) {
      throw new Error(sentenceOf(fault, number));
    }
  }

  async #make(Gpio: OnoffGpioClass, number: number, request: LineRequest): Promise<OnoffGpio> {
    // A line that someone exported before keeps its settings where they cannot be changed, without a word.
    const wanted = { direction: request.direction, edge: request.direction === 'in' ? 'both' : undefined };
    const gpio = new Gpio(number, ...(await this.#settings(number, request)));
    const found = { direction: gpio.direction(), edge: wanted.edge === undefined ? undefined : gpio.edge() };
    if (found.direction === wanted.direction && found.edge === wanted.edge) return gpio;
    throw new Error(
      `its ${found.direction === wanted.direction ? 'edge' : 'direction'} cannot be set; another program has exported it: echo ${number} > /sys/class/gpio/unexport`,
    );
  }

  async #settings(
    number: number,
    { direction, initial }: LineRequest,
  ): Promise<
    [
      direction: 'in' | 'out' | 'high' | 'low',
      edge: 'none' | 'both',
      options: { activeLow: false; reconfigureDirection?: boolean },
    ]
  > {
    if (direction === 'in') return ['in', 'both', { activeLow: false }];
    if (initial !== undefined) return [initial ? 'high' : 'low', 'none', { activeLow: false }];
    // `out` would drive the line low for a moment: an output that is one already is left as it is.
    const before = await readIfThere(join(this.#root, 'class/gpio', `gpio${number}`, 'direction'));
    return before === 'out'
      ? ['out', 'none', { activeLow: false, reconfigureDirection: false }]
      : ['low', 'none', { activeLow: false }];
  }
}

class SysfsPort implements GpioPort {
  readonly #gpio: OnoffGpio;
  readonly #isOutput: boolean;
  #closed = false;

  constructor(gpio: OnoffGpio, request: LineRequest, listener: LineListener, clock: Clock) {
    this.#gpio = gpio;
    this.#isOutput = request.direction === 'out';
    if (this.#isOutput) return;
    gpio.watch((error, value) => {
      if (this.#closed) return;
      if (error !== null && error !== undefined) listener.onLost(reasonOf(error));
      else listener.onEdge(value === 1, clock.monotonicMs());
    });
  }

  async read(): Promise<boolean> {
    return (await this.#gpio.read()) === 1;
  }

  async write(high: boolean): Promise<void> {
    await this.#gpio.write(high ? 1 : 0);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#gpio.unwatchAll();
    // An output that is given back may become an input: a pump would go on its own way.
    if (!this.#isOutput) this.#gpio.unexport();
  }
}

function sentenceOf(fault: unknown, number: number): string {
  switch (errnoOf(fault)) {
    case 'EINVAL':
      return `line ${number} does not exist; correct the number`;
    case 'EBUSY':
      return `line ${number} is in use by another program or a driver of the kernel; gpioinfo shows by which`;
    case 'EACCES':
    case 'EPERM':
      return `line ${number} may not be used: permission denied; add the user to group gpio and log in again`;
    case 'EROFS':
      return `line ${number} cannot be used: /sys is read-only here; a systemd unit needs ProtectKernelTunables=no`;
    case 'ENODEV':
      return `line ${number} was given back by another program`;
    default:
      return `line ${number}: ${reasonOf(fault)}`;
  }
}
