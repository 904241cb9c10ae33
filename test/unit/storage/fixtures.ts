/** What most storage tests need: a folder that goes away, a Message, a Route, a journal on a fake clock. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Log } from '../../../src/core/log.js';
import type { Content } from '../../../src/core/record.js';
import type { Route } from '../../../src/core/route.js';
import { type InlineOptions, InlineStorage } from '../../../src/storage/inline-storage.js';
import type { Storage } from '../../../src/storage/storage.js';
import { FakeClock } from '../../support/fake-clock.js';

export function journalPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-journal-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'journal.db');
}

export function messageOf(topic: string, payload: string | Uint8Array = 'x'): Content & { kind: 'message' } {
  return { kind: 'message', message: { topic, payload: Buffer.from(payload), qos: 1, retain: false } };
}

export function routeOf(bridge = 'cloud', lane: Route['lane'] = 'normal', more: Partial<Route> = {}): Route {
  return { bridge, lane, qos: 1, retain: 'keep', strip: '', prefix: '', properties: 'all', ...more };
}

/** A journal whose commits wait for `commitNow()`. */
export async function heldJournal(
  options: Partial<InlineOptions> & { readonly path: string },
): Promise<{ journal: InlineStorage; clock: FakeClock }> {
  const clock = (options.clock as FakeClock | undefined) ?? new FakeClock();
  const journal = new InlineStorage({ hold: true, ...options, clock });
  await journal.start();
  onTestFinished(() => journal.stop());
  return { journal, clock };
}

/** All Records of a lane from an offset on, read in slices. */
export async function readAll(
  journal: Storage,
  bridge = 'cloud',
  lane: Route['lane'] = 'normal',
  bytesMax = 1000,
): Promise<{ offset: number; topic: string }[]> {
  const all: { offset: number; topic: string }[] = [];
  for (let from = 1; from <= journal.head; ) {
    const { records, next } = await journal.read(bridge, lane, from, bytesMax);
    for (const { offset, content } of records) {
      all.push({ offset, topic: content.kind === 'message' ? content.message.topic : content.set.topic });
    }
    if (next <= from) throw new Error('a read made no progress');
    from = next;
  }
  return all;
}

/** A log whose lines a test can look at. */
export function listLog(): Log & { readonly lines: { level: string; fields: object; sentence: string }[] } {
  const lines: { level: string; fields: object; sentence: string }[] = [];
  const at = (level: string) => (fields: object, sentence: string) =>
    void lines.push({ level, fields, sentence });
  return { lines, error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
}
