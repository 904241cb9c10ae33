/** What the broker has counted since the start; plain numbers, added to on the hot path. */
export class Counters {
  /** MQTT packets of every type. */
  packetsReceived = 0;
  packetsSent = 0;
  payloadBytesReceived = 0;
  payloadBytesSent = 0;
  /** Streams of bytes, whether a CONNECT came or not. */
  socketsOpened = 0;
  connectionsAccepted = 0;
  /** SUBSCRIBEs beyond the client's limit. */
  subscriptionsRefused = 0;
  messagesReceived = 0;
  messagesSent = 0;
  messagesDropped = 0;
  /** Of these, messages that a session had no room for. */
  messagesNotQueued = 0;
  bytesReceived = 0;
  bytesSent = 0;
  connectionsRefused = 0;
  protocolErrors = 0;
  loginsFailed = 0;
  connectionsThrottled = 0;
  /** Messages that their client may not publish. */
  publishesDenied = 0;
}
