/** The board that the gateway runs on, as a device like any other. */
import type { NamedBusConfig, SystemPointConfig } from '../../config/schema.js';
import { reasonOf } from '../../core/error.js';
import type { Value } from '../../core/value.js';
import type { Driver, DriverContext } from '../driver.js';
import { type Outcome, type Outcomes, PolledBus, type PolledSource } from '../polled-bus.js';
import { Board } from './board.js';
import { Links } from './link.js';

type SystemConfig = Extract<NamedBusConfig, { readonly driver: 'system' }>;

export async function openSystemDriver(context: DriverContext, config: SystemConfig): Promise<Driver> {
  const rules = { driver: 'system', offlineAfter: config.offline_after, retryMaxMs: config.retry_max };
  return new PolledBus(context, rules, new Metrics(context, config.root));
}

export class Metrics implements PolledSource {
  readonly #context: DriverContext;
  readonly #board: Board;
  readonly #links: Links;

  constructor(context: DriverContext, root: string) {
    this.#context = context;
    this.#board = new Board(root);
    this.#links = new Links(root);
  }

  async read(device: string, points: readonly string[]): Promise<Outcomes> {
    const outcomes = new Map<string, Outcome>();
    for (const point of points) {
      const config = this.#context.devices.get(device)?.points[point];
      if (config === undefined || !('metric' in config)) continue;
      try {
        outcomes.set(point, { value: await this.#value(config) });
      } catch (fault) {
        outcomes.set(point, { bad: reasonOf(fault) });
      }
    }
    return outcomes;
  }

  async #value(config: SystemPointConfig): Promise<Value> {
    const [board, links] = [this.#board, this.#links];
    const { path = '/', interface: link } = config;
    switch (config.metric) {
      case 'cpu_temperature':
        return board.cpuTemperature();
      case 'cpu_frequency':
        return board.cpuFrequency();
      case 'cpu_usage':
        return board.cpuUsage();
      case 'load_1m':
        return board.load(0);
      case 'load_5m':
        return board.load(1);
      case 'load_15m':
        return board.load(2);
      case 'memory_total':
        return (await board.memory()).total;
      case 'memory_available':
        return (await board.memory()).available;
      case 'memory_used':
        return (await board.memory()).usedShare;
      case 'swap_used':
        return (await board.memory()).swapUsedShare;
      case 'disk_total':
        return (await board.disk(path)).total;
      case 'disk_free':
        return (await board.disk(path)).free;
      case 'disk_used':
        return (await board.disk(path)).usedShare;
      case 'uptime':
        return board.uptime();
      case 'undervoltage':
        return board.undervoltage(false);
      case 'undervoltage_since_boot':
        return board.undervoltage(true);
      case 'throttled':
        return board.throttled(false);
      case 'throttled_since_boot':
        return board.throttled(true);
      case 'frequency_capped':
        return board.frequencyCapped();
      case 'soft_temperature_limit':
        return board.softTemperatureLimit();
      case 'link_up':
        return links.isUp(link);
      case 'link_speed':
        return links.speed(link);
      case 'link_quality':
        return links.quality(link);
      case 'link_signal':
        return links.signal(link);
      case 'process_memory':
        return process.memoryUsage.rss();
    }
  }
}
