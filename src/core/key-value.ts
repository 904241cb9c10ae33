/** One part's share of the durable key-value table: pulse totals, learnt holes, windows, alarms, … */
export interface KeyValueDoor {
  get(key: string): Uint8Array | undefined;
  put(key: string, value: Uint8Array): void;
  remove(key: string): void;
  entries(): Iterable<readonly [key: string, value: Uint8Array]>;
}
