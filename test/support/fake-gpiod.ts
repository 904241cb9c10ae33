/**
 * The tools of libgpiod as shell scripts that know one syntax each, 1.6 or 2.x, and refuse the other's as the real ones
 * do. Levels and edges are files that the test writes.
 */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BUSY =
  'if [ -e "$D/busy$LINE" ]; then echo "$0: unable to request lines on chip: Device or resource busy" >&2; exit 1; fi';
const REFUSE = '*) echo "$0: unrecognized option: $1" >&2; exit 1;;';

const V1 = {
  gpiodetect: 'if [ "$1" = --version ]; then echo "gpiodetect (libgpiod) v1.6.3"; else cat "$D/chips"; fi',
  gpioget: `while [ $# -gt 2 ]; do case "$1" in --bias=pull-up|--bias=pull-down|--bias=disable) echo "$1" >"$D/bias";; ${REFUSE} esac; shift; done
[ "$1" = gpiochip0 ] || exit 1; LINE=$2; ${BUSY}; cat "$D/level$LINE"`,
  gpiomon: `while [ $# -gt 2 ]; do case "$1" in --bias=*|--line-buffered|"--format=%e %s %n") ;; ${REFUSE} esac; shift; done
LINE=$2; ${BUSY}; : >>"$D/edges$LINE"; SEEN=$(wc -l <"$D/edges$LINE"); exec 9>"$D/gpio-event$LINE"; exec tail -n "+$((SEEN + 1))" -f "$D/edges$LINE"`,
  gpioset: `[ "$1" = --mode=signal ] || { echo "unrecognized option: $1" >&2; exit 1; }
[ "$2" = gpiochip0 ] || exit 1; LINE=\${3%=*}; ${BUSY}; echo "$3" >>"$D/set"; exec 9>"$D/gpio-line$LINE"; exec sleep 1000`,
};

const V2 = {
  gpiodetect: 'if [ "$1" = --version ]; then echo "gpiodetect (libgpiod) v2.2.1"; else cat "$D/chips"; fi',
  gpioget: `while [ $# -gt 1 ]; do case "$1" in --bias=pull-up|--bias=pull-down|--bias=disabled) echo "$1" >"$D/bias";; --numeric) ;; --chip) shift;; ${REFUSE} esac; shift; done
LINE=$1; ${BUSY}; cat "$D/level$LINE"`,
  gpiomon: `while [ $# -gt 1 ]; do case "$1" in --bias=*|--banner|"--format=%e %S") ;; --chip) shift;; ${REFUSE} esac; shift; done
LINE=$1; ${BUSY}; : >>"$D/edges$LINE"; SEEN=$(wc -l <"$D/edges$LINE"); echo "Monitoring line $LINE..."; exec tail -n "+$((SEEN + 1))" -f "$D/edges$LINE"`,
  gpioset: `if [ "$1" = --help ]; then echo "  -i, --interactive"; exit 0; fi
[ "$1" = --interactive ] || { echo "unrecognized option: $1" >&2; exit 1; }; [ "$2" = --chip ] || exit 1
LINE=\${4%=*}; ${BUSY}; echo "$4" >>"$D/set"; printf 'gpioset> '
while read -r COMMAND VALUE; do [ "$COMMAND" = set ] && echo "$VALUE" >>"$D/set"; printf 'gpioset> '; done`,
};

export class FakeGpiod {
  readonly folder: string;
  readonly #generation: 1 | 2;
  #ms = 1000;

  constructor(generation: 1 | 2) {
    this.#generation = generation;
    this.folder = mkdtempSync(join(tmpdir(), 'godwit-gpiod-'));
    mkdirSync(join(this.folder, 'bin'));
    for (const [tool, script] of Object.entries(generation === 1 ? V1 : V2)) {
      const file = join(this.folder, 'bin', tool);
      writeFileSync(file, `#!/bin/sh\nD='${this.folder}'\n${script}\n`);
      chmodSync(file, 0o755);
    }
    this.chips('gpiochip0 [pinctrl-bcm2711] (58 lines)\ngpiochip1 [raspberrypi-exp-gpio] (8 lines)\n');
  }

  get path(): string {
    return `${join(this.folder, 'bin')}:${process.env.PATH}`;
  }

  chips(text: string): void {
    writeFileSync(join(this.folder, 'chips'), text);
  }

  level(line: number, level: 0 | 1): void {
    writeFileSync(join(this.folder, `level${line}`), `${level}\n`);
  }

  /** An edge as gpiomon prints it, so long after the one before. */
  edge(line: number, level: 0 | 1, afterMs = 10): void {
    this.#ms += afterMs;
    this.level(line, level);
    const [seconds, ms] = [Math.floor(this.#ms / 1000), this.#ms % 1000];
    const text =
      this.#generation === 1
        ? `${level} ${seconds} ${ms * 1_000_000}`
        : `${level === 1 ? 1 : 2} ${seconds}.${String(ms).padStart(3, '0')}000000`;
    appendFileSync(join(this.folder, `edges${line}`), `${text}\n`);
  }

  busy(line: number, busy: boolean): void {
    const file = join(this.folder, `busy${line}`);
    if (busy) writeFileSync(file, '');
    else rmSync(file, { force: true });
  }

  /** What outputs were set to, in order: `22=1`. */
  get set(): string[] {
    const file = join(this.folder, 'set');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  }

  get bias(): string {
    return readFileSync(join(this.folder, 'bias'), 'utf8').trim();
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
