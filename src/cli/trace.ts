/** `godwit trace BUS`: frames in hex, with the time since the one before: a late answer and a missing one look different. */
import { ExitCode } from './exit-code.js';
import { Field } from './field.js';
import { untilInterrupted } from './interrupted.js';

export async function trace(file: string, bus: string, json: boolean): Promise<ExitCode> {
  let beforeMs: number | undefined;
  await new Field(file).trace(
    bus,
    (frame) => {
      if (json) process.stdout.write(`${JSON.stringify(frame)}\n`);
      else if ('dropped' in frame)
        process.stdout.write(`… ${frame.dropped} frames left out: this terminal is too slow\n`);
      else {
        const sinceMs = frame.atMs - (beforeMs ?? frame.atMs);
        beforeMs = frame.atMs;
        const time = new Date(frame.ts).toISOString().slice(11, 23);
        const arrow = frame.direction === 'sent' ? '→' : '←';
        process.stdout.write(
          `${time} ${`+${sinceMs.toFixed(1)}`.padStart(9)} ms ${arrow} ${frame.bytes.replace(/(..)(?=.)/g, '$1 ')}\n`,
        );
      }
    },
    untilInterrupted(),
  );
  return ExitCode.done;
}
