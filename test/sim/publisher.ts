/**
 * A local client that publishes at QoS 1 and 2 and remembers what was acknowledged. It keeps its session: after a
 * reconnect it sends again what is open, as the standard has it; where the gateway has lost the session it publishes
 * again what was not accepted, as a careful device would.
 *
 *   made ──PUBLISH──▶ sent ──PUBACK / PUBREC──▶ accepted (──PUBREL──PUBCOMP──▶ done)
 */
import { Decoder } from '../../src/mqtt/decoder.js';
import { encode } from '../../src/mqtt/encoder.js';
import type { Packet, ProtocolVersion } from '../../src/mqtt/packet.js';
import type { FakeClock } from '../support/fake-clock.js';
import type { Chance } from './chance.js';
import type { End, EndUser } from './network.js';
import { told } from './told.js';

export interface PublisherCharacter {
  readonly clientId: string;
  readonly version: ProtocolVersion;
  readonly topics: readonly string[];
  /** Between two messages, in milliseconds. */
  readonly everyMs: number;
  /** Unacknowledged at once. */
  readonly window: number;
  readonly bytes: number;
  readonly reconnectMs: number;
  /** Seconds of Message Expiry that some messages have; 5.0 only. */
  readonly expirySeconds: number | undefined;
}

/** One message and what became of it, as its publisher sees it. */
export interface Made {
  readonly text: string;
  readonly topic: string;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly expires: boolean;
  /** PUBACK or PUBREC came, and said yes. */
  accepted: boolean;
  /** The session was lost before it was accepted: it was published anew, and may have been accepted twice. */
  anew: boolean;
  refused: boolean;
}

interface Open {
  readonly made: Made;
  released: boolean;
  sent: boolean;
}

export class Publisher implements EndUser {
  readonly made: Made[] = [];
  readonly broken: string[] = [];
  readonly character: PublisherCharacter;
  readonly #tell: (what: string) => void;
  readonly #clock: FakeClock;
  readonly #chance: Chance;
  readonly #dial: () => End | undefined;
  readonly #open = new Map<number, Open>();
  readonly #waiting: Made[] = [];
  #end: End | undefined;
  #decoder: Decoder | undefined;
  #isConnected = false;
  #isMaking = true;
  #identifier = 0;

  constructor(
    character: PublisherCharacter,
    clock: FakeClock,
    chance: Chance,
    dial: () => End | undefined,
    tell: (what: string) => void,
  ) {
    this.#tell = tell;
    this.character = character;
    this.#clock = clock;
    this.#chance = chance;
    this.#dial = dial;
  }

  start(): void {
    this.#connect();
    this.#makeLater();
  }

  /** Makes nothing new; what is open is still brought to its end. */
  finish(): void {
    this.#isMaking = false;
  }

  /** Nothing is open or waits. */
  get isDone(): boolean {
    return this.#open.size === 0 && this.#waiting.length === 0;
  }

  data(bytes: Uint8Array): void {
    const decoder = this.#decoder;
    if (decoder === undefined) return;
    decoder.push(bytes);
    for (let decoded = decoder.next(); decoded.kind !== 'incomplete'; decoded = decoder.next()) {
      if (decoded.kind === 'malformed') {
        this.broken.push(`the broker sent nonsense: ${decoded.why}`);
        this.#end?.destroy();
        return;
      }
      this.#packet(decoded.packet);
    }
    this.#pump();
  }

  closed(): void {
    this.#end = undefined;
    this.#decoder = undefined;
    this.#isConnected = false;
    this.#later(this.character.reconnectMs * this.#chance.between(0.5, 1.5), () => this.#connect());
  }

