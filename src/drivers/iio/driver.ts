/**
 * Industrial I/O: sensors and converters that a driver of the kernel reads over I2C or SPI, by the names of their
 * channels. (raw + offset) × scale, in the kernel's own units, or `_input` where the driver has done that itself.
 *
 *   iio:device0/name, in_voltage0_raw, in_voltage0_scale or in_voltage_scale, in_voltage_offset
 */
import { join } from 'node:path';
import type { NamedBusConfig } from '../../config/schema.js';
import { reasonOf } from '../../core/error.js';
import { makeScale } from '../../core/scale.js';
import type { Value } from '../../core/value.js';
import type { Driver, DriverContext } from '../driver.js';
import { namesIn, readIfThere } from '../kernel-file.js';
import { type Outcome, type Outcomes, PolledBus, type PolledSource } from '../polled-bus.js';

type IioConfig = Extract<NamedBusConfig, { readonly driver: 'iio' }>;

interface Chip {
  readonly id: string;
  readonly names: readonly string[];
  readonly files: readonly string[];
}

export async function openIioDriver(context: DriverContext, config: IioConfig): Promise<Driver> {
  const rules = { driver: 'iio', offlineAfter: config.offline_after, retryMaxMs: config.retry_max };
  return new PolledBus(context, rules, new Channels(context, config.root));
}

export class Channels implements PolledSource {
  readonly #context: DriverContext;
  readonly #folder: string;

  constructor(context: DriverContext, root: string) {
    this.#context = context;
    this.#folder = join(root, 'bus/iio/devices');
  }

  async read(device: string, points: readonly string[]): Promise<Outcomes> {
    const outcomes = new Map<string, Outcome>();
    // Chips come and go with their drivers, so they are looked up anew for each poll.
    const chips = await this.#chips();
    for (const point of points) {
      const config = this.#context.devices.get(device)?.points[point];
      if (config === undefined || !('channel' in config)) continue;
      outcomes.set(
        point,
        await this.#channel(chips, config.channel).catch((fault: unknown) => ({ bad: reasonOf(fault) })),
      );
    }
    return outcomes;
  }

  async #chips(): Promise<Chip[]> {
    const chips: Chip[] = [];
    for (const id of await namesIn(this.#folder)) {
      if (!id.startsWith('iio:device')) continue;
      const folder = join(this.#folder, id);
      const [name, label] = [
        await readIfThere(join(folder, 'name')),
        await readIfThere(join(folder, 'label')),
      ];
      const names = [id, name, label].filter((one) => one !== undefined && one !== '') as string[];
      chips.push({ id, names, files: await namesIn(folder) });
    }
    return chips;
  }

  async #channel(chips: readonly Chip[], wanted: string): Promise<Outcome> {
    const slash = wanted.lastIndexOf('/');
    const [chipName, short] = [slash < 0 ? undefined : wanted.slice(0, slash), wanted.slice(slash + 1)];
    const channel = short.startsWith('in_') ? short : `in_${short}`;
    if (chips.length === 0) return { bad: 'no IIO device; check the overlay in config.txt and the wiring' };
    const named = chipName === undefined ? chips : chips.filter(({ names }) => names.includes(chipName));
    if (named.length === 0) {
      return {
        bad: `no IIO device ${chipName}; there is ${chips.map((chip) => chip.names.at(-1)).join(', ')}`,
      };
    }
    const having = named.filter(
      ({ files }) => files.includes(`${channel}_raw`) || files.includes(`${channel}_input`),
    );
    const [chip, second] = having;
    if (chip === undefined) return { bad: `no channel ${short}; there is ${channelsOf(named).join(', ')}` };
    if (second !== undefined) {
      return {
        bad: `several devices have ${short}: write ${having.map(({ id }) => `${id}/${short}`).join(' or ')}`,
      };
    }
    return this.#value(chip, channel);
  }

  async #value(chip: Chip, channel: string): Promise<Outcome> {
    const folder = join(this.#folder, chip.id);
    const input = await readIfThere(join(folder, `${channel}_input`));
    if (input !== undefined) return numberOutcome(input, (value) => value);
    const raw = await readIfThere(join(folder, `${channel}_raw`));
    if (raw === undefined) return { bad: 'the channel is gone' };
    const [scale, offset] = [
      await this.#shared(folder, channel, 'scale'),
      await this.#shared(folder, channel, 'offset'),
    ];
    return numberOutcome(raw, (value) => {
      const shifted = makeScale(1, offset ?? 0)?.(value) ?? value;
      return makeScale(scale ?? 1)?.(shifted) ?? shifted;
    });
  }

  /** Of the channel itself, else of all channels of its kind: in_voltage0_scale, in_voltage_scale. */
  async #shared(folder: string, channel: string, what: 'scale' | 'offset'): Promise<number | undefined> {
    const kind = channel.replace(/\d.*$/, '');
    for (const name of new Set([channel, kind])) {
      const text = await readIfThere(join(folder, `${name}_${what}`));
      if (text === undefined) continue;
      const value = Number(text);
      if (text.trim() === '' || !Number.isFinite(value)) throw new Error(`${name}_${what} is no number`);
      return value;
    }
    return undefined;
  }
}

function numberOutcome(text: string, scale: (value: number) => Value): Outcome {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) return { bad: 'not a number' };
  return { value: scale(value), raw: new TextEncoder().encode(text) };
}

function channelsOf(chips: readonly Chip[]): string[] {
  const names = chips.flatMap(({ files }) =>
    files.flatMap((file) => /^in_(.+)_(raw|input)$/.exec(file)?.[1] ?? []),
  );
  return [...new Set(names)].sort().slice(0, 12);
}
