/** `godwit doctor` as a process, on the machine that runs the tests: what depends on that machine is not looked at. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor/finding.js';
import { godwit, type Running, runningGateway, scratch } from '../support/process.js';

let folder: string;
let remove: () => void;
let gateway: Running | undefined;

beforeEach(() => {
  ({ folder, remove } = scratch());
  gateway = undefined;
});
afterEach(async () => {
  await gateway?.kill();
  remove();
});

function write(text: string): string {
  const file = join(folder, 'godwit.yaml');
  writeFileSync(file, text);
  return file;
}

async function doctor(file: string): Promise<{ code: number | null; found: readonly Finding[] }> {
  const child = godwit(['doctor', '--json', '-c', file]);
  const code = await child.exit();
  return { code, found: (JSON.parse(child.lines.join('\n')) as { findings: Finding[] }).findings };
}

const of = (found: readonly Finding[], check: string): string[] =>
  found.filter((one) => one.check === check).map(({ state, what }) => `${state} ${what}`);

const GATEWAY = 'gateway: { id: here }\nbroker: { listeners: [{ url: mqtt://127.0.0.1:0 }] }\n';

test('a running gateway is found, and the exit status is 1 only where something is wrong', async () => {
  const file = write(GATEWAY);
  gateway = await runningGateway(file);
  const { code, found } = await doctor(file);
  expect(of(found, 'configuration')).toEqual([`ok ${file} is right`]);
  expect(of(found, 'gateway')[0]).toMatch(/^ok gateway here answers: /);
  expect(of(found, 'disk').join('\n')).toMatch(/a flush takes/);
  expect(found.filter(({ state, fix }) => state !== 'ok' && !fix)).toEqual([]);
  expect(code).toBe(found.some(({ state }) => state === 'fail') ? 1 : 0);
  expect(readdirSync(join(folder, 'data')).filter((name) => name.includes('doctor'))).toEqual([]);
});

test('a port that is missing ends with 1; piped, it is plain text with the fix below', async () => {
  const file = write(`${GATEWAY}buses: { line: { driver: modbus-rtu, path: ${folder}/ttyX } }\n`);
  const child = godwit(['doctor', '-c', file]);
  expect(await child.exit()).toBe(1);
  const at = child.lines.findIndex((line) =>
    line.startsWith(`✗ serial         bus line: ${folder}/ttyX is missing`),
  );
  expect(child.lines[at + 1]).toMatch(/^ {17}→ plug the adapter in/);
  expect(child.lines.join('')).not.toContain('\u001b');
});

test('mistakes in the configuration are findings, the rest is checked all the same, and it ends with 78', async () => {
  const file = write(
    `${GATEWAY}buses: { line: { driver: modbus-rtu, path: ${folder}/ttyX } }\nmappings: [{ form: a }]\n`,
  );
  const { code, found } = await doctor(file);
  expect(code).toBe(78);
  expect(of(found, 'configuration').join('\n')).toMatch(/fail .*godwit\.yaml:4:\d+: mappings\[0\]/);
  expect(of(found, 'serial')).toEqual([`fail bus line: ${folder}/ttyX is missing`]);
  expect(of(found, 'gateway')[0]).toMatch(/^warn no gateway runs/);
});

test('a configuration that is missing ends with 78, with what can be told without it', async () => {
  const { code, found } = await doctor(join(folder, 'nowhere.yaml'));
  expect(code).toBe(78);
  expect(of(found, 'configuration')).toHaveLength(1);
  expect(of(found, 'node')[0]).toMatch(/^ok/);
});
