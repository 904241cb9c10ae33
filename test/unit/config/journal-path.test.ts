import { expect, test } from 'vitest';
import { resolveJournalPath } from '../../../src/config/journal-path.js';

test('the default configuration keeps its journal in /var/lib/godwit, unless systemd says where', () => {
  expect(resolveJournalPath('data/journal.db', '/etc/godwit/godwit.yaml', {})).toBe(
    '/var/lib/godwit/data/journal.db',
  );
  expect(resolveJournalPath('j.db', '/etc/godwit/../godwit/godwit.yaml', {})).toBe('/var/lib/godwit/j.db');
  expect(resolveJournalPath('j.db', '/etc/godwit/godwit.yaml', { STATE_DIRECTORY: '/run/x' })).toBe(
    '/run/x/j.db',
  );
  expect(resolveJournalPath('j.db', '/etc/godwit/other.yaml', { STATE_DIRECTORY: '' })).toBe(
    '/etc/godwit/j.db',
  );
  expect(resolveJournalPath('/abs/j.db', '/etc/godwit/godwit.yaml', {})).toBe('/abs/j.db');
});
