/** The Framer that a bus's configuration asks for. */
import { bytesFrom } from '../../config/byte-text.js';
import type { SerialBusConfig } from '../../config/schema.js';
import { checksumIsRight } from './frame-checksum.js';
import { Framer, type FramerRules, type Framing } from './framer.js';

/** Bytes that belong together come without a pause; USB adapters hold them back for 16 ms. */
const INCOMPLETE_MS = 100;
/** Longer than any NMEA sentence. */
const SENTENCE_BYTES_MAX = 1024;

const NEWLINE = Uint8Array.of(0x0a);

export function framerOf(config: SerialBusConfig): Framer {
  if (config.protocol === 'nmea-0183') {
    return new Framer({
      framing: { kind: 'delimiter', delimiter: NEWLINE },
      idleMs: Infinity,
      bytesMax: SENTENCE_BYTES_MAX,
    });
  }
  const { checksum, frame } = config;
  const framing = framingOf(frame);
  const rules: FramerRules = {
    framing,
    idleMs:
      frame?.idle ?? (framing.kind === 'delimiter' || framing.kind === 'enclosed' ? Infinity : INCOMPLETE_MS),
    bytesMax: frame?.max ?? 4096,
  };
  return new Framer(
    checksum === undefined ? rules : { ...rules, verify: (bytes) => checksumIsRight(bytes, checksum) },
  );
}

function framingOf(frame: SerialBusConfig['frame']): Framing {
  if (frame === undefined) return { kind: 'delimiter', delimiter: NEWLINE };
  const start = frame.start === undefined ? {} : { start: bytesFrom(frame.start) };
  if (frame.delimiter !== undefined) {
    return { kind: 'delimiter', delimiter: bytesFrom(frame.delimiter), ...start };
  }
  if (typeof frame.length === 'number') return { kind: 'fixed', length: frame.length, ...start };
  if (frame.length !== undefined) {
    const { at, type, byte_order, add } = frame.length;
    const size = type === 'uint8' ? 1 : 2;
    return { kind: 'prefixed', at, size, littleEndian: byte_order === 'little', add, ...start };
  }
  if (frame.end !== undefined && start.start !== undefined) {
    return { kind: 'enclosed', start: start.start, end: bytesFrom(frame.end), after: frame.after_end };
  }
  return frame.regex === undefined ? { kind: 'idle' } : { kind: 'regex', regex: new RegExp(frame.regex) };
}
