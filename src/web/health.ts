/**
 * Is the gateway well? 200 or 503 for a probe, and the reasons for a person.
 *
 *   503 failing    what a probe should act on: starting or stopping, or the journal cannot be written
 *   200 degraded   something outside the gateway is amiss, or the journal is full: the reasons say what.
 *                  Restarting the gateway cures none of it, so a probe must not
 *   200 ok
 */
import type { Snapshot } from '../core/snapshot.js';

export interface Health {
  readonly httpStatus: 200 | 503;
  readonly status: 'ok' | 'degraded' | 'failing';
  /** The gravest first; one sentence each. */
  readonly reasons: readonly string[];
}

export function health(snapshot: Snapshot): Health {
  const failing: string[] = [];
  const degraded: string[] = [];
  if (snapshot.state === 'starting' || snapshot.state === 'stopping') {
    failing.push(`gateway is ${snapshot.state}`);
  }
  const { journal } = snapshot;
  if (journal.state === 'failing') failing.push(`journal is failing${because(journal.reason)}`);
  if (journal.state === 'full') degraded.push(`journal is full${because(journal.reason)}`);
  for (const [name, bus] of Object.entries(snapshot.buses)) {
    if (bus.state === 'down') degraded.push(`bus ${name} is down${because(bus.reason)}`);
  }
  for (const [name, device] of Object.entries(snapshot.devices)) {
    if (device.state === 'offline') degraded.push(`device ${name} is offline${because(device.reason)}`);
  }
  for (const [name, bridge] of Object.entries(snapshot.bridges)) {
    if (bridge.state !== 'connected') {
      degraded.push(`bridge ${name} is not connected${because(bridge.reason)}`);
    }
  }
  if (!snapshot.clock.trusted) degraded.push('clock is not trusted: it has not been synchronised');
  const reasons = [...failing, ...degraded];
  if (failing.length > 0) return { httpStatus: 503, status: 'failing', reasons };
  return { httpStatus: 200, status: reasons.length > 0 ? 'degraded' : 'ok', reasons };
}

function because(reason: string | undefined): string {
  return reason === undefined || reason === '' ? '' : `: ${reason}`;
}
