/** The gateway that runs on this configuration: whether it answers, how it is, and which version it is. */
import { GodwitError, reasonOf } from '../../core/error.js';
import type { Snapshot } from '../../core/snapshot.js';
import { VERSION } from '../../core/version.js';
import { health } from '../../web/health.js';
import { type ControlAnswer, requestControl } from '../control-client.js';
import { age } from '../status.js';
import { type Finding, findings } from './finding.js';

export async function checkGateway(
  socketPath: string,
  ask: (socketPath: string, path: string) => Promise<ControlAnswer> = requestControl,
): Promise<readonly Finding[]> {
  const { list, ok, warn, fail } = findings('gateway');
  let snapshot: Snapshot;
  try {
    const { status, body } = await ask(socketPath, '/api/status');
    if (status !== 200) throw new GodwitError('CONTROL', `the gateway answered ${status}`);
    snapshot = JSON.parse(body) as Snapshot;
  } catch (fault) {
    const code = fault instanceof GodwitError ? fault.code : '';
    if (code === 'NOT_RUNNING') {
      warn(
        `no gateway runs on this configuration: nothing answers on ${socketPath}`,
        'sudo systemctl start godwit, or godwit run',
      );
    } else if (code === 'NOT_ALLOWED') {
      warn(
        `this user may not speak to the gateway on ${socketPath}`,
        'use sudo, or join the group of that file',
      );
    } else fail(reasonOf(fault), 'journalctl -u godwit -n 50 may say why');
    return list;
  }
  const since = age(snapshot.clock.now - snapshot.since);
  ok(`gateway ${snapshot.gateway} answers: ${snapshot.state}, godwit ${snapshot.version}, up ${since}`);
  if (snapshot.version !== VERSION) {
    warn(`it still is version ${snapshot.version}; ${VERSION} is installed`, 'sudo systemctl restart godwit');
  }
  const { status, reasons } = health(snapshot);
  const fix = 'godwit status shows it with its surroundings, journalctl -u godwit since when';
  for (const reason of reasons.slice(0, REASONS_MAX)) (status === 'failing' ? fail : warn)(reason, fix);
  const left = reasons.length - REASONS_MAX;
  if (left > 0) warn(`${left} more of the like`, 'godwit status shows them all');
  return list;
}

/** A cable that was cut takes a hundred devices with it. */
const REASONS_MAX = 20;
