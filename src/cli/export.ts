/**
 * `godwit export`: journalled history to standard output, slice by slice, in constant memory. What is accepted while
 * it runs is not waited for: it ends at the Record that was the newest when it began.
 */
import { once } from 'node:events';
import { loadConfig } from '../config/load.js';
import { ExitCode } from './exit-code.js';
import { type HistoryQuery, JournalSource } from './journal-source.js';

export type ExportFormat = 'jsonl' | 'csv';

export async function exportHistory(
  file: string,
  query: HistoryQuery,
  format: ExportFormat,
): Promise<ExitCode> {
  const { journalPath } = loadConfig(file, process.env, { only: ['gateway', 'journal'] });
  const source = new JournalSource(journalPath);
  const { stdout } = process;
  // A reader that has seen enough (`| head`) is no fault.
  let isGone = false;
  stdout.on('error', () => {
    isGone = true;
  });
  if (format === 'csv') stdout.write(CSV_HEADER);
  let from = 1;
  let last = Number.POSITIVE_INFINITY;
  while (from <= last && !isGone) {
    const { lines, next, head } = await source.history(query, from);
    if (last === Number.POSITIVE_INFINITY) last = head;
    const text = lines.map((line) => (format === 'csv' ? csvLine(line) : `${line}\n`)).join('');
    if (text !== '' && !stdout.write(text) && !isGone)
      await Promise.race([once(stdout, 'drain'), once(stdout, 'close')]);
    from = Math.max(next, from + 1);
  }
  return ExitCode.done;
}

export const CSV_HEADER = 'seq,ts,topic,qos,retain,payload,payload_base64\r\n';

/** RFC 4180. */
export function csvLine(json: string): string {
  const line = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const { seq, ts, topic, qos, retain, payload = '', payload_base64 = '' } = line;
  return `${[seq, ts, topic, qos, retain, payload, payload_base64].map(csvField).join(',')}\r\n`;
}

function csvField(value: unknown): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
