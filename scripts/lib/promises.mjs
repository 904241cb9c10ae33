/** What a gateway has promised up to a moment, by the packets that it sent, and what of it a journal does not hold. */
import { PacketStream, payloadOf, PUBACK, PUBLISH, publishOf, PUBREC, PUBREL, staysPublished, staysReleased, SUBACK } from './raw-mqtt.mjs';

export class Promises {
  #clientOf;
  #upstreamPort;
  #streams = new Map();
  #accepted = new Set();
  /** QoS 2 identifiers of the client that never sends PUBREL. */
  #held = new Set();
  #retained = 0;
  #subscribed = false;
  /** Identifier → payload of handshakes that the upstream left open. */
  #published = new Map();
  #released = new Map();

  /** `clientOf`: the port that each of our clients spoke from. */
  constructor(clientOf, upstreamPort) {
    this.#clientOf = clientOf;
    this.#upstreamPort = upstreamPort;
  }

  sent(port, bytes) {
    const clientId = port === this.#upstreamPort ? '' : this.#clientOf.get(port);
    if (clientId === undefined) return;
    let stream = this.#streams.get(port);
    if (stream === undefined) {
      stream = new PacketStream();
      this.#streams.set(port, stream);
    }
    for (const packet of stream.packets(bytes)) {
      if (clientId === '') this.#sentUpstream(packet);
      else this.#sentTo(clientId, packet);
    }
  }

  #sentTo(clientId, { type, body }) {
    if (type === SUBACK) this.#subscribed = true;
    if (type !== PUBACK && type !== PUBREC) return;
    const identifier = body.readUInt16BE(0);
    const payload = payloadOf(clientId, identifier);
    this.#accepted.add(payload);
    if (clientId === 'holding') this.#held.add(identifier);
    if (clientId === 'lone') this.#retained = identifier;
  }

  #sentUpstream(packet) {
    if (packet.type === PUBLISH) {
      const { qos, packetIdentifier, payload } = publishOf(packet);
      if (qos !== 2) return;
      if (staysPublished(packetIdentifier)) this.#published.set(packetIdentifier, payload);
      if (staysReleased(packetIdentifier)) this.#released.set(packetIdentifier, { payload, released: false });
    }
    if (packet.type === PUBREL) {
      const one = this.#released.get(packet.body.readUInt16BE(0));
      if (one !== undefined) one.released = true;
    }
  }

  counts() {
    return { accepted: this.#accepted.size, identifiers: this.#held.size, upstream: this.#published.size + this.#released.size };
  }

  missingFrom({ records, retained, sessions, upstream }) {
    const faults = [];
    for (const payload of this.#accepted) if (!records.has(payload)) faults.push(`not in the journal: ${payload}`);
    const absent = sessions.get('absent');
    if (this.#subscribed) {
      if (!absent?.filters.includes('proof/#')) faults.push('the subscription of the session that is away');
      for (const payload of this.#accepted) if (!absent?.queue.has(payload)) faults.push(`not in the queue: ${payload}`);
    }
    const received = sessions.get('holding')?.received;
    for (const one of this.#held) if (!received?.has(one)) faults.push(`a QoS 2 identifier that was accepted: ${one}`);
    if (this.#retained > 0) {
      const now = Number(retained.get('proof/retained')?.split(' ')[1] ?? 0);
      if (now < this.#retained) faults.push(`retained is ${now}, promised was ${this.#retained}`);
    }
    for (const [identifier, payload] of this.#published) {
      if (upstream.get(identifier)?.payload !== payload) faults.push(`an identifier in flight upstream: ${identifier}`);
    }
    for (const [identifier, { payload, released }] of this.#released) {
      const found = upstream.get(identifier);
      if (found?.payload !== payload) faults.push(`an identifier in flight upstream: ${identifier}`);
      else if (released && found.phase !== 'released') faults.push(`a release that had left: ${identifier}`);
    }
    return faults;
  }
}
