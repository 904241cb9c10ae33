/** The disk of the journal: that it is one, has room, may be written, is quick enough to flush, and is not worn out. */
import { basename, dirname, join } from 'node:path';
import { bytesText } from '../../config/render-report.js';
import type { JournalConfig } from '../../config/schema.js';
import { reasonOf } from '../../core/error.js';
import { age } from '../status.js';
import { type BlockDevice, blockDevice } from './block-device.js';
import { type Finding, type Findings, findings } from './finding.js';
import { at, filesIn, type Machine, mayOpen, textOf, type User, Wanted } from './machine.js';
import { type Mount, mountOf, mountsOf } from './mounts.js';
import { DYNAMIC_UID } from './service-unit.js';

/** With less left, a log that grows can stop the journal within hours. */
const FREE_BYTES_MIN = 64 * 2 ** 20;
/** Every acknowledgement waits for a flush; slower than the default max_commit_delay, clients notice. */
const SYNC_MS_MAX = 250;
/** 10 TB in two years: about what a card of 32 GB is made for. */
const CARD_BYTES_PER_DAY_MAX = 14e9;
/** Sooner, what was written at the start of the machine counts for too much. */
const RATE_AFTER_S = 3600;
const IN_MEMORY = ['tmpfs', 'ramfs', 'zram'];
/** The journal's write-ahead log needs memory that processes share, which these do not have. */
const OVER_NETWORK = ['nfs', 'nfs4', 'cifs', 'smb3', 'fuse.sshfs', '9p'];

export async function checkJournalDisk(
  machine: Machine,
  journalPath: string,
  journal: Pick<JournalConfig, 'max_size' | 'durability'>,
  service: User | undefined,
): Promise<readonly Finding[]> {
  const found = findings('disk');
  const folder = await nearestFolder(machine, dirname(journalPath));
  const mount = mountOf(await mountsOf(machine), folder);
  if (mount !== undefined) checkMount(mount, folder, journal.durability, found);
  await checkRoom(machine, journalPath, folder, journal.max_size, found);
  const writable = await checkWritable(machine, folder, folder === dirname(journalPath), service, found);
  if (writable) await checkFlush(machine, folder, found);
  await checkSetAside(machine, journalPath, found);
  const disk = mount === undefined ? undefined : await blockDevice(machine, mount.device);
  if (mount !== undefined && disk !== undefined) await checkHealth(machine, mount, disk, found);
  return found.list;
}

/** The journal's folder is made at the first start. */
async function nearestFolder(machine: Machine, folder: string): Promise<string> {
  if (folder === dirname(folder) || (await machine.stat(at(machine, folder))) !== undefined) return folder;
  return nearestFolder(machine, dirname(folder));
}

function checkMount(
  mount: Mount,
  folder: string,
  durability: JournalConfig['durability'],
  found: Findings,
): void {
  const { options, fsType, point, source } = mount;
  const unsafe = durability === 'power-loss' ? found.fail : found.warn;
  if (IN_MEMORY.includes(fsType)) {
    unsafe(
      `${folder} is in memory (${fsType} on ${point}): the journal is gone when power is`,
      'set journal.path to a folder on a disk',
    );
  } else if (fsType === 'overlay') {
    found.warn(
      `${folder} is on an overlay (${point}): the journal is gone with the container, or at the next start of a system whose root is read-only`,
      'mount a volume or a partition for the journal and set journal.path to it',
    );
  } else if (OVER_NETWORK.includes(fsType)) {
    found.fail(
      `${folder} is on another machine (${fsType} from ${source}): the journal would be damaged`,
      'set journal.path to a folder on a disk of this machine',
    );
  }
  if (options.has('ro')) {
    found.fail(
      `${point} is mounted read-only`,
      `dmesg says whether an error did it (then check the disk: fsck); sudo mount -o remount,rw ${point}`,
    );
  }
  const barrier = ['nobarrier', 'barrier=0'].find((option) => options.has(option));
  if (barrier !== undefined) {
    unsafe(
      `${point} is mounted with ${barrier}: what was flushed may be lost with power`,
      'take that option out of /etc/fstab and restart',
    );
  }
}

async function checkRoom(
  machine: Machine,
  journalPath: string,
  folder: string,
  maxBytes: number,
  found: Findings,
): Promise<void> {
  let free: number;
  try {
    free = await machine.freeBytes(at(machine, folder));
  } catch (fault) {
    found.warn(`how much room there is in ${folder} cannot be told: ${reasonOf(fault)}`, `df ${folder}`);
    return;
  }
  let taken = 0;
  for (const ending of ['', '-wal', '-shm']) {
    taken += (await machine.stat(at(machine, `${journalPath}${ending}`)))?.bytes ?? 0;
  }
  const fix = 'make room, or set journal.max_size to what the disk has';
  const has = `${folder} has ${bytesText(free)} free`;
  const may = `the journal has ${bytesText(taken)} and may grow to ${bytesText(maxBytes)}`;
  if (free < Math.min(FREE_BYTES_MIN, maxBytes)) found.fail(`${has}; ${may}`, fix);
  else if (free + taken < maxBytes) found.warn(`${has}, less than ${may}`, fix);
  else found.ok(`${has}; ${may}`);
}

