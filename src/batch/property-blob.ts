/** What a client's message has of MQTT 5.0 properties, as bytes: once in a batch for all messages that share them. */
import type { MessageProperties } from '../core/message.js';
import { damaged } from './batch.js';
import { ByteSink } from './byte-sink.js';
import { ByteSource } from './byte-source.js';

const FORMAT = 0x01;
const FORMAT_UTF8 = 0x02;
const EXPIRY = 0x04;
const CONTENT_TYPE = 0x08;
const RESPONSE_TOPIC = 0x10;
const CORRELATION = 0x20;
const USER_PROPERTIES = 0x40;

/** flags │ expiry seconds │ content type │ response topic │ correlation data │ count, (name, value), … : what is flagged */
export function propertyBlob(properties: MessageProperties): Uint8Array {
  const { payloadFormatIndicator, messageExpiryInterval, contentType } = properties;
  const { responseTopic, correlationData, userProperties } = properties;
  const to = new ByteSink(64);
  to.u8(
    (payloadFormatIndicator === undefined ? 0 : FORMAT) |
      (payloadFormatIndicator === 1 ? FORMAT_UTF8 : 0) |
      (messageExpiryInterval === undefined ? 0 : EXPIRY) |
      (contentType === undefined ? 0 : CONTENT_TYPE) |
      (responseTopic === undefined ? 0 : RESPONSE_TOPIC) |
      (correlationData === undefined ? 0 : CORRELATION) |
      (userProperties === undefined ? 0 : USER_PROPERTIES),
  );
  if (messageExpiryInterval !== undefined) to.varint(messageExpiryInterval);
  if (contentType !== undefined) to.text(contentType);
  if (responseTopic !== undefined) to.text(responseTopic);
  if (correlationData !== undefined) to.blob(correlationData);
  if (userProperties !== undefined) {
    to.varint(userProperties.length);
    for (const [name, value] of userProperties) {
      to.text(name);
      to.text(value);
    }
  }
  return to.bytes;
}

export function readPropertyBlob(bytes: Uint8Array): MessageProperties {
  const from = new ByteSource(bytes);
  const flags = from.u8();
  const properties: MessageProperties = {
    ...((flags & FORMAT) !== 0 && { payloadFormatIndicator: (flags & FORMAT_UTF8) === 0 ? 0 : 1 }),
    ...((flags & EXPIRY) !== 0 && { messageExpiryInterval: from.varint() }),
    ...((flags & CONTENT_TYPE) !== 0 && { contentType: from.text() }),
    ...((flags & RESPONSE_TOPIC) !== 0 && { responseTopic: from.text() }),
    ...((flags & CORRELATION) !== 0 && { correlationData: from.blob().slice() }),
    ...((flags & USER_PROPERTIES) !== 0 && { userProperties: readUserProperties(from) }),
  };
  if (from.left > 0) throw damaged('properties with bytes left over');
  return properties;
}

function readUserProperties(from: ByteSource): (readonly [string, string])[] {
  const count = from.count(2);
  const pairs: (readonly [string, string])[] = [];
  for (let index = 0; index < count; index += 1) pairs.push([from.text(), from.text()]);
  return pairs;
}
