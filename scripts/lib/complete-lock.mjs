#!/usr/bin/env node
/**
 * Names in package-lock.json every optional platform package that a dependency asks for. `npm install` leaves out those
 * which the registry at hand does not offer, and `npm ci` then refuses the whole file. Run it after a change of
 * dependencies; what is added is fetched only on the platform it is for.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const systems = ['android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32', 'aix'];
const processors = { arm64: 'arm64', x64: 'x64', ia32: 'ia32', arm: 'arm', loong64: 'loong64', ppc64: 'ppc64', riscv64: 'riscv64', s390x: 's390x', mips64el: 'mips64el' };
const added = [];

for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    const words = name.split(/[-/]/);
    const system = systems.find((word) => words.includes(word));
    if (key in lock.packages || system === undefined) continue;
    const processor = Object.keys(processors).find((word) => words.includes(word));
    lock.packages[key] = {
      version,
      ...(processor === undefined ? {} : { cpu: [processors[processor]] }),
      ...(parent.dev ? { dev: true } : {}),
      ...(words.includes('musl') ? { libc: ['musl'] } : {}),
      optional: true,
      os: [system],
    };
    added.push(`${name}@${version}`);
  }
}

lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length === 0 ? 'Nothing to add.' : `Added:\n  ${added.join('\n  ')}`);