/** @param isJournals false: the journal's own folder is still to be made, by systemd where the unit says so */
async function checkWritable(
  machine: Machine,
  folder: string,
  isJournals: boolean,
  service: User | undefined,
  found: Findings,
): Promise<boolean> {
  const state = await machine.stat(at(machine, folder));
  if (
    isJournals &&
    state !== undefined &&
    service !== undefined &&
    service.uid !== DYNAMIC_UID &&
    !mayOpen(state, service, Wanted.enterAndWrite)
  ) {
    found.fail(
      `user ${service.name}, as which the service runs, may not write in ${folder}`,
      `sudo chown ${service.name} ${folder}, or StateDirectory=godwit in the unit`,
    );
  }
  if (await machine.mayUse(at(machine, folder), Wanted.enterAndWrite)) return true;
  const what = `this user, ${machine.user.name}, may not write in ${folder}`;
  if (service === undefined) {
    found.fail(
      what,
      `sudo chown ${machine.user.name} ${folder}, or set journal.path to a folder of your own`,
    );
  } else found.warn(`${what}, so that its disk was not measured`, 'sudo godwit doctor measures it');
  return false;
}

async function checkFlush(machine: Machine, folder: string, found: Findings): Promise<void> {
  try {
    const taken = [...(await machine.syncMs(at(machine, folder)))].sort((a, b) => a - b);
    const middle = taken[Math.floor(taken.length / 2)] ?? 0;
    const what = `a flush takes ${msText(middle)}, ${msText(taken.at(-1) ?? 0)} at most of ${taken.length}`;
    if (middle <= SYNC_MS_MAX) found.ok(what);
    else {
      found.warn(
        `${what}: every acknowledgement waits that long`,
        'use a card of class A1 or A2, or better a USB SSD; see whether another program writes much (iotop)',
      );
    }
  } catch (fault) {
    found.fail(
      `a small file cannot be written and flushed in ${folder}: ${reasonOf(fault)}`,
      'dmesg says what the disk complains of; df and df -i whether it is full',
    );
  }
}

async function checkSetAside(machine: Machine, journalPath: string, found: Findings): Promise<void> {
  const start = `${basename(journalPath)}.damaged-`;
  const folder = dirname(journalPath);
  const names = (await filesIn(machine, folder)).filter((name) => name.startsWith(start));
  if (names.length === 0) return;
  found.warn(
    `a damaged journal was set aside: ${join(folder, names.at(-1) as string)}${names.length > 1 ? ` and ${names.length - 1} more files` : ''}`,
    'godwit journal says what was saved from it; remove the file once nobody needs it, and check the disk and its supply',
  );
}

async function checkHealth(
  machine: Machine,
  mount: Mount,
  disk: BlockDevice,
  found: Findings,
): Promise<void> {
  const name = `${disk.name} (${disk.kind}${disk.model === undefined ? '' : ` ${disk.model}`})`;
  if (disk.readOnly) {
    found.fail(
      `${name} is write-protected, as worn cards make themselves`,
      'replace the card; copy the journal first',
    );
  }
  const errors = await textOf(machine, `/sys/fs/ext4/${basename(mount.source)}/errors_count`);
  if (errors !== undefined && Number(errors) > 0) {
    found.fail(
      `the file system of ${mount.point} has counted ${errors} errors`,
      `check it at the next start (fsck.mode=force fsck.repair=yes in cmdline.txt), and copy the journal before`,
    );
  }
  if (disk.usedTenths !== undefined && disk.usedTenths >= 9) {
    const worn = disk.usedTenths > 10 ? 'all' : `${disk.usedTenths * 10} %`;
    found.warn(`${name} says that ${worn} of its life is used`, 'plan its replacement');
  }
  const uptime = Number((await textOf(machine, '/proc/uptime'))?.split(' ')[0]);
  if (disk.bytesWritten === undefined || Number.isNaN(uptime)) return;
  const perDay = (disk.bytesWritten / Math.max(uptime, 1)) * 86_400;
  const known = uptime >= RATE_AFTER_S;
  const what = `${name}: ${bytesText(disk.bytesWritten)} written since the start ${age(uptime * 1000)} ago${known ? `, ${bytesText(perDay)} a day` : ''}`;
  if (known && disk.kind === 'SD card' && perDay > CARD_BYTES_PER_DAY_MAX) {
    found.warn(
      `${what}, which wears a card out`,
      'find what writes (iotop -ao); a longer journal.max_commit_delay or journal.record: none writes less; or use an SSD',
    );
  } else found.ok(what);
}

function msText(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
