import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { build } from 'vite';
import { expect, test } from 'vitest';
import { encodeBatch } from '../../../src/batch/encode.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const ENTRY = join(ROOT, 'src/batch/decode.ts');
/** Type-only imports leave nothing behind. */
const IMPORT = /^(?:import|export)\s+(?!type\b)[^;]*?from\s+'([^']+)'|\bimport\(\s*'([^']+)'/gm;

function graph(file: string, into = new Map<string, string[]>()): Map<string, string[]> {
  if (into.has(file)) return into;
  const specifiers = [...readFileSync(file, 'utf8').matchAll(IMPORT)].map(
    (match) => match[1] ?? (match[2] as string),
  );
  into.set(file, specifiers);
  for (const specifier of specifiers.filter((one) => one.startsWith('.'))) {
    graph(resolve(dirname(file), specifier.replace(/\.js$/, '.ts')), into);
  }
  return into;
}

test('the decoder imports neither Node.js nor any package, so that a browser can have it', () => {
  const files = graph(ENTRY);
  expect(files.size).toBeGreaterThan(8);
  const foreign = [...files].flatMap(([file, specifiers]) =>
    specifiers.filter((one) => !one.startsWith('.')).map((one) => `${relative(ROOT, file)}: ${one}`),
  );
  expect(foreign).toEqual([]);
});

test('package.json offers it as godwit/batch, with types', () => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    exports: { [path: string]: { types: string; default: string } };
  };
  expect(exports['./batch']).toEqual({
    types: './dist/batch/decode.d.ts',
    default: './dist/batch/decode.js',
  });
  expect(existsSync(ENTRY)).toBe(true);
});

test('bundled for a browser it decodes with what a browser has, and no more', async () => {
  const bundled = (await build({
    root: ROOT,
    configFile: false,
    logLevel: 'silent',
    build: { write: false, minify: false, lib: { entry: ENTRY, formats: ['iife'], name: 'godwitBatch' } },
  })) as unknown as readonly { readonly output: readonly { readonly code: string }[] }[];
  const code = bundled[0]?.output[0]?.code as string;
  // What every browser of today has; no process, no Buffer, no require.
  const browser = { DecompressionStream, TextDecoder, TextEncoder, atob, btoa, bytes: Buffer.alloc(0) };
  for (const encoding of ['json', 'cbor', 'columnar'] as const) {
    const payload = Buffer.from('{"ts":1732147200123,"value":21.5}');
    const messages = [
      { seq: 7, ts: 1_732_147_200_125, topic: 'a/b', payload, qos: 2, retain: true },
    ] as const;
    browser.bytes = Buffer.from(
      encodeBatch({ gateway: 'well-17', journal: 'k3v9x2ab', messages }, encoding, 'deflate'),
    );
    const decoded = (await runInNewContext(`${code};godwitBatch.decodeBatch(bytes)`, browser)) as {
      messages: { payload: Uint8Array; topic: string; seq: number }[];
    };
    expect(decoded.messages.map(({ seq, topic }) => [seq, topic])).toEqual([[7, 'a/b']]);
    expect(Buffer.from(decoded.messages[0]?.payload ?? []).toString()).toBe(payload.toString());
  }
});
