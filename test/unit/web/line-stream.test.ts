/** Answers that go on, over a real Unix socket. */
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../../src/core/log.js';
import type { LineSink, StreamRoute } from '../../../src/web/route.js';
import { WebServer } from '../../../src/web/server.js';
import { aSnapshot } from '../../support/a-snapshot.js';
import { scratch } from '../../support/process.js';

let folder: string;
let remove: () => void;
let server: WebServer;
let opened: LineSink[];
let ends: { times: number };

/** `ends`: of this test's server alone, for a client of the last one may go late. */
const lines = (opened: LineSink[], ends: { times: number }): StreamRoute => ({
  method: 'GET',
  path: '/lines',
  stream: ({ query }, sink) => {
    if (query.get('of') === null) return { error: 'of what?' };
    opened.push(sink);
    sink.say({ early: query.get('of') });
    return {
      stop: () => {
        ends.times += 1;
      },
    };
  },
});

beforeEach(async () => {
  ({ folder, remove } = scratch());
  [opened, ends] = [[], { times: 0 }];
  const socketPath = join(folder, 'godwit.sock');
  server = new WebServer({
    socketPath,
    snapshot: () => aSnapshot(),
    log: silentLog,
    routes: [lines(opened, ends)],
  });
  await server.start();
});

afterEach(async () => {
  await server.stop();
  remove();
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

function get(path: string, reads = true) {
  const answer = { status: 0, text: '', closed: false, destroy: () => {}, resume: () => {} };
  const ask = request({ socketPath: join(folder, 'godwit.sock'), path, agent: false }, (response) => {
    answer.status = response.statusCode ?? 0;
    answer.resume = () =>
      void response.on('data', (chunk: Buffer) => {
        answer.text += chunk.toString();
      });
    if (reads) answer.resume();
    response.on('error', () => {});
    response.on('close', () => {
      answer.closed = true;
    });
  });
  ask.on('error', () => {
    answer.closed = true;
  });
  answer.destroy = () => void ask.destroy();
  ask.end();
  return answer;
}

test('what is said at once and what is said later arrive as lines of JSON', async () => {
  const answer = get('/lines?of=a');
  await until(() => answer.text !== '');
  opened[0]?.say({ later: 1 });
  await until(() => answer.text.includes('later'));
  expect(answer.status).toBe(200);
  expect(answer.text).toBe('{"early":"a"}\n{"later":1}\n');
  answer.destroy();
});

test('a client that leaves ends it, once', async () => {
  const answer = get('/lines?of=a');
  await until(() => answer.text !== '');
  answer.destroy();
  await until(() => ends.times === 1);
  // Said to nobody.
  opened[0]?.say({ late: true });
  await server.stop();
  expect(ends.times).toBe(1);
});

test('the server that stops ends it', async () => {
  const answer = get('/lines?of=a');
  await until(() => answer.text !== '');
  await server.stop();
  await until(() => answer.closed);
  expect(ends.times).toBe(1);
});

test('what cannot be opened is an ordinary answer', async () => {
  const answer = get('/lines');
  await until(() => answer.closed);
  expect(answer).toMatchObject({ status: 400, text: '{"error":"of what?"}\n' });
});

test('a client that does not read loses lines, and is told how many once it reads again', async () => {
  const answer = get('/lines?of=a', false);
  await until(() => answer.status === 200);
  const filler = 'x'.repeat(1000);
  // The kernel's buffers and ours are far smaller than this.
  for (let at = 0; at < 20_000; at += 1) opened[0]?.say({ at, filler });
  answer.resume();
  let said = 20_000;
  await until(() => {
    // The next line that fits says what was left out.
    opened[0]?.say({ at: said, filler: '' });
    said += 1;
    return answer.text.includes('"dropped"');
  });
  await until(() => answer.text.endsWith('\n'));
  const got = answer.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { at?: number; dropped?: number });
  const kept = got.filter((line) => line.at !== undefined).length;
  const dropped = got.reduce((sum, line) => sum + (line.dropped ?? 0), 0);
  expect(dropped).toBeGreaterThan(10_000);
  const lastAt = got.findLast((line) => line.at !== undefined)?.at ?? 0;
  expect(kept + dropped).toBe(lastAt + 1);
  answer.destroy();
});
