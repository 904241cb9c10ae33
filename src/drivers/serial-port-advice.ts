/**
 * What is wrong with a serial port and what to do, in one sentence each. `root` is where the file system begins, so
 * that a tree of files can stand for a board.
 */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { basename, join } from 'node:path';

const BY_ID = '/dev/serial/by-id';
/** So many names fit into a sentence. */
const NAMES_MAX = 4;

/** Open faults carry nothing but a message. */
export async function openFaultSentence(text: string, path: string, root = '/'): Promise<string> {
  if (text.includes('No such file')) return `${path} is missing; ${await whatIsThere(root)}`;
  if (text.includes('Permission denied')) {
    const group = await groupOf(path, root);
    return `${path} may not be opened: permission denied; add the user to group ${group} and log in again (sudo usermod -aG ${group} ${userName()}; a service is restarted)`;
  }
  if (text.includes('Cannot lock port')) {
    const console = await consoleOn(path, root);
    return console === undefined
      ? `${path} is locked: another program uses it; stop that program (fuser ${path} names it; a console on the UART counts too)`
      : `${path} is locked: ${console}`;
  }
  if (text.includes('Inappropriate ioctl') || text.includes('not a tty')) {
    return `${path} is not a serial port; correct the path`;
  }
  if (text.includes('Input/output error') || text.includes('No such device')) {
    return `${path} has no device behind it; plug the adapter in again`;
  }
  return `${path} cannot be opened: ${text}`;
}

/** Says so where the kernel's console or a login uses the port; undefined: neither does. */
export async function consoleOn(path: string, root = '/'): Promise<string | undefined> {
  const commandLine = await readFile(join(root, 'proc/cmdline'), 'utf8').catch(() => '');
  const consoles = [...commandLine.matchAll(/\bconsole=([A-Za-z]+\d+)/g)].map((match) => match[1] as string);
  const port = await deviceName(path, root);
  for (const name of consoles) {
    if ((await deviceName(join('/dev', name), root)) !== port) continue;
    return `a login console uses it (console=${name}); switch it off with raspi-config, Interface Options, Serial Port: login shell no, hardware yes, and restart`;
  }
  return undefined;
}

/** /dev/serial0 is ttyS0 on one board and ttyAMA0 on another. */
async function deviceName(path: string, root: string): Promise<string> {
  return basename(await realpath(join(root, path)).catch(() => path));
}

async function whatIsThere(root: string): Promise<string> {
  const names = await readdir(join(root, BY_ID)).catch((): string[] => []);
  if (names.length === 0) return 'plug the adapter in or correct the path';
  const shown = names
    .sort()
    .slice(0, NAMES_MAX)
    .map((name) => `${BY_ID}/${name}`)
    .join(', ');
  return `plug the adapter in or correct the path; there is ${shown}`;
}

async function groupOf(path: string, root: string): Promise<string> {
  try {
    const { gid } = await stat(join(root, path));
    const lines = (await readFile(join(root, 'etc/group'), 'utf8')).split('\n');
    const name = lines.find((line) => line.split(':')[2] === String(gid))?.split(':')[0];
    // A port that belongs to root alone was given to nobody: its group would be of no use.
    return name === undefined || name === 'root' ? 'dialout' : name;
  } catch {
    // A sentence with the usual group is better than none.
    return 'dialout';
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user without a name, as in a container.
    return 'USER';
  }
}
