/**
 * Lines through the character device, held by the tools of the package gpiod as child processes: gpiomon for an
 * input, gpioset for an output. No native code, pull resistors, and the kernel's own time for each edge.
 *
 * An input's first level is asked for before gpiomon takes the line; an edge in between shows with the next one, as
 * the same level twice. The gpioset of libgpiod 1.x cannot change a value: another one takes its place, and for some
 * milliseconds nobody drives the line.
 */
import type { Clock } from '../../core/clock.js';
import { reasonOf } from '../../core/error.js';
import { chipOf } from './chips.js';
import type { GpioBackend, GpioPort, LineListener, LineRequest } from './gpio-port.js';
import {
  chipsIn,
  edgeIn,
  type Generation,
  generationIn,
  getArguments,
  monitorArguments,
  setArguments,
  type ToolChip,
} from './gpiod-tools.js';
import { Lines, type ToolProcess, type Tools } from './tool-process.js';

/** Until a tool has its line, or has said why not; on a slow card it is loaded for a while. */
const READY_MS_MAX = 3000;
const LOOK_AGAIN_MS = 10;

interface Place {
  readonly tools: Tools;
  readonly clock: Clock;
  readonly generation: Generation;
  readonly chip: string;
  readonly offset: number;
}

export class ChardevBackend implements GpioBackend {
  readonly kind = 'chardev';
  readonly #tools: Tools;
  readonly #clock: Clock;
  #found: Promise<{ readonly generation: Generation; readonly interactive: boolean }> | undefined;

  constructor(tools: Tools, clock: Clock) {
    this.#tools = tools;
    this.#clock = clock;
  }

  async open(request: LineRequest, listener: LineListener): Promise<GpioPort> {
    const { line } = request;
    if (typeof line === 'object' && 'sysfs' in line) {
      throw new Error(
        'sysfs numbers are not known to the character device; write gpio: { chip: LABEL, line: N }',
      );
    }
    const { generation, interactive } = await this.#kind();
    const chip = await this.#chip(line);
    const offset = typeof line === 'number' ? line : line.line;
    if (offset >= chip.lines)
      throw new Error(`${chip.label} has lines 0 to ${chip.lines - 1}, not ${offset}`);
    const place = { tools: this.#tools, clock: this.#clock, generation, chip: chip.name, offset };
    const port =
      request.direction === 'in'
        ? new MonitoredPort(place, request, listener)
        : new HeldPort(place, interactive, listener);
    try {
      await port.open(request);
      return port;
    } catch (fault) {
      await port.close();
      throw new Error(sentenceOf(reasonOf(fault), chip.name, offset));
    }
  }

  #kind(): Promise<{ readonly generation: Generation; readonly interactive: boolean }> {
    this.#found ??= (async () => {
      const generation = generationIn(await this.#tools.run('gpiodetect', ['--version']));
      if (generation === undefined)
        throw new Error('gpiodetect does not say its version; install the package gpiod');
      const help = generation === 2 ? await this.#tools.run('gpioset', ['--help']) : '';
      return { generation, interactive: help.includes('--interactive') };
    })();
    this.#found.catch(() => {
      // Tools that were installed meanwhile are found with the next line.
      this.#found = undefined;
    });
    return this.#found;
  }

  async #chip(line: number | { readonly chip: string; readonly line: number }): Promise<ToolChip> {
    return chipOf(line, chipsIn(await this.#tools.run('gpiodetect', [])));
  }
}

class MonitoredPort implements GpioPort {
  readonly #place: Place;
  readonly #pull: LineRequest['pull'];
  readonly #listener: LineListener;
  readonly #lines = new Lines();
  #process: ToolProcess | undefined;
  #high = false;
  /** The kernel's clock against ours, from the first edge on. */
  #ahead: number | undefined;

  constructor(place: Place, request: LineRequest, listener: LineListener) {
    this.#place = place;
    this.#pull = request.pull;
    this.#listener = listener;
  }