  #later(ms: number, run: () => void): void {
    this.#clock.at(this.#clock.monotonicMs() + ms, run);
  }

  #connect(): void {
    const end = this.#dial();
    if (end === undefined) {
      this.#later(this.character.reconnectMs, () => this.#connect());
      return;
    }
    const { clientId, version } = this.character;
    this.#end = end;
    this.#decoder = new Decoder({ maximumPacketSize: 2 ** 20, receiver: 'client', protocolVersion: version });
    end.user = this;
    this.#send({
      type: 'connect',
      protocolVersion: version,
      clientId,
      cleanStart: false,
      keepAlive: 0,
      ...(version === 5 && { properties: { sessionExpiryInterval: 86_400 } }),
    });
  }

  #makeLater(): void {
    const { everyMs } = this.character;
    this.#later(everyMs * this.#chance.between(0.2, 1.8), () => {
      if (!this.#isMaking) return;
      // A device that is not heard keeps some of what it has to say, not all.
      if (this.#waiting.length < 50) this.#waiting.push(this.#make());
      this.#pump();
      this.#makeLater();
    });
  }

  #make(): Made {
    const { clientId, topics, bytes, expirySeconds } = this.character;
    const chance = this.#chance;
    const text = `${clientId}:${this.made.length}`;
    const made: Made = {
      text: text.padEnd(Math.floor(bytes * chance.between(0.5, 1)), '.'),
      topic: chance.of(topics),
      qos: chance.is(0.5) ? 2 : 1,
      retain: chance.is(0.1),
      expires: expirySeconds !== undefined && chance.is(0.3),
      accepted: false,
      anew: false,
      refused: false,
    };
    this.made.push(made);
    return made;
  }

  #pump(): void {
    if (!this.#isConnected) return;
    while (this.#open.size < this.character.window) {
      const made = this.#waiting.shift();
      if (made === undefined) return;
      const packetIdentifier = this.#nextIdentifier();
      const open = { made, released: false, sent: true };
      this.#open.set(packetIdentifier, open);
      this.#publish(packetIdentifier, open, false);
    }
  }

  #nextIdentifier(): number {
    do this.#identifier = (this.#identifier % 65_535) + 1;
    while (this.#open.has(this.#identifier));
    return this.#identifier;
  }

  #publish(packetIdentifier: number, { made }: Open, dup: boolean): void {
    const { expirySeconds, version } = this.character;
    this.#send({
      type: 'publish',
      topic: made.topic,
      payload: Buffer.from(made.text),
      qos: made.qos,
      retain: made.retain,
      dup,
      packetIdentifier,
      ...(version === 5 &&
        made.expires &&
        expirySeconds !== undefined && { properties: { messageExpiryInterval: expirySeconds } }),
    });
  }

  #packet(packet: Packet): void {
    this.#tell(`${this.character.clientId} hears ${told(packet)}`);
    switch (packet.type) {
      case 'connack':
        if (packet.reasonCode >= 0x80) this.#end?.destroy();
        else this.#connected(packet.sessionPresent);
        return;
      case 'puback':
      case 'pubrec':
        this.#acknowledged(packet.packetIdentifier, packet.type, packet.reasonCode);
        return;
      case 'pubcomp':
        if (this.#open.get(packet.packetIdentifier)?.released === true)
          this.#open.delete(packet.packetIdentifier);
        return;
      case 'disconnect':
        this.#end?.destroy();
        return;
      default:
        this.broken.push(`the broker sent ${packet.type} to a client that only publishes`);
    }
  }

  #connected(sessionPresent: boolean): void {
    this.#isConnected = true;
    const before = [...this.#open];
    if (sessionPresent) {
      for (const [packetIdentifier, open] of before) {
        if (open.released) this.#release(packetIdentifier);
        else this.#publish(packetIdentifier, open, true);
      }
      return;
    }
    this.#open.clear();
    const anew = before.filter(([, open]) => !open.released).map(([, { made }]) => made);
    for (const made of anew) made.anew = true;
    this.#waiting.unshift(...anew);
  }

  #acknowledged(packetIdentifier: number, type: 'puback' | 'pubrec', reasonCode: number): void {
    const open = this.#open.get(packetIdentifier);
    if (open === undefined || (type === 'puback') !== (open.made.qos === 1)) {
      this.broken.push(`${type} ${packetIdentifier} is for nothing that was published`);
      return;
    }
    if (reasonCode >= 0x80) {
      open.made.refused = true;
      this.#open.delete(packetIdentifier);
      return;
    }
    open.made.accepted = true;
    if (type === 'puback') {
      this.#open.delete(packetIdentifier);
      return;
    }
    open.released = true;
    this.#release(packetIdentifier);
  }

  #release(packetIdentifier: number): void {
    this.#send({ type: 'pubrel', packetIdentifier, reasonCode: 0 });
  }

  #send(packet: Packet): void {
    this.#tell(`${this.character.clientId} sends ${told(packet)}`);
    this.#end?.write(encode(packet, this.character.version));
  }
}
