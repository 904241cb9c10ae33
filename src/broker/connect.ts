/**
 * What a CONNECT agrees on: pure. Both sides' limits in, what holds on this connection and what CONNACK tells out.
 *
 *   3.1.1  Clean Session 1 = Clean Start 1 and a session that ends with its connection; 0 = one that does not end
 */
import type { QoS } from '../core/message.js';
import type { ConnectPacket, ProtocolVersion, Will } from '../mqtt/packet.js';
import type { Properties } from '../mqtt/property.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { validTopicName } from '../mqtt/topic.js';

/** What the broker offers and allows. */
export interface Capabilities {
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  /** Of what clients publish; subscriptions are granted up to it. */
  readonly maximumQoS: QoS;
  /** Whether clients may publish with RETAIN. */
  readonly retainAvailable: boolean;
  readonly topicAliasMaximum: number;
  readonly keepAliveSecondsMax: number;
  readonly sessionExpirySecondsMax: number;
}

export interface Agreed {
  readonly version: ProtocolVersion;
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Seconds; 0: never checked. */
  readonly keepAliveSeconds: number;
  readonly expiryIntervalSeconds: number;
  /** Messages of QoS 1 and 2 that the client takes unacknowledged. */
  readonly sendMaximum: number;
  readonly maximumPacketSize: number;
  /** Aliases that the client lets us use. */
  readonly topicAliasMaximum: number;
  /** False: Reason Strings and User Properties only where they are always allowed [MQTT5-3.1.2-29]. */
  readonly problemInformation: boolean;
  /** What CONNACK says of it, 5.0 only. */
  readonly told: Properties | undefined;
}

export interface Refused {
  readonly refused: ReasonCode;
  readonly why: string;
}

const ENDLESS = 0xffff_ffff;

/** `newClientId` makes one that no session has [MQTT5-3.2.2-16]. */
export function agree(
  packet: ConnectPacket,
  capabilities: Capabilities,
  newClientId: () => string,
): Agreed | Refused {
  const { protocolVersion: version, properties } = packet;
  // [MQTT311-3.1.3-8]
  if (packet.clientId === '' && version === 4 && !packet.cleanStart) {
    return {
      refused: ReasonCode.clientIdentifierNotValid,
      why: 'an empty client identifier needs Clean Session 1',
    };
  }
  const wrongWill = packet.will === undefined ? undefined : willProblem(packet.will, capabilities);
  if (wrongWill !== undefined) return wrongWill;
  const assigned = packet.clientId === '' ? newClientId() : undefined;
  const wanted = version === 5 ? (properties?.sessionExpiryInterval ?? 0) : packet.cleanStart ? 0 : ENDLESS;
  const expiryIntervalSeconds = Math.min(wanted, capabilities.sessionExpirySecondsMax);
  const keepAliveSeconds = agreedKeepAlive(packet, capabilities.keepAliveSecondsMax);
  return {
    version,
    clientId: assigned ?? packet.clientId,
    cleanStart: packet.cleanStart,
    keepAliveSeconds,
    expiryIntervalSeconds,
    sendMaximum: Math.min(properties?.receiveMaximum ?? 0xffff, capabilities.receiveMaximum),
    maximumPacketSize: properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    topicAliasMaximum: properties?.topicAliasMaximum ?? 0,
    problemInformation: properties?.requestProblemInformation !== 0,
    told:
      version === 4
        ? undefined
        : {
            ...(expiryIntervalSeconds === wanted ? {} : { sessionExpiryInterval: expiryIntervalSeconds }),
            receiveMaximum: capabilities.receiveMaximum,
            // Absent means 2 and 1 [MQTT5-3.2.2.3.4] [MQTT5-3.2.2.3.5].
            ...(capabilities.maximumQoS === 2 ? {} : { maximumQoS: capabilities.maximumQoS }),
            ...(capabilities.retainAvailable ? {} : { retainAvailable: 0 as const }),
            maximumPacketSize: capabilities.maximumPacketSize,
            ...(assigned === undefined ? {} : { assignedClientIdentifier: assigned }),
            topicAliasMaximum: capabilities.topicAliasMaximum,
            ...(keepAliveSeconds === packet.keepAlive ? {} : { serverKeepAlive: keepAliveSeconds }),
          },
  };
}

function willProblem(will: Will, { maximumQoS, retainAvailable }: Capabilities): Refused | undefined {
  if (!validTopicName(will.topic)) {
    return { refused: ReasonCode.topicNameInvalid, why: 'the Will Topic is not a topic name' };
  }
  // [MQTT5-3.2.2-12]
  if (will.qos > maximumQoS) {
    return { refused: ReasonCode.qosNotSupported, why: `the Will has a QoS above ${maximumQoS}` };
  }
  // [MQTT5-3.2.2-13]
  if (will.retain && !retainAvailable) {
    return {
      refused: ReasonCode.retainNotSupported,
      why: 'the Will is to be retained, which is not available',
    };
  }
  return undefined;
}

/** 5.0 clients are told a shorter one; 3.1.1 clients cannot be told, and are left alone. */
function agreedKeepAlive(packet: ConnectPacket, secondsMax: number): number {
  if (packet.protocolVersion === 4) return packet.keepAlive;
  if (packet.keepAlive === 0 || packet.keepAlive > secondsMax) return secondsMax;
  return packet.keepAlive;
}
