/** Runs pymodbus-slave.py: a Modbus slave that is not ours, over TCP or on a serial line. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export type RegisterKind = 'holding' | 'input' | 'coil' | 'discrete';

const SCRIPT = fileURLToPath(new URL('./pymodbus-slave.py', import.meta.url));
/** Debian's, since that is the one that has pymodbus. */
const PYTHON = '/usr/bin/python3';

export class ModbusSlave {
  /** Over TCP; 0 on a serial line. */
  readonly port: number;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #unit: number;

  private constructor(
    process: ChildProcessWithoutNullStreams,
    lines: AsyncIterator<string>,
    port: number,
    unit: number,
  ) {
    this.#process = process;
    this.#lines = lines;
    this.port = port;
    this.#unit = unit;
  }

  /** Port 0 takes a free one: see `port`. */
  static tcp(units: readonly number[] = [1], port = 0): Promise<ModbusSlave> {
    return ModbusSlave.#start(['tcp', '127.0.0.1', String(port)], units);
  }

  static rtu(path: string, units: readonly number[] = [1], baudRate = 9600): Promise<ModbusSlave> {
    return ModbusSlave.#start(['rtu', path, String(baudRate)], units);
  }

  static ascii(path: string, units: readonly number[] = [1], baudRate = 9600): Promise<ModbusSlave> {
    return ModbusSlave.#start(['ascii', path, String(baudRate)], units);
  }

  async get(kind: RegisterKind, address: number, count = 1, unit = this.#unit): Promise<number[]> {
    return this.#command(`get ${unit} ${kind} ${address} ${count}`);
  }

  /** Words for registers, 0 and 1 for bits; `unit` is the first one where it is not named. */
  set(kind: RegisterKind, address: number, words: readonly number[], unit = this.#unit): Promise<unknown> {
    return this.#command(`set ${unit} ${kind} ${address} ${words.join(' ')}`);
  }

  silence(unit = this.#unit): Promise<unknown> {
    return this.#command(`silence ${unit}`);
  }

  answer(unit = this.#unit): Promise<unknown> {
    return this.#command(`answer ${unit}`);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await ended;
  }

  static async #start(args: readonly string[], units: readonly number[]): Promise<ModbusSlave> {
    const child = spawn(PYTHON, [SCRIPT, ...args, units.join(',')]);
    let complaints = '';
    child.stderr.on('data', (text: Buffer) => {
      complaints = (complaints + text.toString()).slice(-4000);
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { value, done } = await lines.next();
    if (done === true || !value.startsWith('READY')) {
      child.kill('SIGKILL');
      throw new Error(`pymodbus-slave.py did not start: ${value ?? ''}\n${complaints}`);
    }
    return new ModbusSlave(child, lines, Number(value.split(' ')[1] ?? 0), units[0] ?? 1);
  }

  async #command(line: string): Promise<number[]> {
    this.#process.stdin.write(`${line}\n`);
    const { value } = await this.#lines.next();
    const [said, ...words] = String(value ?? 'ended').split(' ');
    if (said !== 'OK') throw new Error(`pymodbus-slave.py, ${line}: ${value ?? 'ended'}`);
    return words.map(Number);
  }
}

/** Registers of a float32, high word first. */
export function float32Words(value: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
}
