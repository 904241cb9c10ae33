/**
 * Whose session it is: the server and client identifier that the state belongs to, and whether a session that the
 * server says to have may be younger than ours.
 *
 * A server that has lost its session begins another with the next CONNECT. If we do not live to hear that, the
 * CONNACK after it says Session Present of a session that never saw what is released here: PUBREL would be answered,
 * and the message be lost. So a CONNECT that was never answered is remembered, on disk too where something is released.
 */
import type { SavedState } from './bridge-state.js';

export class SessionIdentity {
  #server: string;
  #clientId: string;
  /** Counts the server's sessions: one more for each that was lost. */
  #generation: number;
  /** A CONNECT is under way, or one was never answered. */
  #probing: boolean;
  #probingOnDisk: boolean;
  #doubtful = false;

  constructor({ server, clientId, generation, probing }: SavedState) {
    this.#server = server;
    this.#clientId = clientId;
    this.#generation = generation;
    this.#probing = probing;
    this.#probingOnDisk = probing;
  }

  /** For the saved state. A refusal of the CONNECT after it settles no doubt. */
  get saved(): Pick<SavedState, 'server' | 'clientId' | 'generation' | 'probing'> {
    return {
      server: this.#server,
      clientId: this.#clientId,
      generation: this.#generation,
      probing: this.#probing || this.#doubtful,
    };
  }

  get generation(): number {
    return this.#generation;
  }

  get doubtful(): boolean {
    return this.#doubtful;
  }

  isOf(server: string, clientId: string): boolean {
    return this.#server === server && this.#clientId === clientId;
  }

  /** A CONNECT is about to leave. True: not before the disk knows it. @param released something is */
  connecting(released: () => boolean): boolean {
    if (this.#probing) this.#doubtful = true;
    this.#probing = true;
    return !this.#probingOnDisk && released();
  }

  refused(): void {
    this.#probing = false;
  }

  /** The doubt is settled. True: the disk is to know it, or a crash would have all that is released published again. */
  settled(): boolean {
    this.#probing = false;
    this.#doubtful = false;
    return this.#probingOnDisk;
  }

  /** Another session of this server, or the session of another one. */
  begin(server: string, clientId: string): void {
    this.#generation += 1;
    this.#server = server;
    this.#clientId = clientId;
  }

  committed(probing: boolean): void {
    this.#probingOnDisk = probing;
  }
}
