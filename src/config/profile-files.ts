/** Where profiles are: those that ship with godwit lie in config/profiles, others where the configuration says. */
import { readdirSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProfileSource, ProfileText } from './profile.js';
import { firstBadByte, readFileBounded } from './read-file.js';

const SHIPPED = fileURLToPath(new URL('../../config/profiles/', import.meta.url));
const ENDING = '.yaml';
/** A hundred times the largest that ships. */
const PROFILE_BYTES_MAX = 1024 * 1024;

/** @param folder where relative paths begin: that of the configuration file */
export function profileFiles(folder: string): ProfileSource {
  const names = shippedProfiles();
  return {
    names,
    read: (name) => {
      if (names.includes(name)) return readProfile(join(SHIPPED, `${name}${ENDING}`), `${name}${ENDING}`);
      if (!name.includes('/') && !/\.ya?ml$/.test(name)) {
        return { kind: 'problem', problem: 'there is no such profile' };
      }
      const path = resolve(folder, name);
      const shown = isAbsolute(name) ? name : relative(process.cwd(), path);
      return readProfile(path, shown.startsWith('..') ? path : shown);
    },
  };
}

export function shippedProfiles(): readonly string[] {
  return readdirSync(SHIPPED)
    .filter((file) => file.endsWith(ENDING))
    .map((file) => file.slice(0, -ENDING.length))
    .sort();
}

function readProfile(path: string, shown: string): ProfileText {
  const read = readFileBounded(path, PROFILE_BYTES_MAX);
  if (read.kind === 'problem') return read;
  if (firstBadByte(read.bytes) !== undefined) {
    return { kind: 'problem', problem: 'it has a byte that is not UTF-8' };
  }
  return { kind: 'text', file: shown, text: read.bytes.toString('utf8') };
}
