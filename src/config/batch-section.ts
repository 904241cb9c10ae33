/** `batch` of a forward rule: many messages leave as one. */
import { duration, limit, size, text } from './kind.js';
import { z } from './zod.js';

export const batchSchema = z.strictObject({
  max_delay: duration(0, 86_400_000).prefault('30s').describe('How long the first message waits for others.'),
  max_bytes: size('64B', '64MiB')
    .prefault('64KiB')
    .describe("Of the payload, compressed; never more than the server's Maximum Packet Size allows."),
  max_messages: limit(10_000, 1, 10_000).describe('Messages in one batch.'),
  encoding: z
    .enum(['json', 'cbor', 'columnar'])
    .default('json')
    .describe('json and cbor: a document, by series; columnar: the fewest bytes. godwit unbatch reads all.'),
  compress: z.enum(['none', 'deflate', 'brotli']).default('none').describe('How it is compressed.'),
  topic: text('a topic')
    .default('godwit/{gateway}/batch')
    .describe('Where batches are published; {gateway} stands for the gateway id.'),
});
