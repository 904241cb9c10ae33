/**
 * What the board says of itself, from files under `root`: temperature, processor, memory, disk, supply. One
 * instance for a bus, since some figures are differences between two readings.
 */
import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { namesIn, readIfThere, readKernelFile } from '../kernel-file.js';

/** Bits of the firmware's get_throttled; 16 higher: since boot. */
const UNDERVOLTAGE = 0;
const FREQUENCY_CAPPED = 1;
const THROTTLED = 2;
const SOFT_TEMPERATURE_LIMIT = 3;
const SINCE_BOOT = 16;

const FIRMWARE_MS_MAX = 2000;

export class Board {
  readonly #root: string;
  #processor: { readonly busy: number; readonly total: number } | undefined;
  #usage = 0;

  constructor(root: string) {
    this.#root = root;
  }

  async cpuTemperature(): Promise<number> {
    const folder = this.#path('sys/class/thermal');
    const zones = (await namesIn(folder)).filter((name) => name.startsWith('thermal_zone'));
    const types = await Promise.all(zones.map((zone) => readIfThere(join(folder, zone, 'type'))));
    const found = types.findIndex((type) => /cpu|pkg|soc/i.test(type ?? ''));
    const zone = zones[Math.max(0, found)];
    if (zone === undefined) throw new Error('this board shows no temperature');
    return numberIn(await readKernelFile(join(folder, zone, 'temp'))) / 1000;
  }

  /** In MHz. */
  async cpuFrequency(): Promise<number> {
    const text = await readIfThere(this.#path('sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq'));
    if (text === undefined) throw new Error('this board does not show its clock rate');
    return numberIn(text) / 1000;
  }

  /** Per cent of all cores since the reading before; the first time since boot. */
  async cpuUsage(): Promise<number> {
    const line = (await readKernelFile(this.#path('proc/stat'))).split('\n', 1)[0] ?? '';
    const times = line.split(/\s+/).slice(1, 9).map(Number);
    const total = times.reduce((sum, time) => sum + time, 0);
    const busy = total - (times[3] ?? 0) - (times[4] ?? 0);
    const before = this.#processor ?? { busy: 0, total: 0 };
    this.#processor = { busy, total };
    const elapsed = total - before.total;
    // Two points of one poll read the same instant.
    if (elapsed > 0) this.#usage = share(busy - before.busy, elapsed);
    return this.#usage;
  }

  /** Over 1, 5 and 15 minutes. */
  async load(which: 0 | 1 | 2): Promise<number> {
    return numberIn((await readKernelFile(this.#path('proc/loadavg'))).split(' ')[which] ?? '');
  }

  async memory(): Promise<{ total: number; available: number; usedShare: number; swapUsedShare: number }> {
    const text = await readKernelFile(this.#path('proc/meminfo'));
    const bytes = (name: string): number =>
      numberIn(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? '') * 1024;
    const [total, available, swap] = [bytes('MemTotal'), bytes('MemAvailable'), bytes('SwapTotal')];
    return {
      total,
      available,
      usedShare: share(total - available, total),
      swapUsedShare: swap === 0 ? 0 : share(swap - bytes('SwapFree'), swap),
    };
  }

  async disk(path: string): Promise<{ total: number; free: number; usedShare: number }> {
    const { blocks, bavail, bfree, bsize } = await statfs(this.#path(path));
    const [total, free] = [blocks * bsize, bavail * bsize];
    // As df reckons it: what only root may use counts neither as used nor as free.
    const used = (blocks - bfree) * bsize;
    return { total, free, usedShare: used + free === 0 ? 0 : share(used, used + free) };
  }

  async uptime(): Promise<number> {
    return numberIn((await readKernelFile(this.#path('proc/uptime'))).split(' ')[0] ?? '');
  }

  async undervoltage(sinceBoot: boolean): Promise<boolean> {
    return this.#flag(UNDERVOLTAGE, sinceBoot);
  }

  async throttled(sinceBoot: boolean): Promise<boolean> {
    return this.#flag(THROTTLED, sinceBoot);
  }

  async frequencyCapped(): Promise<boolean> {
    return this.#flag(FREQUENCY_CAPPED, false);
  }

  async softTemperatureLimit(): Promise<boolean> {
    return this.#flag(SOFT_TEMPERATURE_LIMIT, false);
  }

  async #flag(bit: number, sinceBoot: boolean): Promise<boolean> {
    const word = (await this.#throttledFile()) ?? (await this.#throttledByTool());
    if (word !== undefined) return (word & (1 << (bit + (sinceBoot ? SINCE_BOOT : 0)))) !== 0;
    const alarm = bit === UNDERVOLTAGE && !sinceBoot ? await this.#voltageAlarm() : undefined;
    if (alarm !== undefined) return alarm;
    throw new Error('this board does not say so; a Raspberry Pi does');
  }

  async #throttledFile(): Promise<number | undefined> {
    const platform = this.#path('sys/devices/platform');
    for (const soc of (await namesIn(platform)).filter((name) => name.startsWith('soc'))) {
      for (const name of await namesIn(join(platform, soc))) {
        if (!name.includes('firmware')) continue;
        const text = await readIfThere(join(platform, soc, name, 'get_throttled'));
        if (text !== undefined) return hexIn(text);
      }
    }
    return undefined;
  }

  async #voltageAlarm(): Promise<boolean | undefined> {
    const folder = this.#path('sys/class/hwmon');
    for (const name of await namesIn(folder)) {
      if ((await readIfThere(join(folder, name, 'name'))) !== 'rpi_volt') continue;
      const alarm = await readIfThere(join(folder, name, 'in0_lcrit_alarm'));
      if (alarm !== undefined) return alarm.trim() === '1';
    }
    return undefined;
  }

  /** The firmware's own tool, where the kernel has no file; it speaks of this machine alone. */
  #throttledByTool(): Promise<number | undefined> {
    if (this.#root !== '/') return Promise.resolve(undefined);
    return new Promise((resolve) => {
      execFile('vcgencmd', ['get_throttled'], { timeout: FIRMWARE_MS_MAX }, (fault, stdout) => {
        const word = /throttled=0x([0-9a-f]+)/i.exec(stdout)?.[1];
        resolve(fault !== null || word === undefined ? undefined : hexIn(word));
      });
    });
  }

  #path(path: string): string {
    return join(this.#root, path);
  }
}

/** Per cent, to one decimal. */
export function share(part: number, whole: number): number {
  return Math.round((part / whole) * 1000) / 10;
}

export function numberIn(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw new Error(`${JSON.stringify(text.slice(0, 40))} is no number`);
  return value;
}

function hexIn(text: string): number {
  const value = Number.parseInt(text.trim().replace(/^0x/i, ''), 16);
  if (Number.isNaN(value)) throw new Error(`${JSON.stringify(text.slice(0, 40))} is no number`);
  return value;
}
