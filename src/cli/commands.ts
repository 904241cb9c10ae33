/** `godwit commands`: who wanted what written, when, and what became of it. */
import { loadConfig } from '../config/load.js';
import { GodwitError } from '../core/error.js';
import type { CommandEntry } from '../gateway/command-book.js';
import { socketPathOf } from '../gateway/socket-path.js';
import { requestControl } from './control-client.js';
import { ExitCode } from './exit-code.js';

export async function commands(file: string, json: boolean): Promise<ExitCode> {
  const { journalPath } = loadConfig(file, process.env, { only: ['gateway', 'journal'] });
  const answer = await requestControl(socketPathOf(journalPath), '/api/commands');
  if (answer.status !== 200) {
    throw new GodwitError('CONTROL', `The gateway answered ${answer.status}: ${answer.body.slice(0, 200)}`);
  }
  const entries = JSON.parse(answer.body) as readonly CommandEntry[];
  if (json) process.stdout.write(`${JSON.stringify(entries, null, 2)}\n`);
  else for (const entry of entries) process.stdout.write(line(entry));
  return ExitCode.done;
}

function line({ at, device, point, value, bridge, result }: CommandEntry): string {
  const from = bridge === undefined ? '' : ` by ${bridge}`;
  const became =
    result === undefined ? 'under way' : result.ok ? `is ${result.value}` : `not done: ${result.error}`;
  return `${new Date(at).toISOString()}  ${device}/${point} := ${value}${from}  ${became}\n`;
}
