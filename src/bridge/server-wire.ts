/** One connection as the session writes to it: Records as PUBLISH, into the turn's output. */
import type { Clock } from '../core/clock.js';
import type { QoS } from '../core/message.js';
import type { Record } from '../core/record.js';
import type { Route } from '../core/route.js';
import type { SampleSet } from '../core/sample.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import type { Client } from './client.js';
import { TURN_BYTES } from './output.js';
import { Pipe } from './pipe.js';
import { PublishWriter, type ServerLimits, userProperty } from './publish-writer.js';
import type { Wire, Written } from './wire.js';

export interface ServerWireOptions {
  readonly client: Client;
  readonly encode: (set: SampleSet) => Uint8Array;
  readonly names: { readonly gateway: string; readonly journalId: string };
  readonly limits: ServerLimits;
  readonly clock: Clock;
}

export class ServerWire implements Wire {
  readonly #client: Client;
  readonly #writer: PublishWriter;
  readonly #clock: Clock;
  #marked: { readonly job: string; readonly bytes: Uint8Array } | undefined;
  readonly #pipe = new Pipe();
  readonly #nowMs: () => number;

  constructor({ client, encode, names, limits, clock }: ServerWireOptions) {
    this.#client = client;
    this.#writer = new PublishWriter(client.output, encode, names, limits);
    this.#clock = clock;
    this.#nowMs = () => clock.monotonicMs();
  }

  get writable(): boolean {
    return this.#client.writable && this.#client.output.length < TURN_BYTES && this.#pipe.hasRoom;
  }

  publish(
    record: Record,
    route: Route,
    qos: QoS,
    packetIdentifier: number,
    dup: boolean,
    late: boolean,
    replay: string | undefined,
  ): Written {
    const nowMs = this.#clock.wallMs();
    const mark = replay === undefined ? undefined : this.#mark(replay);
    const before = this.#client.output.length;
    const written = this.#writer.write(record, route, qos, packetIdentifier, dup, nowMs, late, mark);
    this.#sent(qos, packetIdentifier, this.#client.output.length - before);
    return written;
  }

  /** PUBACK or PUBREC, whatever for. */
  acknowledged(packetIdentifier: number): void {
    this.#pipe.acknowledged(packetIdentifier, this.#nowMs);
  }

  pubrel(packetIdentifier: number): void {
    this.#client.send({ type: 'pubrel', packetIdentifier, reasonCode: ReasonCode.success });
  }

  #sent(qos: QoS, packetIdentifier: number, bytes: number): void {
    if (qos > 0 && bytes > 0) this.#pipe.sent(packetIdentifier, bytes, this.#nowMs);
  }

  /** One job at a time, many messages. */
  #mark(job: string): Uint8Array {
    if (this.#marked?.job !== job) this.#marked = { job, bytes: userProperty('replay', job) };
    return this.#marked.bytes;
  }
}
