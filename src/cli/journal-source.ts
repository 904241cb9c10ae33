/**
 * The journal as a command sees it: through the running gateway, or from the file where none runs. A gateway may
 * start or end while a long command is under way; each question finds its way anew.
 */

import { GodwitError } from '../core/error.js';
import { historyLine } from '../gateway/history-line.js';
import {
  type AuditReport,
  auditReport,
  type JournalReport,
  journalReport,
} from '../gateway/journal-report.js';
import { SLICE_BYTES } from '../gateway/journal-routes.js';
import { socketPathOf } from '../gateway/socket-path.js';
import { matches } from '../mqtt/topic.js';
import { ClosedJournal } from '../storage/closed-journal.js';
import { requestControl } from './control-client.js';

export interface HistoryQuery {
  readonly fromMs: number;
  readonly toMs: number;
  readonly filter: string | undefined;
}

export interface HistoryLines {
  /** JSON, one Record each. */
  readonly lines: readonly string[];
  readonly next: number;
  readonly head: number;
}

/** A gateway that starts holds its journal for a while before it answers. */
const STARTING_MS_MAX = 15_000;
const ASK_AGAIN_MS = 250;

export class JournalSource {
  readonly #path: string;
  readonly #socketPath: string;

  constructor(journalPath: string) {
    this.#path = journalPath;
    this.#socketPath = socketPathOf(journalPath);
  }

  report(): Promise<JournalReport> {
    return this.#either(
      async () => JSON.parse(await this.#get('/api/journal')) as JournalReport,
      (journal) => {
        const summary = journal.summary();
        return journalReport(summary, summary.accounts);
      },
    );
  }

  audit(): Promise<AuditReport> {
    return this.#either(
      async () => {
        for (;;) {
          const answer = JSON.parse(await this.#get('/api/journal/audit')) as
            | AuditReport
            | { counting: true };
          if (!('counting' in answer)) return answer;
        }
      },
      (journal) => auditReport(journal.audit()),
    );
  }

  history({ fromMs, toMs, filter }: HistoryQuery, from: number): Promise<HistoryLines> {
    return this.#either(
      async () => {
        const query = new URLSearchParams({ from: `${from}`, since: `${fromMs}` });
        if (Number.isFinite(toMs)) query.set('until', `${toMs}`);
        if (filter !== undefined) query.set('filter', filter);
        const lines = (await this.#get(`/api/journal/history?${query.toString()}`)).trimEnd().split('\n');
        const { next, head } = JSON.parse(lines.pop() ?? '') as { next: number; head: number };
        return { lines, next, head };
      },
      (journal) => {
        const wants = filter === undefined ? {} : { wants: (topic: string) => matches(filter, topic) };
        const { records, next, head } = journal.history({ fromMs, toMs, ...wants }, from, SLICE_BYTES);
        return { lines: records.map(historyLine), next, head };
      },
    );
  }

  async #either<Answer>(
    running: () => Promise<Answer>,
    alone: (journal: ClosedJournal) => Answer,
  ): Promise<Answer> {
    const giveUpAtMs = Date.now() + STARTING_MS_MAX;
    for (;;) {
      try {
        return await running();
      } catch (fault) {
        if (!isFault(fault, 'NOT_RUNNING')) throw fault;
      }
      try {
        const journal = new ClosedJournal(this.#path);
        try {
          return alone(journal);
        } finally {
          journal.close();
        }
      } catch (fault) {
        if (!isFault(fault, 'JOURNAL_IN_USE') || Date.now() >= giveUpAtMs) throw fault;
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }

  async #get(path: string): Promise<string> {
    const { status, body } = await requestControl(this.#socketPath, path);
    if (status === 200 || status === 202) return body;
    throw new GodwitError('CONTROL', `The gateway answered ${status}: ${body.slice(0, 200).trim()}`);
  }
}

function isFault(fault: unknown, code: string): boolean {
  return fault instanceof GodwitError && fault.code === code;
}