  async open(): Promise<void> {
    const { tools, generation, chip, offset } = this.#place;
    const text = (await tools.run('gpioget', getArguments(generation, chip, offset, this.#pull))).trim();
    if (text !== '0' && text !== '1') throw new Error(`gpioget printed ${JSON.stringify(text.slice(0, 40))}`);
    this.#high = text === '1';
    const opening = new Opening();
    const running = tools.start('gpiomon', monitorArguments(generation, chip, offset, this.#pull), {
      onText: (piece) => {
        opening.ready();
        for (const line of this.#lines.take(piece)) this.#line(line);
      },
      onEnd: (why) => {
        if (!opening.failed(why)) this.#listener.onLost(`gpiomon: ${why}`);
      },
    });
    this.#process = running;
    await opening.wait(running);
  }

  async read(): Promise<boolean> {
    return this.#high;
  }

  async write(): Promise<void> {
    throw new Error('an input cannot be written');
  }

  async close(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    await running?.stop();
  }

  #line(text: string): void {
    const edge = edgeIn(this.#place.generation, text);
    if (edge === undefined) return;
    this.#ahead ??= this.#place.clock.monotonicMs() - edge.kernelMs;
    this.#high = edge.high;
    this.#listener.onEdge(edge.high, edge.kernelMs + this.#ahead);
  }
}

class HeldPort implements GpioPort {
  readonly #place: Place;
  readonly #interactive: boolean;
  readonly #listener: LineListener;
  #process: ToolProcess | undefined;
  #high = false;
  #prompted: (() => void) | undefined;
  #closed = false;

  constructor(place: Place, interactive: boolean, listener: LineListener) {
    this.#place = place;
    this.#interactive = interactive;
    this.#listener = listener;
  }

  async open({ initial = false }: LineRequest): Promise<void> {
    await this.#hold(initial);
  }

  async read(): Promise<boolean> {
    return this.#high;
  }

  async write(high: boolean): Promise<void> {
    const running = this.#process;
    if (running === undefined) throw new Error('gpioset no longer holds the line');
    if (this.#interactive) {
      await this.#prompt(() => running.write(`set ${this.#place.offset}=${high ? 1 : 0}\n`));
      this.#high = high;
      return;
    }
    this.#process = undefined;
    await running.stop();
    await this.#hold(high);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const running = this.#process;
    this.#process = undefined;
    await running?.stop();
  }

  async #hold(high: boolean): Promise<void> {
    const { tools, generation, chip, offset } = this.#place;
    const opening = new Opening();
    const running = tools.start('gpioset', setArguments(generation, chip, offset, high, this.#interactive), {
      onText: () => {
        if (this.#interactive && !opening.ready()) this.#prompted?.();
      },
      onEnd: (why) => {
        if (this.#process === running) this.#process = undefined;
        if (!opening.failed(why) && !this.#closed) this.#listener.onLost(`gpioset: ${why}`);
      },
    });
    this.#process = running;
    // Its prompt is waited for, so that the next one is the answer to what it is told.
    await opening.wait(this.#interactive ? undefined : running);
    this.#high = high;
  }

  /** gpioset prints its prompt again once it has done what it was told. */
  #prompt(run: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => {
        this.#prompted = undefined;
        reject(new Error('gpioset does not answer'));
      }, READY_MS_MAX);
      this.#prompted = () => {
        clearTimeout(limit);
        this.#prompted = undefined;
        resolve();
      };
      run();
    });
  }
}

/** From the start of a tool until it has its line. */
class Opening {
  #settle: ((why: string | undefined) => void) | undefined;
  #result: { readonly why: string | undefined } | undefined;

  /** True: this is what was waited for. */
  ready(): boolean {
    return this.#end(undefined);
  }

  /** True: it was waited for still. */
  failed(why: string): boolean {
    return this.#end(why);
  }

  /** Also ready once the tool is seen to hold its line, or nothing was heard of it for long. */
  async wait(tool: ToolProcess | undefined): Promise<void> {
    const limit = setTimeout(() => this.ready(), READY_MS_MAX);
    const look = setInterval(() => {
      if (tool?.holdsLine === true) this.ready();
    }, LOOK_AGAIN_MS);
    const why = await new Promise<string | undefined>((resolve) => {
      if (this.#result === undefined) this.#settle = resolve;
      else resolve(this.#result.why);
    });
    clearTimeout(limit);
    clearInterval(look);
    if (why !== undefined) throw new Error(why);
  }

  #end(why: string | undefined): boolean {
    if (this.#result !== undefined) return false;
    this.#result = { why };
    this.#settle?.(why);
    return true;
  }
}

function sentenceOf(why: string, chip: string, offset: number): string {
  const place = `line ${offset} of ${chip}`;
  if (/busy/i.test(why)) {
    return `${place} is in use by another program or a driver of the kernel; gpioinfo shows by which`;
  }
  if (/permission|not permitted/i.test(why)) {
    return `${place} may not be used: permission denied; add the user to group gpio and log in again`;
  }
  return `${place}: ${why}`;
}
