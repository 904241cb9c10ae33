/** What became of a write, and the refusals that need no bus to be found. */

import { GodwitError } from '../core/error.js';
import type { Value } from '../core/value.js';

/** Callers branch on it; `error` is for a person. */
export type WriteFault =
  /** No such device or point. */
  | 'unknown'
  | 'not writable'
  | 'wrong type'
  | 'out of range'
  | 'out of service'
  | 'bus down'
  | 'timeout'
  /** The device said no. */
  | 'refused'
  /** What the device holds after the write is not what was written. */
  | 'mismatch'
  | 'stopped';

export type WriteResult =
  | {
      readonly ok: true;
      /** As the device holds it now; as it was sent where it was not read back. */
      readonly value: Value;
      /** Whether it was read back: a broadcast and a write-only register cannot be. */
      readonly verified: boolean;
    }
  | {
      readonly ok: false;
      readonly fault: WriteFault;
      readonly error: string;
      /** What the device holds now, where that could be read. */
      readonly value?: Value;
    };

/** Faults that are known before any byte reaches the bus. */
export type WriteRefusal = Extract<
  WriteFault,
  'unknown' | 'not writable' | 'wrong type' | 'out of range' | 'out of service'
>;

export function refuseWrite(fault: WriteFault, error: string): WriteResult {
  return { ok: false, fault, error };
}

/** Thrown while a value is made ready for the wire; whoever owns the door turns it into a WriteResult. */
export class UnfitValue extends GodwitError {
  readonly fault: WriteRefusal;

  constructor(fault: WriteRefusal, message: string) {
    super('UNFIT_VALUE', message);
    this.fault = fault;
  }
}
