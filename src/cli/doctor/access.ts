/** Whether a device may be opened, by this user and by the one the gateway runs as. */
import type { Findings } from './finding.js';
import { at, groupName, type Machine, mayOpen, type User, Wanted } from './machine.js';
import { DYNAMIC_UID } from './service-unit.js';

export interface AccessWish {
  readonly usualGroup: string;
  /** How a sentence about it begins. */
  readonly of: string;
  readonly wanted?: number;
}

export async function checkAccess(
  machine: Machine,
  service: User | undefined,
  path: string,
  { usualGroup, of, wanted = Wanted.readAndWrite }: AccessWish,
  { warn, fail }: Pick<Findings, 'warn' | 'fail'>,
): Promise<void> {
  const state = await machine.stat(at(machine, path));
  if (state === undefined) return;
  const group = await groupName(machine, state.gid);
  const shared = group !== undefined && group !== 'root' && ((state.mode >> 3) & wanted) === wanted;
  const fixFor = (user: User): string =>
    shared && user.uid === DYNAMIC_UID
      ? `sudo systemctl edit godwit: SupplementaryGroups=${group}; then restart it`
      : shared
        ? `sudo usermod -aG ${group} ${user.name}; then ${user === service ? 'sudo systemctl restart godwit' : 'log in again'}`
        : `${path} is for ${group ?? 'its owner'} alone: give it to group ${usualGroup} with a udev rule (GROUP="${usualGroup}", MODE="0660"), and put ${user.name} into that group`;
  if (service !== undefined && !mayOpen(state, service, wanted)) {
    fail(`${of}: user ${service.name}, as which the service runs, may not open ${path}`, fixFor(service));
  }
  if (service?.uid !== machine.user.uid && !(await machine.mayUse(at(machine, path), wanted))) {
    const what = `${of}: this user, ${machine.user.name}, may not open ${path}`;
    // Where the gateway runs as another user, only read, write and scan by hand are hindered.
    if (service === undefined) fail(what, fixFor(machine.user));
    else warn(what, fixFor(machine.user));
  }
}
