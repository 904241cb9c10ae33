/**
 * npm run conformance [-- --peer mosquitto]
 *
 * Runs test/conformance against the broker and against two stubs, and prints which normative statements that bind
 * a server are covered: a test that names the statement passed, and none that names it failed. A test that both
 * stubs pass proves nothing and is listed as VOID. Ends with 1 if a test fails, is void, or a statement is neither
 * tested nor excused in uncovered.json.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const suite = join(root, 'test', 'conformance');
const statements = Object.entries(json('statements.json')).map(([id, rest]) => ({ id, ...rest }));
const uncovered = json('uncovered.json');
const VERSIONS = [
  ['MQTT 3.1.1', 'MQTT311-'],
  ['MQTT 5.0', 'MQTT5-'],
];

const peer = peerFrom(process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), 'godwit-conformance-'));
try {
  const results = await run(peer);
  const stubs = [await run('stub-ack'), await run('stub-close')];
  process.exitCode = report(results, stubs) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function json(name) {
  return JSON.parse(readFileSync(join(suite, name), 'utf8'));
}

function peerFrom(args) {
  if (args.length === 0) return 'godwit';
  if (args.length === 2 && args[0] === '--peer' && ['godwit', 'mosquitto'].includes(args[1])) return args[1];
  console.error('usage: npm run conformance [-- --peer godwit|mosquitto]');
  process.exit(2);
}

/** All tests that name a statement: full name (with file), ids, and 'passed', 'failed' or 'skipped'. */
async function run(name) {
  const file = join(folder, `${name}.json`);
  console.error(`Running the suite against ${name}…`);
  const output = [];
  const vitest = spawn(
    process.execPath,
    [
      join(root, 'node_modules', 'vitest', 'vitest.mjs'),
      'run',
      'test/conformance',
      '--reporter=json',
      `--outputFile=${file}`,
    ],
    { cwd: root, env: { ...process.env, GODWIT_CONFORMANCE_PEER: name }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  vitest.stdout.on('data', (chunk) => output.push(chunk));
  vitest.stderr.on('data', (chunk) => output.push(chunk));
  await new Promise((resolve) => vitest.once('close', resolve));
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw new Error(`vitest left no report; it said:\n${Buffer.concat(output)}`);
  }
  const tests = [];
  for (const { name: path, assertionResults, status, message } of report.testResults) {
    const at = path.slice(suite.length + 1);
    if (assertionResults.length === 0 && status === 'failed') throw new Error(`${at} did not load: ${message}`);
    for (const { fullName, status: outcome, failureMessages } of assertionResults) {
      const ids = [...fullName.matchAll(/\[(MQTT(?:311|5)-[\d.]+-\d+)\]/g)].map(([, id]) => id);
      const state = outcome === 'passed' || outcome === 'failed' ? outcome : 'skipped';
      const why = (failureMessages ?? [])[0]?.split('\n')[0];
      if (ids.length > 0) tests.push({ name: `${at}: ${fullName}`, ids, state, why });
    }
  }
  return tests;
}

function report(tests, [acknowledging, closing]) {
  const count = (state) => tests.filter((test) => test.state === state).length;
  console.log(`\n${peer}: ${count('passed')} tests passed, ${count('failed')} failed, ${count('skipped')} skipped\n`);
  let unexcused = 0;
  for (const [version, prefix] of VERSIONS) {
    const all = statements.filter(({ id }) => id.startsWith(prefix));
    const binding = all.filter(({ side }) => side !== 'C');
    const covered = binding.filter(({ id }) => isCovered(tests, id));
    const clients = all.filter(({ side, id }) => side === 'C' && isCovered(tests, id)).length;
    console.log(
      `${version}: ${covered.length} of ${binding.length} statements that bind a server are covered; ` +
        `of ${all.length - binding.length} that bind the client only, ${clients} by what the server does`,
    );
    for (const { id, text } of binding) {
      if (covered.some((one) => one.id === id)) continue;
      const reason = reasonFor(tests, id);
      if (reason === undefined) unexcused += 1;
      console.log(`  ${id}  ${reason ?? 'NOT COVERED, AND NO REASON IN uncovered.json'}\n      ${text}`);
    }
    console.log('');
  }
  const failed = tests.filter(({ state }) => state === 'failed');
  list('Failed', failed.map(({ name, why }) => `${name}\n      ${why}`));
  const passes = (stub) => new Set(stub.filter(({ state }) => state === 'passed').map(({ name }) => name));
  const [one, other] = [passes(acknowledging), passes(closing)];
  const empty = [...one].filter((name) => other.has(name));
  list('VOID: passed by both stubs', empty);
  console.log(`Stubs: stub-ack passes ${one.size} tests, stub-close ${other.size}, both ${empty.length}`);
  return failed.length === 0 && empty.length === 0 && unexcused === 0;
}

function isCovered(tests, id) {
  const named = tests.filter(({ ids }) => ids.includes(id));
  return named.some(({ state }) => state === 'passed') && !named.some(({ state }) => state === 'failed');
}

function reasonFor(tests, id) {
  const named = tests.filter(({ ids }) => ids.includes(id));
  if (named.some(({ state }) => state === 'failed')) return 'A test of it fails.';
  if (named.length > 0) return 'Its tests were skipped: this peer has not got what they need.';
  return uncovered[id];
}

function list(title, lines) {
  if (lines.length === 0) return;
  console.log(`${title}:`);
  for (const line of lines) console.log(`  ${line}`);
  console.log('');
}
