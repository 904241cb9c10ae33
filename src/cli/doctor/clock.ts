/** The clock: whether somebody sets it, whether its date can be right, whether it survives a night without power. */
import { existsSync } from 'node:fs';
import { BUILT_AT_MS, SYNCHRONISED_FILE, synchronisation } from '../../gateway/clock-trust.js';
import { type Finding, findings } from './finding.js';
import { at, filesIn, type Machine } from './machine.js';

/** What each daemon leaves behind while it runs. */
const DAEMONS: readonly (readonly [trace: string, name: string])[] = [
  ['/run/systemd/timesync', 'systemd-timesyncd'],
  ['/run/chrony', 'chrony'],
  ['/run/ntpd.pid', 'ntpd'],
  ['/run/openntpd.pid', 'openntpd'],
];

export async function checkClock(machine: Machine, builtAtMs = BUILT_AT_MS): Promise<readonly Finding[]> {
  const { list, ok, warn, fail } = findings('clock');
  const exists = (path: string): boolean => existsSync(at(machine, path));
  const date = new Date(machine.nowMs).toISOString();
  if (machine.nowMs < builtAtMs) {
    fail(
      `the date is ${date}, before this version was built: readings would be stamped wrongly`,
      "sudo timedatectl set-ntp true, or set it by hand: sudo date -s 'YYYY-MM-DD HH:MM:SS'",
    );
  }
  const answer = machine.tools.has('timedatectl')
    ? // Without systemd it has none; then the traces of daemons are all there is.
      await machine.tools
        .run('timedatectl', ['show', '--property=NTPSynchronized', '--property=NTP'])
        .catch(() => '')
    : '';
  const by = DAEMONS.filter(([trace]) => exists(trace)).map(([, name]) => name);
  const daemon = by.join(', ') || 'a time daemon';
  switch (exists(SYNCHRONISED_FILE) ? 'synchronised' : synchronisation(answer, exists)) {
    case 'synchronised':
      ok(`the clock is synchronised by ${daemon}`);
      break;
    case 'waiting':
      warn(
        `${daemon} has not synchronised the clock yet: readings are marked untrusted until it has`,
        'see that a time server can be reached (UDP port 123): timedatectl timesync-status, or chronyc sources',
      );
      break;
    case 'no daemon':
      warn(
        'nothing sets the clock: there is no time daemon, and its date is believed',
        'sudo apt install systemd-timesyncd (or chrony) and sudo timedatectl set-ntp true; a container has the clock of its host',
      );
  }
  if ((await filesIn(machine, '/sys/class/rtc')).length === 0) {
    warn(
      'there is no hardware clock: after a loss of power the date is an old one until a time server answers',
      'where the network may be away then, fit a DS3231 and add dtoverlay=i2c-rtc,ds3231 to config.txt',
    );
  } else ok('there is a hardware clock');
  return list;
}
