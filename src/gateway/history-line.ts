/** A Record as a line of `godwit export`: its payload as text, or in base64 where it is not UTF-8. */
import { isUtf8 } from 'node:buffer';
import type { Record } from '../core/record.js';
import { encodePayload } from '../mapping/payload.js';

export function historyLine({ offset, acceptedAtMs, content }: Record): string {
  const { topic, qos, retain } = content.kind === 'message' ? content.message : content.set;
  const bytes = content.kind === 'message' ? content.message.payload : encodePayload(content.set);
  const payload = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return JSON.stringify({
    seq: offset,
    ts: Math.round(acceptedAtMs),
    topic,
    qos,
    retain,
    ...(isUtf8(payload)
      ? { payload: payload.toString('utf8') }
      : { payload_base64: payload.toString('base64') }),
  });
}
