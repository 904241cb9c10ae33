/** Several messages at once. */
import type { RawClient } from './raw-client.js';
import type { Published } from './read.js';

/** The next `count` PUBLISH packets, not acknowledged. */
export async function take(client: RawClient, count: number): Promise<Published[]> {
  const got: Published[] = [];
  while (got.length < count) got.push(await client.take('publish'));
  return got;
}

export function payloads(messages: readonly Published[]): string[] {
  return messages.map(({ payload }) => payload.toString());
}

/** '0', '1', … */
export function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${at}`);
}
