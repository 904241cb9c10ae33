import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkJournalDisk } from '../../../../src/cli/doctor/journal-disk.js';
import type { User } from '../../../../src/cli/doctor/machine.js';
import { mountOf, mountsIn } from '../../../../src/cli/doctor/mounts.js';
import { FakeMachine, troubles } from '../../../support/fake-machine.js';

const CARD = 'sys/devices/mmc0/block/mmcblk0';
let machine: FakeMachine;

beforeEach(() => {
  machine = new FakeMachine()
    .set({
      'data/other': '',
      'proc/self/mountinfo': '36 35 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw',
      'proc/uptime': '864000.00 100.0',
      [`${CARD}/mmcblk0p2/partition`]: '2',
      [`${CARD}/device/type`]: 'SD',
      [`${CARD}/device/name`]: 'SC32G',
      [`${CARD}/ro`]: '0',
      // 10 GB in sectors of 512 bytes.
      [`${CARD}/stat`]: ' 100 1 800 20 300 4 19531250 900 0 0 0',
    })
    .link('sys/dev/block/179:2', '../../devices/mmc0/block/mmcblk0/mmcblk0p2');
});
afterEach(() => machine.tree.remove());

function check({
  durability = 'power-loss' as 'power-loss' | 'process-crash',
  service = undefined as User | undefined,
} = {}) {
  return checkJournalDisk(machine, '/data/journal.db', { max_size: 2 ** 31, durability }, service);
}

function mounted(options: string, fsType = 'ext4') {
  machine.set({ 'proc/self/mountinfo': `36 35 179:2 / / ${options} - ${fsType} /dev/mmcblk0p2 rw` });
}

test('room, time of a flush and what was written to the card are told', async () => {
  expect((await check()).map(({ state, what }) => `${state} ${what}`)).toEqual([
    'ok /data has 100 GB free; the journal has 0 B and may grow to 2.15 GB',
    'ok a flush takes 2.0 ms, 3.0 ms at most of 3',
    'ok mmcblk0 (SD card SC32G): 10 GB written since the start 10 d ago, 1 GB a day',
  ]);
});

test('less room than the journal may take is worth a look, next to none is wrong', async () => {
  machine.free = 1e9;
  expect(troubles(await check())[0]).toMatch(/^warn \/data has 1 GB free, less than .* → make room/);
  machine.free = 1e6;
  expect(troubles(await check())[0]).toMatch(/^fail \/data has 1 MB free/);
});

test('a journal in memory breaks the promise about loss of power', async () => {
  mounted('rw', 'tmpfs');
  expect(troubles(await check())[0]).toMatch(/^fail \/data is in memory .* → set journal\.path/);
  expect(troubles(await check({ durability: 'process-crash' }))[0]).toMatch(/^warn \/data is in memory/);
});

test.each([
  ['rw', 'overlay', /^warn .*overlay/],
  ['rw', 'nfs4', /^fail .*another machine/],
  ['ro,noatime', 'ext4', /^fail \/ is mounted read-only → dmesg/],
  ['rw,nobarrier', 'ext4', /^fail \/ is mounted with nobarrier/],
])('mounted %s as %s', async (options, fsType, told) => {
  mounted(options, fsType);
  expect(troubles(await check())[0]).toMatch(told);
});

test('a folder that may not be written is told, for the user of the service too', async () => {
  machine.own('data', { uid: 0, gid: 0, mode: 0o755 });
  expect(troubles(await check())).toEqual([
    expect.stringMatching(/^fail this user, eva, .* → sudo chown eva \/data/),
  ]);
  expect(troubles(await check({ service: { name: 'godwit', uid: 998, groups: [998] } }))).toEqual([
    expect.stringMatching(/^fail user godwit, .* → sudo chown godwit \/data/),
    expect.stringMatching(/^warn this user, eva, .*not measured → sudo godwit doctor/),
  ]);
});

test('a user that systemd makes gets its folder from systemd', async () => {
  const found = troubles(await check({ service: { name: 'godwit', uid: -1, groups: [] } }));
  expect(found.filter((one) => one.includes('user godwit'))).toEqual([]);
});

test('a slow flush and one that fails are told', async () => {
  machine.flushes = [300, 400, 900];
  expect(troubles(await check())[0]).toMatch(/^warn a flush takes 400 ms, 900 ms at most/);
  machine.flushes = new Error('EIO: i/o error');
  expect(troubles(await check())[0]).toMatch(/^fail a small file cannot be written .*EIO.* → dmesg/);
});

test('a database that was set aside is told', async () => {
  machine.set({ 'data/journal.db.damaged-2026': '' });
  expect(troubles(await check())[0]).toMatch(/^warn .*\/data\/journal\.db\.damaged-2026 → godwit journal/);
});

test('a card that is write-protected, worn, written to without end, or has errors is told', async () => {
  machine.set({
    [`${CARD}/ro`]: '1',
    [`${CARD}/device/life_time`]: '0x02 0x0a',
    [`${CARD}/stat`]: ' 100 1 800 20 300 4 1953125000 900 0 0 0',
    'sys/fs/ext4/mmcblk0p2/errors_count': '3',
  });
  expect(troubles(await check())).toEqual([
    expect.stringMatching(/^fail mmcblk0 \(SD card SC32G\) is write-protected/),
    expect.stringMatching(/^fail the file system of \/ has counted 3 errors → .*fsck/),
    expect.stringMatching(/^warn .*says that 100 % of its life is used/),
    expect.stringMatching(/^warn .*1 TB written .*100 GB a day, which wears a card out → .*iotop/),
  ]);
});

test('the deepest mount counts, and of several at one place the last', () => {
  const mounts = mountsIn(
    [
      '1 0 8:1 / / rw - ext4 /dev/sda1 rw',
      '2 1 0:5 / /my\\040data rw - tmpfs tmpfs rw',
      '3 1 8:2 / /my\\040data rw - ext4 /dev/sda2 rw',
    ].join('\n'),
  );
  expect(mountOf(mounts, '/my data/a')?.source).toBe('/dev/sda2');
  expect(mountOf(mounts, '/my database')?.source).toBe('/dev/sda1');
});
