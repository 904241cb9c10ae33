/**
 * Every MQTT control packet, 3.1.1 and 5.0 together: one union, and what differs between the versions is kept in
 * tables (property.ts, reason-code.ts). A 3.1.1 packet simply has no `properties` and its reason codes are 0.
 */
import type { QoS } from '../core/message.js';
import type { Properties } from './property.js';
import type { ReasonCode } from './reason-code.js';

/** Protocol Level as CONNECT carries it. */
export type ProtocolVersion = 4 | 5;

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties?: Properties;
}

export interface ConnectPacket {
  readonly type: 'connect';
  readonly protocolVersion: ProtocolVersion;
  readonly clientId: string;
  /** Clean Session in 3.1.1. */
  readonly cleanStart: boolean;
  /** Seconds; 0 turns it off. */
  readonly keepAlive: number;
  readonly will?: Will;
  readonly username?: string;
  readonly password?: Uint8Array;
  readonly properties?: Properties;
}

export interface ConnackPacket {
  readonly type: 'connack';
  readonly sessionPresent: boolean;
  /** The 5.0 Reason Code; for 3.1.1 the codec maps to and from its Return Codes 0 to 5. */
  readonly reasonCode: ReasonCode;
  readonly properties?: Properties;
}

export interface PublishPacket {
  readonly type: 'publish';
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  /** Above QoS 0 only. */
  readonly packetIdentifier?: number;
  readonly properties?: Properties;
}

export interface AckPacket {
  readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  readonly packetIdentifier: number;
  readonly reasonCode: ReasonCode;
  readonly properties?: Properties;
}

export interface SubscriptionRequest {
  readonly topicFilter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
}

export interface SubscribePacket {
  readonly type: 'subscribe';
  readonly packetIdentifier: number;
  readonly subscriptions: readonly SubscriptionRequest[];
  readonly properties?: Properties;
}

export interface SubackPacket {
  readonly type: 'suback';
  readonly packetIdentifier: number;
  /** Granted QoS 0 to 2 or a failure code; for 3.1.1 the codec writes any failure as 0x80. */
  readonly reasonCodes: readonly ReasonCode[];
  readonly properties?: Properties;
}

export interface UnsubscribePacket {
  readonly type: 'unsubscribe';
  readonly packetIdentifier: number;
  readonly topicFilters: readonly string[];
  readonly properties?: Properties;
}

export interface UnsubackPacket {
  readonly type: 'unsuback';
  readonly packetIdentifier: number;
  /** Empty in 3.1.1. */
  readonly reasonCodes: readonly ReasonCode[];
  readonly properties?: Properties;
}

export interface PingPacket {
  readonly type: 'pingreq' | 'pingresp';
}

export interface DisconnectPacket {
  readonly type: 'disconnect';
  readonly reasonCode: ReasonCode;
  readonly properties?: Properties;
}

/** 5.0 only. */
export interface AuthPacket {
  readonly type: 'auth';
  readonly reasonCode: ReasonCode;
  readonly properties?: Properties;
}

export type Packet =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | SubackPacket
  | UnsubscribePacket
  | UnsubackPacket
  | PingPacket
  | DisconnectPacket
  | AuthPacket;
