/** The systemd unit of the gateway: whether it is there and works, and under which user and restrictions it runs. */
import { reasonOf } from '../../core/error.js';
import { type Finding, findings } from './finding.js';
import { at, groupLines, type Machine, textOf, type User } from './machine.js';

export const UNIT = 'godwit.service';

/** As `systemctl show` has it. */
export type Unit = ReadonlyMap<string, string>;

/** Of a user that is not made before the service starts. */
export const DYNAMIC_UID = -1;

const PROPERTIES = [
  'LoadState',
  'UnitFileState',
  'ActiveState',
  'NRestarts',
  'Result',
  'ExecMainStatus',
  'User',
  'Group',
  'SupplementaryGroups',
  'DynamicUser',
  'PrivateDevices',
  'DevicePolicy',
  'DeviceAllow',
  'ProtectKernelTunables',
];

/** Undefined where this machine was not started by systemd, or its tool is missing; the sentence where it gave no answer. */
export async function readUnit(machine: Machine): Promise<Unit | string | undefined> {
  if ((await machine.stat(at(machine, '/run/systemd/system'))) === undefined) return undefined;
  if (!machine.tools.has('systemctl')) return undefined;
  try {
    const text = await machine.tools.run('systemctl', ['show', UNIT, `--property=${PROPERTIES.join(',')}`]);
    return new Map(
      text.split('\n').flatMap((line): [string, string][] => {
        const equals = line.indexOf('=');
        return equals < 0 ? [] : [[line.slice(0, equals), line.slice(equals + 1).trim()]];
      }),
    );
  } catch (fault) {
    return `systemctl gave no answer: ${reasonOf(fault)}`;
  }
}

export function isInstalled(unit: Unit | string | undefined): unit is Unit {
  return typeof unit === 'object' && unit.get('LoadState') === 'loaded';
}

export function checkUnit(unit: Unit | string | undefined): readonly Finding[] {
  const { list, ok, warn, fail } = findings('service');
  if (unit === undefined) return list;
  if (typeof unit === 'string') {
    warn(unit, 'see systemctl status');
    return list;
  }
  const load = unit.get('LoadState');
  if (load === 'masked') {
    fail(`${UNIT} is masked and cannot be started`, `sudo systemctl unmask ${UNIT}`);
    return list;
  }
  if (load === 'not-found' || load === undefined) {
    warn(
      `${UNIT} is not installed: the gateway does not start with the machine`,
      'install the unit, then sudo systemctl enable --now godwit',
    );
    return list;
  }
  if (load !== 'loaded') {
    fail(
      `${UNIT} cannot be read by systemd (${load})`,
      `systemd-analyze verify ${UNIT} says why; after that sudo systemctl daemon-reload`,
    );
    return list;
  }
  const enabled = unit.get('UnitFileState') ?? '';
  if (enabled.startsWith('enabled') || enabled === 'static') ok(`${UNIT} is installed and ${enabled}`);
  else {
    warn(
      `${UNIT} is ${enabled || 'not enabled'}: it does not start with the machine`,
      'sudo systemctl enable godwit',
    );
  }
  checkActive(unit, { ok, warn, fail });
  return list;
}

function checkActive(
  unit: Unit,
  { ok, warn, fail }: Pick<ReturnType<typeof findings>, 'ok' | 'warn' | 'fail'>,
): void {
  const active = unit.get('ActiveState') ?? 'unknown';
  if (active === 'failed') {
    const status = unit.get('ExecMainStatus');
    const why =
      status === '78' ? 'its configuration has mistakes' : `${unit.get('Result')}, status ${status}`;
    fail(
      `${UNIT} has failed: ${why}`,
      status === '78'
        ? 'correct the configuration (godwit check), then sudo systemctl restart godwit'
        : 'journalctl -u godwit -n 50 says why; after that sudo systemctl restart godwit',
    );
  } else if (active === 'active') ok(`${UNIT} is active`);
  else warn(`${UNIT} is ${active}`, 'sudo systemctl start godwit');
  const restarts = Number(unit.get('NRestarts') ?? 0);
  if (restarts > 0) {
    warn(
      `systemd had to start ${UNIT} again ${restarts === 1 ? 'once' : `${restarts} times`}`,
      'journalctl -u godwit -p warning says why it ended',
    );
  }
}

/** The user the gateway runs as; undefined where that is not known. */
export async function serviceUser(
  machine: Machine,
  unit: Unit | string | undefined,
): Promise<User | undefined> {
  if (!isInstalled(unit)) return undefined;
  const isDynamic = unit.get('DynamicUser') === 'yes';
  const name = unit.get('User') || (isDynamic ? 'godwit' : 'root');
  if (name === 'root') return { name, uid: 0, groups: [0] };
  const groups = groupLines((await textOf(machine, '/etc/group')) ?? '');
  const gidOf = (group: string): number => groups.find((one) => one.name === group)?.gid ?? Number(group);
  const given = [unit.get('Group') ?? '', ...(unit.get('SupplementaryGroups') ?? '').split(' ')]
    .filter((group) => group !== '')
    .map(gidOf);
  const line = ((await textOf(machine, '/etc/passwd')) ?? '')
    .split('\n')
    .map((one) => one.split(':'))
    .find((one) => one[0] === name);
  // A user that systemd makes for as long as the service runs has nothing but what the unit gives.
  if (line === undefined) return isDynamic ? { name, uid: DYNAMIC_UID, groups: given } : undefined;
  const member = groups.filter(({ members }) => members.includes(name)).map(({ gid }) => gid);
  return { name, uid: Number(line[2]), groups: [...given, Number(line[3]), ...member] };
}

/** How the unit keeps its process from devices; undefined where it does not. */
export function hidesDevices(unit: Unit | string | undefined): string | undefined {
  if (!isInstalled(unit)) return undefined;
  if (unit.get('PrivateDevices') === 'yes') return 'PrivateDevices=yes';
  const policy = unit.get('DevicePolicy') ?? 'auto';
  const closed = (policy === 'closed' || policy === 'strict') && (unit.get('DeviceAllow') ?? '') === '';
  return closed ? `DevicePolicy=${policy} without DeviceAllow=` : undefined;
}
