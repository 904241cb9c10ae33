/** Clients whose Maximum Packet Size leaves no room for explanations: CONNACK fits, a Reason String of any use does not. */
import { expect } from 'vitest';
import type { Connect } from './build.js';
import type { Five } from './five.js';
import { P } from './property.js';
import type { RawClient } from './raw-client.js';

export const CRAMPED_BYTES = 32;

export function cramped(bench: Five, options: Connect = {}): Promise<RawClient> {
  const properties = [[P.maximumPacketSize, CRAMPED_BYTES] as const, ...(options.properties ?? [])];
  return bench.client({ ...options, properties });
}

/** Everything that came kept to that size. */
export function expectCramped(client: RawClient): void {
  for (const { type, bytes } of client.received) {
    expect(bytes.length, `octets of ${type}`).toBeLessThanOrEqual(CRAMPED_BYTES);
  }
}
