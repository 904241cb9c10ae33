/**
 * What a Client publishes: messages wait here until the connection and the server's window take them, and until they are
 * acknowledged.
 *
 *   publish ─▶ queue ──writable, window──▶ Sender ──PUBACK, PUBCOMP──▶ resolved
 *              └────── QoS 0: resolved once it is handed to the socket
 *
 * A connection that is lost costs nothing above QoS 0: with its session the server has what is in flight, and it is sent
 * again as the Sender says; without, it is sent anew.
 */
import { BoundedQueue } from '../core/bounded-queue.js';
import { GodwitError } from '../core/error.js';
import type { Message } from '../core/message.js';
import { encode, encodedSize } from '../mqtt/encoder.js';
import type { AckPacket, ProtocolVersion, PublishPacket } from '../mqtt/packet.js';
import { ReasonCode, reasonName } from '../mqtt/reason-code.js';
import { Sender, type SenderStep } from '../mqtt/sender.js';
import { validTopicName } from '../mqtt/topic.js';

/** What the server of this connection takes. */
export interface ServerLimits {
  readonly version: ProtocolVersion;
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  readonly maximumQoS: 0 | 1 | 2;
  readonly retainAvailable: boolean;
}

export interface Wire {
  /** False: the socket has enough for now. */
  readonly writable: boolean;
  write(bytes: Uint8Array): void;
  send(packet: AckPacket): void;
  /** The server broke the protocol. */
  fail(reasonCode: ReasonCode, why: string): void;
}

/** What a Remaining Length of four bytes can say, with the header before it [MQTT5-1.5.5]. */
const PACKET_BYTES_MAX = 268_435_460;

interface Pending {
  readonly message: Message;
  readonly resolve: () => void;
  readonly reject: (fault: GodwitError) => void;
}

export class Outgoing {
  readonly sender = new Sender<Pending>();
  readonly #queue: BoundedQueue<Pending>;
  readonly #queueMax: number;
  /** What was in flight with a session that the server has lost: goes first. */
  #again: Pending[] = [];
  #limits: ServerLimits | undefined;
  #wire: Wire | undefined;

  constructor(queueMax: number) {
    this.#queueMax = queueMax;
    this.#queue = new BoundedQueue(queueMax);
  }

  publish(message: Message): Promise<void> {
    return new Promise((resolve, reject) => {
      const { topic, qos } = message;
      if (topic === '' || !validTopicName(topic)) {
        reject(new GodwitError('TOPIC_NAME_INVALID', `'${topic}' is not a topic name`, { topic }));
        return;
      }
      if (qos === 0 && this.#wire === undefined) {
        reject(
          new GodwitError('NOT_CONNECTED', `'${topic}': QoS 0 does not wait for a connection`, { topic }),
        );
        return;
      }
      const waiting = this.#queue.size + this.#again.length + this.sender.inFlightCount;
      if (waiting >= this.#queueMax || !this.#queue.push({ message, resolve, reject })) {
        reject(new GodwitError('QUEUE_FULL', `'${topic}': ${waiting} messages wait already`, { topic }));
        return;
      }
      this.pump();
    });
  }

  connected(wire: Wire, limits: ServerLimits, sessionPresent: boolean): void {
    this.#wire = wire;
    this.#limits = limits;
    // Released ones were accepted by the old session: sent anew they would come twice, and PUBREC said they had come.
    if (!sessionPresent) {
      for (const { phase, item } of this.sender.reset()) {
        if (phase === 'released') item.resolve();
        else this.#again.push(item);
      }
    }
    this.carryOut(this.sender.resume(limits.receiveMaximum));
    this.pump();
  }

  disconnected(): void {
    this.#wire = undefined;
  }

  /** Nothing of it will be sent any more. */
  end(fault: GodwitError): void {
    this.#wire = undefined;
    for (const { item } of this.sender.reset()) item.reject(fault);
    for (const item of this.#again.splice(0)) item.reject(fault);
    for (let item = this.#queue.shift(); item !== undefined; item = this.#queue.shift()) item.reject(fault);
  }

  /** Sends what the connection and the window take. */
  pump(): void {
    for (let next = this.#next; next !== undefined; next = this.#next) {
      const wire = this.#wire;
      if (wire?.writable !== true) return;
      const { qos } = next.message;
      if (qos > 0 && this.sender.quota === 0) return;
      if (this.#again[0] === next) this.#again.shift();
      else this.#queue.shift();
      this.#send(next, wire);
    }
  }

  carryOut(steps: readonly SenderStep<Pending>[]): void {
    for (const step of steps) {
      switch (step.do) {
        // A program's own memory is all there is to save in.
        case 'save':
          break;
        case 'send':
          this.#wire?.send(step.packet);
          break;
        case 'resend':
          this.#resend(step.item, step.packetIdentifier);
          break;
        case 'settle':
          settle(step.item, step.reasonCode);
          break;
        case 'close':
          this.#wire?.fail(step.reasonCode, step.why);
          return;
      }
    }
  }

  get #next(): Pending | undefined {
    return this.#again[0] ?? this.#queue.peek();
  }

  #send(pending: Pending, wire: Wire): void {
    const { message } = pending;
    const refused = this.#refusal(message);
    if (refused !== undefined) {
      pending.reject(refused);
      return;
    }
    const packetIdentifier = message.qos === 0 ? 0 : this.sender.publish(pending, message.qos);
    wire.write(encode(this.#packet(message, packetIdentifier, false), this.#version));
    if (message.qos === 0) pending.resolve();
  }

  #resend({ message }: Pending, packetIdentifier: number): void {
    this.#wire?.write(encode(this.#packet(message, packetIdentifier, true), this.#version));
  }

  /** What this server does not take is not sent [MQTT5-3.2.2-11] [MQTT5-3.2.2-14] [MQTT5-3.2.2-15]. */
  #refusal(message: Message): GodwitError | undefined {
    const {
      maximumQoS = 2,
      retainAvailable = true,
      maximumPacketSize = PACKET_BYTES_MAX,
    } = this.#limits ?? {};
    const { topic } = message;
    const no = (code: string, why: string): GodwitError =>
      new GodwitError(code, `'${topic}': ${why}`, { topic });
    if (message.qos > maximumQoS)
      return no('QOS_NOT_SUPPORTED', `the server takes QoS ${maximumQoS} at most`);
    if (message.retain && !retainAvailable) {
      return no('RETAIN_NOT_SUPPORTED', 'the server keeps no retained messages');
    }
    if (
      encodedSize(this.#packet(message, 1, false), this.#version) >
      Math.min(maximumPacketSize, PACKET_BYTES_MAX)
    ) {
      return no('PACKET_TOO_LARGE', 'the message is larger than the server takes');
    }
    return undefined;
  }

  get #version(): ProtocolVersion {
    return this.#limits?.version ?? 5;
  }

  #packet(message: Message, packetIdentifier: number, dup: boolean): PublishPacket {
    const { topic, payload, qos, retain, properties } = message;
    return {
      type: 'publish',
      topic,
      payload,
      qos,
      retain,
      dup,
      ...(qos === 0 ? {} : { packetIdentifier }),
      ...(this.#version === 5 && properties !== undefined ? { properties } : {}),
    };
  }
}

function settle({ message, resolve, reject }: Pending, reasonCode: ReasonCode): void {
  if (reasonCode < ReasonCode.unspecifiedError) {
    resolve();
    return;
  }
  const { topic } = message;
  reject(
    new GodwitError('PUBLISH_REFUSED', `'${topic}': the server refused it, ${reasonName(reasonCode)}`, {
      topic,
      reasonCode,
    }),
  );
}
