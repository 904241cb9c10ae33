/** Two serial ports joined by a cable, made by socat; it can be unplugged and plugged in again. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export class SerialPair {
  readonly ours: string;
  readonly theirs: string;
  readonly #folder: string;
  #socat: ChildProcess | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
    this.ours = join(folder, 'ours');
    this.theirs = join(folder, 'theirs');
  }

  static async start(): Promise<SerialPair> {
    const pair = new SerialPair(await mkdtemp(join(tmpdir(), 'godwit-serial-')));
    await pair.plug();
    return pair;
  }

  async plug(): Promise<void> {
    const end = (path: string): string => `pty,raw,echo=0,link=${path}`;
    this.#socat = spawn('socat', [end(this.ours), end(this.theirs)], { stdio: 'ignore' });
    // socat makes the links and says nothing; it is asked for them until they are there.
    for (const path of [this.ours, this.theirs]) {
      while (!(await exists(path))) {
        if (this.#socat.exitCode !== null) throw new Error('socat ended; is it installed?');
        await wait(5);
      }
    }
  }

  async unplug(): Promise<void> {
    const socat = this.#socat;
    this.#socat = undefined;
    if (socat === undefined || socat.exitCode !== null) return;
    const ended = new Promise((resolve) => socat.once('exit', resolve));
    socat.kill('SIGTERM');
    await ended;
  }

  async stop(): Promise<void> {
    await this.unplug();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
