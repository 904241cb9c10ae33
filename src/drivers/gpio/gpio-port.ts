/** One line of a GPIO chip, whichever way the kernel offers to reach it. Levels are those of the wire. */
import type { GpioPointConfig } from '../../config/schema.js';

export interface LineRequest {
  readonly line: GpioPointConfig['gpio'];
  readonly direction: 'in' | 'out';
  readonly pull?: 'up' | 'down' | 'none';
  /** Of an output: the level it begins with; absent: that which it has, where the way can keep it, else low. */
  readonly initial?: boolean;
}

export interface LineListener {
  /** `atMs` is monotonic. The same level twice: at least one edge between them went unseen. */
  onEdge(high: boolean, atMs: number): void;
  /** The line is gone; nothing more comes from this port. */
  onLost(why: string): void;
}

export interface GpioPort {
  read(): Promise<boolean>;
  write(high: boolean): Promise<void>;
  /** Leaves an output as it is, as far as the kernel lets it. */
  close(): Promise<void>;
}

export interface GpioBackend {
  readonly kind: 'sysfs' | 'chardev';
  /** Rejects with a sentence that says what is wrong and what to do. */
  open(request: LineRequest, listener: LineListener): Promise<GpioPort>;
}
