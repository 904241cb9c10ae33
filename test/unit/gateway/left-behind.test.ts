import { expect, test } from 'vitest';
import { tellLeftBehind } from '../../../src/gateway/left-behind.js';
import { heldJournal, journalPath, listLog, messageOf, routeOf } from '../storage/fixtures.js';

test('a bridge that was renamed or removed with messages waiting is told, with how many, after a restart too', async () => {
  const path = journalPath();
  const { journal } = await heldJournal({ path });
  for (const bridge of ['old', 'old', 'done', 'cloud']) {
    journal.append(messageOf('t'), [journal.routeId(routeOf(bridge))], 1, true);
  }
  journal.saveBridge('done', Buffer.from('s'), { delivered: 1, lost: 0 });
  journal.commitNow();
  await journal.stop();
  const { journal: again } = await heldJournal({ path });
  const log = listLog();
  tellLeftBehind(again, ['cloud'], log);
  expect(log.lines).toEqual([
    {
      level: 'warn',
      fields: { bridge: 'old', waiting: 2 },
      sentence: expect.stringContaining('gone from the configuration') as string,
    },
  ]);
});
