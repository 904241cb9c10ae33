/**
 * 1-Wire thermometers, from the files of the kernel's w1 driver. A reading takes the probe most of a second, one
 * probe at a time: polls of many probes on one line should be as far apart.
 */
import { join } from 'node:path';
import type { NamedBusConfig } from '../../config/schema.js';
import { reasonOf } from '../../core/error.js';
import type { Driver, DriverContext } from '../driver.js';
import { namesIn, readIfThere } from '../kernel-file.js';
import { type Outcome, type Outcomes, PolledBus, type PolledSource } from '../polled-bus.js';
import { temperatureIn } from './scratchpad.js';

type OnewireConfig = Extract<NamedBusConfig, { readonly driver: 'onewire' }>;

/** DS18S20, DS1822, DS18B20, DS1825, DS28EA00: all of them w1_slave files with a temperature. */
const FAMILIES = ['10', '22', '28', '3b', '42'];

export async function openOnewireDriver(context: DriverContext, config: OnewireConfig): Promise<Driver> {
  const rules = { driver: 'onewire', offlineAfter: config.offline_after, retryMaxMs: config.retry_max };
  return new PolledBus(context, rules, new Probes(context, config.root));
}

export class Probes implements PolledSource {
  readonly #context: DriverContext;
  readonly #folder: string;
  readonly #before = new Map<string, number>();

  constructor(context: DriverContext, root: string) {
    this.#context = context;
    this.#folder = join(root, 'bus/w1/devices');
  }

  async read(device: string, points: readonly string[]): Promise<Outcomes> {
    const outcomes = new Map<string, Outcome>();
    for (const point of points) {
      const config = this.#context.devices.get(device)?.points[point];
      if (config !== undefined && 'probe' in config) outcomes.set(point, await this.#probe(config.probe));
    }
    return outcomes;
  }

  async #probe(wanted: string): Promise<Outcome> {
    try {
      const id = wanted === 'any' ? await this.#only() : wanted.toLowerCase();
      const text = await readIfThere(join(this.#folder, id, 'w1_slave'));
      if (text === undefined) return { bad: await this.#whyMissing(id) };
      const temperature = temperatureIn(text, this.#before.get(id));
      if (temperature.kind === 'bad') return { bad: temperature.why };
      this.#before.set(id, temperature.celsius);
      return { value: temperature.celsius, raw: temperature.bytes };
    } catch (fault) {
      return { bad: reasonOf(fault) };
    }
  }

  async #only(): Promise<string> {
    const [first, second] = await this.#thermometers();
    if (first === undefined) throw new Error(await this.#whyMissing('any'));
    if (second !== undefined)
      throw new Error(`several probes: name one of ${(await this.#thermometers()).join(', ')}`);
    return first;
  }

  async #thermometers(): Promise<string[]> {
    return (await namesIn(this.#folder)).filter(
      (name) => FAMILIES.includes(name.slice(0, 2)) && name[2] === '-',
    );
  }

  async #whyMissing(id: string): Promise<string> {
    const there = await namesIn(this.#folder);
    if (there.length === 0) {
      return '1-Wire is not switched on; add dtoverlay=w1-gpio to config.txt and restart';
    }
    const probes = await this.#thermometers();
    if (id === 'any' || probes.length === 0) return 'no probe answers; check wiring and pull-up resistor';
    return `missing; the bus has ${probes.slice(0, 8).join(', ')}`;
  }
}
