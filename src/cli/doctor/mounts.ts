/** What is mounted where, from /proc/self/mountinfo. */
import { type Machine, textOf } from './machine.js';

export interface Mount {
  readonly point: string;
  readonly fsType: string;
  readonly source: string;
  /** `179:2`: major and minor number of the block device. */
  readonly device: string;
  /** Of this mount and of its file system. */
  readonly options: ReadonlySet<string>;
}

export async function mountsOf(machine: Machine): Promise<readonly Mount[]> {
  return mountsIn((await textOf(machine, '/proc/self/mountinfo')) ?? '');
}

/** `36 35 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw,errors=remount-ro`. */
export function mountsIn(text: string): Mount[] {
  return text.split('\n').flatMap((line): Mount[] => {
    const [own = '', of = ''] = line.split(' - ');
    const [, , device, , point, options = ''] = own.split(' ');
    const [fsType, source = '', more = ''] = of.split(' ');
    if (device === undefined || point === undefined || fsType === undefined) return [];
    return [
      {
        point: unescaped(point),
        fsType,
        source: unescaped(source),
        device,
        options: new Set([...options.split(','), ...more.split(',')]),
      },
    ];
  });
}

/** What a path lies on: the deepest mount; of several at one place, the last covers the others. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    const inside = mount.point === '/' || path === mount.point || path.startsWith(`${mount.point}/`);
    if (inside && mount.point.length >= (best?.point.length ?? 0)) best = mount;
  }
  return best;
}

function unescaped(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
