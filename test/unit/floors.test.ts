import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** The table of the design: arrows only downwards, none between folders on one floor. `main.ts` and `index.ts` are on top. */
const FLOORS: { readonly [folder: string]: number } = {
  'main.ts': 7,
  'index.ts': 7,
  cli: 6,
  gateway: 5,
  library: 5,
  broker: 4,
  bridge: 4,
  web: 4,
  storage: 3,
  drivers: 3,
  mapping: 3,
  config: 2,
  batch: 1,
  mqtt: 1,
  core: 0,
};

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const SPECIFIER = /\b(?:from|import|require|load|new URL)\s*\(?\s*'([^']+)'/g;

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports = files.flatMap((file) =>
  [...readFileSync(join(SRC, file), 'utf8').matchAll(SPECIFIER)].map((match) => ({
    file,
    specifier: match[1] as string,
  })),
);

function folderOf(file: string): string {
  return file.split('/')[0] as string;
}

test('every folder of src has its floor, and there is something to check', () => {
  expect([...new Set(files.map(folderOf))].filter((folder) => FLOORS[folder] === undefined)).toEqual([]);
  expect(imports.length).toBeGreaterThan(50);
});

test('imports go down, or stay within their folder', () => {
  const wrong = imports.filter(({ file, specifier }) => {
    if (!specifier.startsWith('.')) return false;
    const target = relative(SRC, join(SRC, dirname(file), specifier));
    // package.json, for the version, the worker's own file and the profiles beside the code are no floors.
    if (target.startsWith('..')) return !/package\.json$|^\.\.\/config\/profiles/.test(target);
    const [from, to] = [folderOf(file), folderOf(target)];
    return from !== to && (FLOORS[from] ?? -1) <= (FLOORS[to] ?? 99);
  });
  expect(wrong).toEqual([]);
});

test('each third-party package stands behind one file', () => {
  const holders = new Map<string, Set<string>>();
  for (const { file, specifier } of imports) {
    if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
    expect(builtinModules, `${file}: write node:${specifier}`).not.toContain(specifier);
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
    holders.set(name, (holders.get(name) ?? new Set()).add(file));
  }
  expect([...holders].filter(([, by]) => by.size > 1).map(([name, by]) => [name, [...by]])).toEqual([]);
});
