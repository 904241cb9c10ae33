/** Network links as the kernel shows them: whether they are up, how fast, and how well a radio link is received. */
import { join } from 'node:path';
import { namesIn, readIfThere } from '../kernel-file.js';
import { numberIn, share } from './board.js';

/** What /proc/net/wireless calls perfect, for nearly every driver. */
const QUALITY_MAX = 70;

export class Links {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async isUp(wanted: string | undefined): Promise<boolean> {
    return (await this.#attribute(await this.#wired(wanted), 'operstate')) === 'up';
  }

  /** In Mbit/s. */
  async speed(wanted: string | undefined): Promise<number> {
    const name = await this.#wired(wanted);
    const speed = numberIn((await this.#attribute(name, 'speed').catch(() => '-1')) || '-1');
    if (speed < 0) throw new Error(`${name} has no speed; it is down or has no cable`);
    return speed;
  }

  /** Per cent. */
  async quality(wanted: string | undefined): Promise<number> {
    return Math.min(100, share((await this.#wireless(wanted)).link, QUALITY_MAX));
  }

  /** In dBm. */
  async signal(wanted: string | undefined): Promise<number> {
    return (await this.#wireless(wanted)).level;
  }

  async #wireless(wanted: string | undefined): Promise<{ link: number; level: number }> {
    const text = (await readIfThere(join(this.#root, 'proc/net/wireless'))) ?? '';
    for (const line of text.split('\n').slice(2)) {
      const [, name, link, level] = /^\s*(\S+):\s+\S+\s+(-?\d+)\.?\s+(-?\d+)/.exec(line) ?? [];
      if (name === undefined || (wanted !== undefined && name !== wanted)) continue;
      return { link: Number(link), level: Number(level) };
    }
    throw new Error(wanted === undefined ? 'no radio link' : `${wanted} is no radio link, or it is down`);
  }

  /** The one that is named; else the first that is up; else the first. */
  async #wired(wanted: string | undefined): Promise<string> {
    const names = (await namesIn(join(this.#root, 'sys/class/net'))).filter((name) => name !== 'lo');
    if (wanted !== undefined) {
      if (names.includes(wanted)) return wanted;
      throw new Error(`no interface ${wanted}; there is ${names.join(', ') || 'none'}`);
    }
    for (const name of names) if ((await this.#attribute(name, 'operstate')) === 'up') return name;
    const [first] = names;
    if (first === undefined) throw new Error('no network interface');
    return first;
  }

  async #attribute(name: string, attribute: string): Promise<string | undefined> {
    return readIfThere(join(this.#root, 'sys/class/net', name, attribute));
  }
}
