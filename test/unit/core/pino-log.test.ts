import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { GodwitError } from '../../../src/core/error.js';
import { createLog, type LogOptions } from '../../../src/core/pino-log.js';

function capture(options: Partial<LogOptions> = {}) {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const log = createLog({ level: 'info', stream, ...options });
  return {
    log,
    text: () => text,
    lines: () =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
  };
}

test('a line is one JSON object with level as a word, ISO time, fields and the sentence', () => {
  const { log, lines } = capture();
  log.warn({ bus: 'rtu-1', unitId: 3 }, 'Modbus unit stopped answering');
  expect(lines()).toEqual([
    {
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      bus: 'rtu-1',
      unitId: 3,
      msg: 'Modbus unit stopped answering',
    },
  ]);
});

test('what is below the level is not written', () => {
  const { log, lines } = capture({ level: 'warn' });
  log.info({}, 'no');
  log.debug({}, 'no');
  log.error({}, 'yes');
  expect(lines().map((line) => line.msg)).toEqual(['yes']);
});

test('secrets are left out, also within an object', () => {
  const { log, text } = capture();
  log.info(
    { password: 'hunter2', bridge: { password: 'hunter2', user: 'well' }, a: { b: { token: 'hunter2' } } },
    'x',
  );
  expect(text()).not.toContain('hunter2');
  expect(text()).toContain('well');
});

test('a known fault is its code, sentence and ids; a bug has its stack', () => {
  const { log, lines, text } = capture();
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  log.warn({ fault: new GodwitError('UPSTREAM', 'Upstream refused', { bridge: 'cloud', cause }) }, 'x');
  expect(lines()[0].fault).toEqual({
    code: 'UPSTREAM',
    message: 'Upstream refused',
    bridge: 'cloud',
    cause: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' },
  });
  expect(text()).not.toContain('stack');
  log.error({ err: new TypeError('x is undefined') }, 'x');
  expect(lines()[1].err.stack).toContain('TypeError: x is undefined');
});

test('bigints and circles in fields harm nothing', () => {
  const { log, lines } = capture();
  const circle: { self?: unknown } = {};
  circle.self = circle;
  log.info({ value: 2n ** 60n, circle }, 'x');
  expect(lines()[0].msg).toBe('x');
});

test('on a terminal a line is for a person', async () => {
  const { log, text } = capture({ readable: true });
  log.info({ gateway: 'well-17' }, 'Gateway is running');
  await expect.poll(text).toContain('Gateway is running');
  const plain = stripVTControlCharacters(text());
  expect(plain).not.toBe(text());
  expect(plain).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: Gateway is running\n {4}gateway: "well-17"\n$/);
});
