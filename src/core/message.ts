export type QoS = 0 | 1 | 2;

/** What MQTT 5.0 lets travel with an Application Message from publisher to subscriber [MQTT5-3.3.2.3]. */
export interface MessageProperties {
  readonly payloadFormatIndicator?: 0 | 1;
  /** Seconds left when the message was accepted. */
  readonly messageExpiryInterval?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
}

/** What MQTT carries. It has no Packet Identifier: that belongs to one connection's session. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties?: MessageProperties;
}
