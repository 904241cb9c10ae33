/** `godwit journal`: size, span, what each bridge has, what was lost; with `--audit`, whether it adds up. */
import { loadConfig } from '../config/load.js';
import type { JournalReport } from '../gateway/journal-report.js';
import { ExitCode } from './exit-code.js';
import { JournalSource } from './journal-source.js';
import { age, spanText } from './status.js';

export async function journal(
  file: string,
  options: { readonly json?: boolean; readonly audit?: boolean },
): Promise<ExitCode> {
  const { journalPath } = loadConfig(file, process.env, { only: ['gateway', 'journal'] });
  const source = new JournalSource(journalPath);
  const audit = options.audit === true ? await source.audit() : undefined;
  const report: JournalReport = { ...(await source.report()), ...(audit !== undefined && { audit }) };
  process.stdout.write(
    options.json === true ? `${JSON.stringify(report, null, 2)}\n` : renderJournal(report, Date.now()),
  );
  if (audit === undefined || audit.ok) return ExitCode.done;
  for (const difference of audit.differences) process.stderr.write(`godwit: ${difference}\n`);
  return ExitCode.failed;
}

export function renderJournal(report: JournalReport, nowMs: number): string {
  const { path, bytes, records, oldest, newest, bridges, losses, damage, audit } = report;
  const span = oldest === null || newest === null ? '' : `  ${spanText(oldest, newest)}`;
  const state = report.state === undefined ? '' : `  ${report.state}${because(report.reason)}`;
  const lines = [`${path}  ${(bytes / 2 ** 20).toFixed(1)} MiB, ${records} records${span}${state}`];
  for (const [name, account] of Object.entries(bridges)) {
    const { produced, delivered, inFlight, waiting, lost, oldestWaiting } = account;
    const since = oldestWaiting === null ? '' : `, the oldest for ${age(nowMs - oldestWaiting)}`;
    lines.push(
      `bridge  ${name.padEnd(16)} ${produced} produced = ${delivered} delivered + ${inFlight} in flight + ${waiting} waiting + ${lost} lost${since}`,
    );
  }
  for (const { lost, reason, bridge, from, to, topics } of losses) {
    const more = topics.length > 3 ? ' …' : '';
    lines.push(
      `lost    ${lost} ${reason}${bridge === null ? '' : ` for ${bridge}`}  ${spanText(from, to)}  ${topics.slice(0, 3).join(' ')}${more}`,
    );
  }
  for (const { at, file, salvaged } of damage) {
    lines.push(
      `damage  ${new Date(at).toISOString()}  ${file} was set aside, ${salvaged} records brought over`,
    );
  }
  if (audit !== undefined) {
    lines.push(
      audit.ok ? `audit   ${audit.records} records counted: it adds up` : 'audit   IT DOES NOT ADD UP',
    );
  }
  return `${lines.join('\n')}\n`;
}

function because(reason: string | undefined): string {
  return reason === undefined ? '' : ` (${reason})`;
}
