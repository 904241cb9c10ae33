/**
 * `godwit doctor`: what around the gateway keeps it from working, one line each, with what to do about it. Changes
 * nothing; beside the journal it writes a small file to time the disk, and removes it.
 */
import { configSchema } from '../config/schema.js';
import { reasonOf } from '../core/error.js';
import { socketPathOf } from '../gateway/socket-path.js';
import { checkClock } from './doctor/clock.js';
import { readConfiguration } from './doctor/configuration.js';
import { type Finding, findings } from './doctor/finding.js';
import { checkGpio } from './doctor/gpio-lines.js';
import { checkJournalDisk } from './doctor/journal-disk.js';
import { checkKernelBuses } from './doctor/kernel-buses.js';
import { checkListeners } from './doctor/listeners.js';
import { type Machine, textOf, thisMachine } from './doctor/machine.js';
import { checkNode } from './doctor/node-version.js';
import { checkGateway } from './doctor/running-gateway.js';
import { checkSerialPorts } from './doctor/serial-ports.js';
import { checkUnit, readUnit, serviceUser } from './doctor/service-unit.js';
import { ExitCode } from './exit-code.js';

export async function doctor(file: string, json: boolean): Promise<ExitCode> {
  const { found, hasMistakes } = await examine(file, process.env, thisMachine());
  process.stdout.write(
    json
      ? `${JSON.stringify({ findings: found }, null, 2)}\n`
      : renderFindings(found, process.stdout.isTTY === true),
  );
  if (hasMistakes) return ExitCode.configuration;
  return found.some(({ state }) => state === 'fail') ? ExitCode.failed : ExitCode.done;
}

export interface Examination {
  readonly found: readonly Finding[];
  readonly hasMistakes: boolean;
}

export async function examine(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
  machine: Machine,
): Promise<Examination> {
  const { found: mistakes, hasMistakes, journalPath, config } = readConfiguration(file, environment);
  const unit = await readUnit(machine);
  const service = await serviceUser(machine, unit);
  const gatewayPid = Number(await textOf(machine, `${journalPath}.pid`)) || undefined;
  const journal = config?.journal ?? configSchema.shape.journal.parse(undefined);
  const found: Finding[] = [...mistakes];
  const checks: [name: string, run: () => readonly Finding[] | Promise<readonly Finding[]>][] = [
    ['node', () => checkNode(machine.nodeVersion)],
    ['clock', () => checkClock(machine)],
    ['disk', () => checkJournalDisk(machine, journalPath, journal, service)],
  ];
  if (config !== undefined) {
    checks.push(
      ['serial', () => checkSerialPorts(machine, config.buses, { unit, gatewayPid })],
      ['gpio', () => checkGpio(machine, config, unit)],
      ['kernel', () => checkKernelBuses(machine, config)],
      ['listeners', () => checkListeners(config)],
    );
  }
  checks.push(['service', () => checkUnit(unit)], ['gateway', () => checkGateway(socketPathOf(journalPath))]);
  for (const [name, run] of checks) found.push(...(await guarded(name, run)));
  return { found, hasMistakes };
}

/** A machine may be odder than a check foresees; the others still help. */
async function guarded(
  check: string,
  run: () => readonly Finding[] | Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await run();
  } catch (fault) {
    const { list, warn } = findings(check);
    warn(`this check could not be done: ${reasonOf(fault)}`, 'look at it by hand');
    return list;
  }
}

const SIGNS = { ok: '✓', warn: '!', fail: '✗' } as const;
const COLOURS = { ok: 32, warn: 33, fail: 31 } as const;
const CHECK_WIDTH = 14;

export function renderFindings(found: readonly Finding[], terminal: boolean): string {
  const lines = found.flatMap(({ check, state, what, fix }) => {
    const sign = terminal ? `\u001b[${COLOURS[state]}m${SIGNS[state]}\u001b[0m` : SIGNS[state];
    const line = `${sign} ${check.padEnd(CHECK_WIDTH)} ${what}`;
    return fix === undefined ? [line] : [line, `${' '.repeat(CHECK_WIDTH + 3)}→ ${fix}`];
  });
  const amount = (state: Finding['state']): number => found.filter((one) => one.state === state).length;
  return `${lines.join('\n')}\n${amount('ok')} as they should be, ${amount('warn')} to look at, ${amount('fail')} wrong\n`;
}
