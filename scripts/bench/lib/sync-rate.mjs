/** What the disk itself gives: syncs of 4 KiB that were written over, in a folder, per second. */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Ends the process where a sync costs nothing. */
export function refuseTmpfs(folder) {
  const fileSystem = execFileSync('stat', ['-f', '-c', '%T', folder], { encoding: 'utf8' }).trim();
  if (fileSystem !== 'tmpfs') return fileSystem;
  console.error('This folder is a tmpfs, where a sync costs nothing: name another with --folder.');
  process.exit(1);
}

export function syncsPerSecond(folder, milliseconds = 1000) {
  const file = join(folder, 'sync-rate');
  const fd = openSync(file, 'w');
  const block = Buffer.alloc(4096, 1);
  writeSync(fd, Buffer.alloc(4 * 1024 * 1024));
  fdatasyncSync(fd);
  const began = performance.now();
  let count = 0;
  for (; performance.now() - began < milliseconds; count += 1) {
    writeSync(fd, block, 0, block.length, (count % 1024) * 4096);
    fdatasyncSync(fd);
  }
  const rate = (count * 1000) / (performance.now() - began);
  closeSync(fd);
  rmSync(file);
  return rate;
}
