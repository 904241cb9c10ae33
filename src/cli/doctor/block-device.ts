/** The disk behind a mount: what kind it is, what has been written to it, how worn it says it is. */
import { basename, dirname } from 'node:path';
import { at, type Machine, realPath, textOf } from './machine.js';

export interface BlockDevice {
  /** `mmcblk0`. */
  readonly name: string;
  readonly kind: 'SD card' | 'eMMC' | 'disk';
  readonly model: string | undefined;
  readonly readOnly: boolean;
  readonly bytesWritten: number | undefined;
  /** Of what it was made for, as eMMC tells it, in steps of a tenth. */
  readonly usedTenths: number | undefined;
}

/** The kernel counts in these, whatever the disk uses. */
const SECTOR_BYTES = 512;
/** In /sys/block/NAME/stat: reads have four, then writes, merged, sectors written. */
const SECTORS_WRITTEN = 6;

/** @param device `179:2`; undefined where no disk stands behind it */
export async function blockDevice(machine: Machine, device: string): Promise<BlockDevice | undefined> {
  let folder = await realPath(machine, `/sys/dev/block/${device}`);
  if (folder === undefined) return undefined;
  if ((await machine.stat(at(machine, `${folder}/partition`))) !== undefined) folder = dirname(folder);
  const type = await textOf(machine, `${folder}/device/type`);
  const sectors = (await textOf(machine, `${folder}/stat`))?.split(/\s+/)[SECTORS_WRITTEN];
  const life = (await textOf(machine, `${folder}/device/life_time`))?.split(/\s+/).map(Number);
  return {
    name: basename(folder),
    kind: type === 'SD' ? 'SD card' : type === 'MMC' ? 'eMMC' : 'disk',
    model:
      (await textOf(machine, `${folder}/device/name`)) ?? (await textOf(machine, `${folder}/device/model`)),
    readOnly: (await textOf(machine, `${folder}/ro`)) === '1',
    bytesWritten: sectors === undefined ? undefined : Number(sectors) * SECTOR_BYTES,
    usedTenths: life === undefined || life.some(Number.isNaN) ? undefined : Math.max(...life),
  };
}
