/** The journal against what the broker puts into it: neither may leave no room for the other. */
import { parseSize } from './quantity.js';
import type { Report } from './report.js';
import type { Config } from './schema.js';
import { textAt } from './tree.js';

/** Retained messages stand in the journal's file. */
const RETAINED_SHARE = 4;
/** One message that is larger would turn everything else out. */
const MESSAGE_SHARE = 8;

/** The broker's limits as the journal has room for them: defaults that are too large for a small one are lowered. */
export function brokerWithin({ broker, journal }: Config): Config['broker'] {
  const { limits } = broker;
  return {
    ...broker,
    limits: {
      ...limits,
      max_retained_bytes: Math.min(limits.max_retained_bytes, Math.floor(journal.max_size / RETAINED_SHARE)),
      max_packet_size: Math.min(limits.max_packet_size, Math.floor(journal.max_size / MESSAGE_SHARE)),
    },
  };
}

/** Only of what is written there: where one of the two is left to its default, it gives way. */
export function checkJournal(report: Report): void {
  const maxSize = textAt(report.tree, ['journal', 'max_size']) ?? '2GiB';
  const bytes = parseSize(maxSize);
  if (bytes === undefined) return;
  const check = (key: string, share: number, what: string, word: string): void => {
    const path = ['broker', 'limits', key];
    const found = textAt(report.tree, path);
    const size = found === undefined ? undefined : parseSize(found);
    if (size === undefined || size <= bytes / share) return;
    report.at(
      path,
      `found ${found} for ${what}, with journal.max_size ${maxSize}, allowed: ${word} of it at most`,
    );
  };
  check(
    'max_retained_bytes',
    RETAINED_SHARE,
    'retained messages, which are kept in the journal',
    'a quarter',
  );
  check('max_packet_size', MESSAGE_SHARE, 'one packet, which must fit the journal', 'an eighth');
}
