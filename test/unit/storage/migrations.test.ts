import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { heldJournal, journalPath, messageOf, routeOf } from './fixtures.js';

test.each(['schema-1.sql', 'schema-2.sql'])(
  'a journal of an earlier version is opened with all that it held: %s',
  async (fixture) => {
    const path = journalPath();
    const old = new Sqlite(path);
    old.exec(readFileSync(join(import.meta.dirname, fixture), 'utf8'));
    old.close();

    const { journal } = await heldJournal({ path });
    expect(journal.snapshot().damage).toEqual([]);
    const { records } = await journal.read('cloud', 'high', 1, 10_000);
    const [first, second] = records;
    expect(first).toEqual({
      offset: 1,
      acceptedAtMs: 1_732_104_000_000,
      routes: [1],
      content: messageOf('site/a', 'one'),
    });
    expect(second?.content).toMatchObject({
      kind: 'samples',
      set: { topic: 'site/tank', samples: [{ device: 'tank', point: 'level', unit: '%', value: 71.25 }] },
    });
    expect(journal.route(1)).toEqual(routeOf('cloud', 'high', { qos: 2, prefix: 'p/' }));
    expect(journal.ledger('cloud')).toEqual({ produced: 2, delivered: 1, lost: 0 });
    expect(Buffer.from(journal.bridge('cloud')!.bytes).toString()).toBe('state');
    expect([...journal.retained()].map(({ message }) => message.topic)).toEqual(['r']);
    expect(Buffer.from(journal.keyValue('pulses').get('flow')!).toString()).toBe('41');
    expect(journal.snapshot().losses).toMatchObject([{ lost: 3, reason: 'full', topics: ['site/a'] }]);

    journal.append(messageOf('new'), [1], 1, true);
    journal.commitNow();
    expect(journal.head).toBe(3);
  },
);
