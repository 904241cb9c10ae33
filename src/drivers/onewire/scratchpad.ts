/**
 * What w1_slave says of a thermometer of the DS18B20 family: its nine bytes twice, whether their check sum was right
 * (the kernel has reckoned it), the temperature it made of them. Pure.
 *
 *   50 01 4b 46 7f ff 0c 10 1c : crc=1c YES
 *   50 01 4b 46 7f ff 0c 10 1c t=21000
 */
export type Temperature =
  | { readonly kind: 'celsius'; readonly celsius: number; readonly bytes: Uint8Array }
  | { readonly kind: 'bad'; readonly why: string };

/** What the register holds from power-on until the first conversion has ended. */
const POWER_ON_MILLI = 85_000;
/** Byte 6 then; a conversion that really gives 85 °C leaves 0x10 there. */
const POWER_ON_COUNT = 0x0c;
/** How far a process can have gone since the reading before, for 85 °C to be believed. */
const NEAR_CELSIUS = 10;

/** What the family can measure, and a little more. */
const MILLI_MIN = -56_000;
const MILLI_MAX = 126_000;

/** @param before the last good temperature of this probe, if there was one */
export function temperatureIn(text: string, before: number | undefined): Temperature {
  const [first = '', second = ''] = text.split('\n');
  const bytes = Uint8Array.from(
    (/^((?:[0-9a-f]{2} ){9})/i.exec(first)?.[1] ?? '').trim().split(' ').filter(Boolean),
    (pair) => Number.parseInt(pair, 16),
  );
  const t = /\bt=(-?\d+)\s*$/.exec(second)?.[1];
  if (bytes.length !== 9 || t === undefined) return bad('unreadable answer');
  if (!/\bYES\s*$/.test(first)) return bad('check sum wrong; check the cable and the pull-up resistor');
  // A shorted bus reads as zeros, whose check sum is right.
  if (bytes.every((byte) => byte === 0)) return bad('only zeros; the bus is shorted');
  const milli = Number(t);
  if (milli < MILLI_MIN || milli > MILLI_MAX) return bad('out of range');
  if (milli === POWER_ON_MILLI) {
    const believable = before !== undefined && Math.abs(before - 85) <= NEAR_CELSIUS;
    if (bytes[6] === POWER_ON_COUNT || !believable) {
      return bad('power-on value 85 °C; the probe lost its supply before it had measured');
    }
  }
  return { kind: 'celsius', celsius: milli / 1000, bytes };
}

function bad(why: string): Temperature {
  return { kind: 'bad', why };
}
