/**
 * What a driver of a user's own is: one ESM file, named by its path as the `driver` of a bus.
 *
 *   export const options = { bus, device, point }   optional: checks what stands under `options`, and completes it
 *   export async function open(bus)                  called once; what comes back reads, writes and closes
 *
 * godwit polls by the cadence of the configuration, scales, names and publishes; goes on when the driver throws, hangs,
 * loops or ends; starts it anew when it has to. The driver runs in a thread of its own.
 *
 * Types only: godwit's own package exports them.
 */

/** A number, a boolean, text, an integer beyond 2^53; or why there is none. */
export type UserValue = number | boolean | string | bigint | { readonly bad: string };

export interface UserBus {
  /** The name of the bus. */
  readonly name: string;
  /** Its `options`, as the driver's own check gave them back. */
  readonly options: unknown;
  readonly devices: Readonly<Record<string, UserDevice>>;
  /** Tells values between polls, as a device that speaks by itself does. */
  publish(device: string, values: Readonly<Record<string, UserValue>>): void;
  readonly log: {
    info(text: string): void;
    warn(text: string): void;
    error(text: string): void;
  };
}

export interface UserDevice {
  readonly options: unknown;
  readonly points: Readonly<Record<string, { readonly options: unknown; readonly writable: boolean }>>;
}

export interface UserDriver {
  /** A value for each of these points; one that is left out is bad, and so are all where this throws. */
  read(device: string, points: readonly string[]): Promise<Readonly<Record<string, UserValue>>>;
  /** Where a point is `writable`. What comes back is what the device holds now; nothing: what was written. */
  write?(device: string, point: string, value: number | boolean | string | bigint): Promise<unknown>;
  close?(): Promise<void> | void;
}

/** Takes the options as they stand in the file, throws what is wrong with them or gives them back completed. */
export type OptionsCheck = ((options: unknown) => unknown) | { parse(options: unknown): unknown };

export interface UserDriverFile {
  readonly options?: {
    readonly bus?: OptionsCheck;
    readonly device?: OptionsCheck;
    readonly point?: OptionsCheck;
  };
  open(bus: UserBus): Promise<UserDriver> | UserDriver;
}
