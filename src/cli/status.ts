/** `godwit status`: the Snapshot of the running gateway, for a person or for a script. */
import { loadConfig } from '../config/load.js';
import { GodwitError } from '../core/error.js';
import type { BridgeSnapshot, DownHookSnapshot, Snapshot } from '../core/snapshot.js';
import { socketPathOf } from '../gateway/socket-path.js';
import { requestControl } from './control-client.js';
import { ExitCode } from './exit-code.js';

export async function status(file: string, json: boolean): Promise<ExitCode> {
  const loaded = loadConfig(file, process.env, { only: ['gateway', 'journal'] });
  const answer = await requestControl(socketPathOf(loaded.journalPath), '/api/status');
  if (answer.status !== 200) {
    throw new GodwitError('CONTROL', `The gateway answered ${answer.status}: ${answer.body.slice(0, 200)}`);
  }
  const snapshot = JSON.parse(answer.body) as Snapshot;
  process.stdout.write(json ? `${JSON.stringify(snapshot, null, 2)}\n` : renderStatus(snapshot));
  return ExitCode.done;
}

/** How full the line is, and how late that makes its polls. */
function lineUse({ utilisation, lateness }: Snapshot['buses'][string]): string {
  const use = utilisation === undefined ? '' : `, ${Math.round(utilisation * 100)} % busy`;
  return lateness === undefined ? use : `${use}, polls ${Math.round(lateness.p99Ms)} ms late (p99)`;
}

/** One line a device, bus, bridge: what an engineer wants to see first. */
export function renderStatus(snapshot: Snapshot): string {
  const now = snapshot.clock.now;
  const lines = [
    `${snapshot.gateway}  godwit ${snapshot.version}  ${snapshot.state}  up ${age(now - snapshot.since)}  ` +
      `${Math.round(snapshot.memory.rss / 2 ** 20)} MiB${snapshot.clock.trusted ? '' : '  CLOCK NOT TRUSTED'}`,
  ];
  for (const [name, bus] of Object.entries(snapshot.buses)) {
    lines.push(
      `bus     ${name.padEnd(16)} ${bus.state.padEnd(10)} ${bus.driver}  ${bus.requests} requests, ${bus.timeouts} timeouts, ${bus.errors} errors${discarded(bus.discarded)}${lineUse(bus)}${because(bus.reason)}`,
    );
  }
  for (const [name, device] of Object.entries(snapshot.devices)) {
    lines.push(
      `device  ${name.padEnd(16)} ${device.state.padEnd(10)} for ${age(now - device.since)}  ${device.failures} of ${device.polls} polls failed${because(device.reason)}`,
    );
    for (const [point, value] of Object.entries(device.points)) {
      const shown =
        value.value === null ? '-' : `${value.value}${value.unit === undefined ? '' : ` ${value.unit}`}`;
      lines.push(
        `          ${point.padEnd(14)} ${shown}${value.quality === 'good' ? '' : `  ${value.quality}${because(value.reason)}`}`,
      );
    }
  }
  for (const { alarm, state, value, since, acknowledged, priority } of snapshot.alarms ?? []) {
    lines.push(
      `alarm   ${alarm.padEnd(16)} ${state.padEnd(10)} for ${age(now - since)}  ${value ?? '-'}, priority ${priority}${acknowledged ? ', acknowledged' : ''}`,
    );
  }
  const broker = snapshot.broker;
  lines.push(
    `broker  ${broker.listeners.join(' ')}  ${broker.connections} connections, ${broker.sessions} sessions, ${broker.subscriptions} subscriptions, ${broker.retained} retained`,
  );
  for (const [name, bridge] of Object.entries(snapshot.bridges)) {
    const eta = bridge.eta === null || bridge.waiting === 0 ? '' : `, done in ${age(bridge.eta * 1000)}`;
    lines.push(
      `bridge  ${name.padEnd(16)} ${bridge.state.padEnd(10)} for ${age(now - bridge.since)}  ${bridge.waiting} waiting, ${bridge.inFlight} in flight, ${bridge.delivered} delivered, ${bridge.lost} lost${eta}${because(bridge.reason)}${nextAttempt(bridge, now)}`,
    );
    if (bridge.onDown !== undefined) lines.push(`          on_down        ${onDown(bridge.onDown, now)}`);
  }
  const journal = snapshot.journal;
  lines.push(
    `journal ${journal.state}  ${journal.records} records, ${(journal.bytes / 2 ** 20).toFixed(1)} MiB in ${journal.path}${because(journal.reason)}`,
  );
  for (const { lost, reason, bridge, from, to, topics } of (journal.losses ?? []).slice(-LOSSES_SHOWN)) {
    lines.push(
      `lost    ${lost} ${reason}${bridge === null ? '' : ` for ${bridge}`}  ${spanText(from, to)}  ${topics.slice(0, 3).join(' ')}${topics.length > 3 ? ' …' : ''}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** The newest are what a person looks for; `godwit journal` has more. */
const LOSSES_SHOWN = 5;

export function spanText(from: number, to: number): string {
  const [a, b] = [from, to].map((ms) => new Date(ms).toISOString().slice(0, 19));
  return a === b ? `${a}Z` : `${a}Z to ${b}Z`;
}

function nextAttempt({ attempts = 0, nextAttempt: at }: BridgeSnapshot, now: number): string {
  if (at === undefined) return '';
  return `  ${attempts === 1 ? '1 attempt' : `${attempts} attempts`}, the next in ${age(at - now)}`;
}

function onDown({ last, running, runs }: DownHookSnapshot, now: number): string {
  if (running) return 'runs now';
  if (last === undefined) return runs === 0 ? 'has not run' : `ran ${runs} times`;
  const times = runs === 1 ? 'ran once' : `ran ${runs} times, the last`;
  return `${times} ${age(now - last.at)} ago: ${last.ok ? '' : 'failed: '}${last.result}`;
}

function discarded(bytes = 0): string {
  return bytes === 0 ? '' : `, ${bytes} bytes discarded`;
}

function because(reason: string | undefined): string {
  return reason === undefined ? '' : `  (${reason})`;
}

/** `3 d 4 h`, `12 min 5 s`: the two largest units. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}
