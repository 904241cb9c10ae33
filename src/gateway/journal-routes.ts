/**
 * What the command line asks of the journal while the gateway runs. Every answer is bounded: history comes in slices,
 * each saying where the next begins, and a count that takes long is asked for again.
 */
import type { BridgeSnapshot, JournalSnapshot } from '../core/snapshot.js';
import { matches, validTopicFilter } from '../mqtt/topic.js';
import type { Account } from '../storage/account.js';
import type { HistoryRange, HistorySlice } from '../storage/history.js';
import type { Audit } from '../storage/recount.js';
import { jsonAnswer, type Route, type WebAnswer } from '../web/route.js';
import { historyLine } from './history-line.js';
import { accountNow, auditReport, journalReport } from './journal-report.js';

export interface JournalDoor {
  readonly head: number;
  snapshot(): JournalSnapshot;
  accounts(): Promise<ReadonlyMap<string, Account>>;
  audit(): Promise<Audit>;
  history(range: HistoryRange, from: number, bytesMax: number): Promise<HistorySlice>;
}

/** Bytes of the journal in one answer: a worker that reads it keeps commits waiting for some milliseconds. */
export const SLICE_BYTES = 256 * 1024;
/** The web server gives a silent client ten seconds. */
const AUDIT_WAIT_MS = 3000;

export function journalRoutes(
  journal: JournalDoor,
  bridges: () => ReadonlyMap<string, BridgeSnapshot>,
): readonly Route[] {
  let audit: Promise<WebAnswer> | undefined;
  const report = async (): Promise<WebAnswer> => {
    const accounts = new Map(await journal.accounts());
    for (const [name, now] of bridges()) accounts.set(name, accountNow(accounts.get(name), now));
    return jsonAnswer(200, journalReport(journal.snapshot(), accounts));
  };
  const count = async (): Promise<WebAnswer> => {
    // A second one that asks meanwhile gets the same answer.
    audit ??= journal.audit().then((done) => jsonAnswer(200, auditReport(done)));
    const answer = await Promise.race([audit, later(AUDIT_WAIT_MS)]);
    if (answer === undefined) return jsonAnswer(202, { counting: true });
    audit = undefined;
    return answer;
  };
  return [
    { method: 'GET', path: '/api/journal', onlySocket: true, answer: report },
    {
      method: 'GET',
      path: '/api/journal/audit',
      onlySocket: true,
      answer: () =>
        count().catch((fault: unknown) => {
          audit = undefined;
          throw fault;
        }),
    },
    {
      method: 'GET',
      path: '/api/journal/history',
      onlySocket: true,
      answer: ({ query }) => history(journal, query),
    },
  ];
}

/** JSON Lines; the last one says where the next slice begins, and what the newest Record is. */
async function history(journal: JournalDoor, query: URLSearchParams): Promise<WebAnswer> {
  const number = (name: string, otherwise: number): number => Number(query.get(name) ?? otherwise);
  const [from, fromMs, toMs] = [number('from', 1), number('since', 0), number('until', Infinity)];
  const filter = query.get('filter');
  if (Number.isNaN(from + fromMs) || Number.isNaN(toMs))
    return jsonAnswer(400, { error: 'from, since and until are numbers' });
  if (filter !== null && !validTopicFilter(filter, 4))
    return jsonAnswer(400, { error: `'${filter}' is not a topic filter` });
  const range = {
    fromMs,
    toMs,
    ...(filter !== null && { wants: (topic: string) => matches(filter, topic) }),
  };
  const { head } = journal;
  const { records, next } = await journal.history(range, from, SLICE_BYTES);
  const lines = [...records.map(historyLine), JSON.stringify({ next, head })];
  return { status: 200, type: 'application/x-ndjson', body: `${lines.join('\n')}\n` };
}

/** Nothing hangs on it if the process ends first. */
function later(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, undefined).unref();
  });
}
