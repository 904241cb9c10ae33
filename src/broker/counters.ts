/** What the broker has counted since the start; plain numbers, added to on the hot path. */
export class Counters {
  messagesReceived = 0;
  messagesSent = 0;
  messagesDropped = 0;
  bytesReceived = 0;
  bytesSent = 0;
  connectionsRefused = 0;
  protocolErrors = 0;
  loginsFailed = 0;
  connectionsThrottled = 0;
  /** Messages that their client may not publish. */
  publishesDenied = 0;
}
