/**
 * The 65,535 Packet Identifiers of one server session, and what each is in use for. Going round, not lowest first:
 * an identifier rests as long as possible before it is used again, which makes a trace readable.
 */

/** In use by a SUBSCRIBE or by the bridge's own status, not by a Record. */
export const CONTROL = -2;
const FREE = -1;

export class PacketIdentifiers {
  readonly #use = new Float64Array(0x10000).fill(FREE);
  #last: number;
  #taken = 0;

  constructor(last: number) {
    this.#last = last;
  }

  get last(): number {
    return this.#last;
  }

  /** Takes the next free one for `use` (a number from 0, or CONTROL); 0: all are taken. */
  take(use: number): number {
    if (this.#taken >= 0xffff) return 0;
    let id = this.#last;
    do {
      id = id === 0xffff ? 1 : id + 1;
    } while (this.#use[id] !== FREE);
    this.#last = id;
    this.#use[id] = use;
    this.#taken += 1;
    return id;
  }

  /** Takes exactly this one, which an earlier process had assigned. */
  claim(packetIdentifier: number, use: number): void {
    if (this.#use[packetIdentifier] === FREE) this.#taken += 1;
    this.#use[packetIdentifier] = use;
  }

  free(packetIdentifier: number): void {
    if (this.#use[packetIdentifier] === FREE) return;
    this.#use[packetIdentifier] = FREE;
    this.#taken -= 1;
  }

  /** A number from 0, CONTROL, or -1 where it is free. */
  useOf(packetIdentifier: number): number {
    return this.#use[packetIdentifier] ?? FREE;
  }
}
