/**
 * `godwit replay`: asks the running gateway to send history again, and shows how far it has come. The job belongs to the
 * journal, not to this command: interrupted, it goes on.
 */

import type { ReplayJob } from '../bridge/replay-job.js';
import { loadConfig } from '../config/load.js';
import { GodwitError } from '../core/error.js';
import type { ReplayAnswer } from '../gateway/replay-desk.js';
import { socketPathOf } from '../gateway/socket-path.js';
import { requestControl } from './control-client.js';
import { ExitCode } from './exit-code.js';

export interface ReplayOptions {
  readonly bridge?: string;
  readonly since?: number;
  readonly until?: number;
  readonly filter?: string;
  readonly rate?: number;
  readonly list?: boolean;
  readonly cancel?: string;
  readonly json?: boolean;
}

const LOOK_EVERY_MS = 500;

export async function replay(file: string, options: ReplayOptions): Promise<ExitCode> {
  const { journalPath } = loadConfig(file, process.env, { only: ['gateway', 'journal'] });
  const socketPath = socketPathOf(journalPath);
  if (options.list === true) {
    const jobs = await list(socketPath);
    const text =
      options.json === true
        ? `${JSON.stringify(jobs, null, 2)}\n`
        : jobs.map((job) => `${line(job)}\n`).join('');
    process.stdout.write(text);
    return ExitCode.done;
  }
  if (options.cancel !== undefined) {
    const { job } = await ask(socketPath, '/api/replay/cancel', { id: options.cancel });
    process.stdout.write(`${line(job)}\n`);
    return ExitCode.done;
  }
  const { bridge, since, until, filter, rate } = options;
  const { job } = await ask(socketPath, '/api/replay', { bridge, since, until, filter, rate });
  process.stdout.write(
    `replay ${job.id} for bridge ${job.bridge}; interrupted, it goes on: godwit replay --list\n`,
  );
  return follow(socketPath, job.id);
}

async function follow(socketPath: string, id: string): Promise<ExitCode> {
  const isTerminal = process.stdout.isTTY === true;
  for (let shown = ''; ; ) {
    const job = (await list(socketPath)).find((each) => each.id === id);
    if (job === undefined) throw new GodwitError('REPLAY', `Replay ${id} is not known any more`);
    const text = line(job);
    if (isTerminal) process.stdout.write(`\r\x1b[K${text}`);
    else if (text !== shown) process.stdout.write(`${text}\n`);
    shown = text;
    if (job.state === 'done' || job.state === 'cancelled') {
      if (isTerminal) process.stdout.write('\n');
      return job.state === 'done' ? ExitCode.done : ExitCode.failed;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

export function line({ id, bridge, state, next, last, sent, skipped, reached }: ReplayJob): string {
  const share = state === 'done' || last === 0 ? 100 : Math.min(100, Math.floor((100 * (next - 1)) / last));
  const at = reached === null ? '' : `, at ${new Date(reached).toISOString()}`;
  return `${id}  ${bridge}  ${state}  ${share} %, ${sent} sent${skipped === 0 ? '' : `, ${skipped} skipped`}${at}`;
}

async function list(socketPath: string): Promise<readonly ReplayJob[]> {
  const { status, body } = await requestControl(socketPath, '/api/replay');
  if (status !== 200)
    throw new GodwitError('CONTROL', `The gateway answered ${status}: ${body.slice(0, 200).trim()}`);
  return JSON.parse(body) as readonly ReplayJob[];
}

async function ask(
  socketPath: string,
  path: string,
  request: object,
): Promise<ReplayAnswer & { readonly ok: true }> {
  const { body } = await requestControl(socketPath, path, { method: 'POST', body: JSON.stringify(request) });
  const answer = JSON.parse(body) as ReplayAnswer;
  if (answer.ok) return answer;
  throw new GodwitError('REPLAY', `Nothing is replayed: ${answer.error}`);
}
