import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkClock } from '../../../../src/cli/doctor/clock.js';
import { checkListeners } from '../../../../src/cli/doctor/listeners.js';
import { checkNode, NODE_MIN } from '../../../../src/cli/doctor/node-version.js';
import { checkGateway } from '../../../../src/cli/doctor/running-gateway.js';
import { checkUnit, readUnit } from '../../../../src/cli/doctor/service-unit.js';
import { renderFindings } from '../../../../src/cli/doctor.js';
import { parseConfig } from '../../../../src/config/parse.js';
import { GodwitError } from '../../../../src/core/error.js';
import { VERSION } from '../../../../src/core/version.js';
import { aSnapshot } from '../../../support/a-snapshot.js';
import { FakeMachine, troubles } from '../../../support/fake-machine.js';
import { ROOT } from '../../../support/process.js';

let machine: FakeMachine;
beforeEach(() => {
  machine = new FakeMachine();
});
afterEach(() => machine.tree.remove());

describe('the clock', () => {
  const RTC = { 'sys/class/rtc/rtc0/name': 'rtc-ds1307' };

  test('that is synchronised is told with the daemon that does it', async () => {
    machine.set({ ...RTC, 'run/systemd/timesync/synchronized': '' });
    expect((await checkClock(machine)).map(({ what }) => what)).toEqual([
      'the clock is synchronised by systemd-timesyncd',
      'there is a hardware clock',
    ]);
    machine.tree.remove('run/systemd');
    machine.set({ 'run/chrony/chronyd.pid': '1' }).answers.set('timedatectl', 'NTPSynchronized=yes\nNTP=yes');
    expect((await checkClock(machine))[0]?.what).toBe('the clock is synchronised by chrony');
  });

  test('that is not yet synchronised, or that nobody sets, is told', async () => {
    machine.set(RTC).answers.set('timedatectl', 'NTPSynchronized=no\nNTP=yes');
    expect(troubles(await checkClock(machine))).toEqual([
      expect.stringMatching(/^warn .*not synchronised.*UDP port 123/),
    ]);
    machine.answers.set('timedatectl', new Error('System has not been booted with systemd'));
    expect(troubles(await checkClock(machine))).toEqual([
      expect.stringMatching(/^warn nothing sets the clock/),
    ]);
  });

  test('with a date before this version was built is wrong, and one without a battery is told', async () => {
    machine.nowMs = Date.UTC(2019, 0, 1);
    machine.set({ 'run/systemd/timesync/synchronized': '' });
    expect(troubles(await checkClock(machine))).toEqual([
      expect.stringMatching(/^fail the date is 2019-01-01.* → sudo timedatectl set-ntp true/),
      expect.stringMatching(/^warn there is no hardware clock.*dtoverlay=i2c-rtc,ds3231/),
    ]);
  });
});

describe('the unit', () => {
  const check = async (properties: Record<string, string>) =>
    troubles(checkUnit(await readUnit(machine.unit(properties))));

  test('says nothing on a machine without systemd', async () => {
    expect(checkUnit(await readUnit(machine))).toEqual([]);
  });

  test('that is installed, enabled and active is as it should be', async () => {
    expect(await check({ NRestarts: '0' })).toEqual([]);
  });

  test.each([
    [{ LoadState: 'not-found' }, /^warn .*not installed/],
    [{ LoadState: 'masked' }, /^fail .*masked.* → sudo systemctl unmask/],
    [{ LoadState: 'bad-setting' }, /^fail .*bad-setting.* → systemd-analyze verify/],
    [{ UnitFileState: 'disabled' }, /^warn .*disabled.* → sudo systemctl enable godwit/],
    [{ ActiveState: 'inactive' }, /^warn .*inactive → sudo systemctl start godwit/],
    [
      { ActiveState: 'failed', Result: 'exit-code', ExecMainStatus: '1' },
      /^fail .*exit-code, status 1 → journalctl/,
    ],
    [{ ActiveState: 'failed', ExecMainStatus: '78' }, /^fail .*configuration has mistakes → .*godwit check/],
    [{ NRestarts: '4' }, /^warn systemd had to start .* 4 times → journalctl/],
  ])('with %j is told', async (properties, told) => {
    expect(await check(properties as Record<string, string>)).toEqual([expect.stringMatching(told)]);
  });

  test('is told where systemctl gives no answer', async () => {
    machine.unit({}).answers.set('systemctl', new Error('Failed to connect to bus'));
    expect(troubles(checkUnit(await readUnit(machine)))).toEqual([
      expect.stringMatching(/^warn .*Failed to connect/),
    ]);
  });
});

describe('the running gateway', () => {
  const answers = (snapshot: object) =>
    checkGateway('/s', async () => ({ status: 200, body: JSON.stringify(snapshot) }));
  const refuses = (code: string) => checkGateway('/s', () => Promise.reject(new GodwitError(code, 'why')));

  test('is told with state and version', async () => {
    const found = await answers(aSnapshot({ version: VERSION, bridges: {} }));
    expect(found.map(({ state, what }) => `${state} ${what}`)).toEqual([
      `ok gateway well-17 answers: running, godwit ${VERSION}, up 1 min`,
    ]);
  });

  test('that is older than what is installed, or degraded, says so', async () => {
    const clock = { now: 1_732_147_260_000, trusted: false };
    expect(troubles(await answers(aSnapshot({ version: '0.0.1', bridges: {}, clock })))).toEqual([
      expect.stringMatching(/^warn it still is version 0\.0\.1.* → sudo systemctl restart godwit/),
      expect.stringMatching(/^warn clock is not trusted/),
    ]);
    const journal = { ...aSnapshot().journal, state: 'failing' as const, reason: 'EIO' };
    expect(troubles(await answers(aSnapshot({ version: VERSION, bridges: {}, journal })))[0]).toMatch(
      /^fail journal is failing: EIO/,
    );
  });

  test.each([
    ['NOT_RUNNING', /^warn no gateway runs.* → sudo systemctl start/],
    ['NOT_ALLOWED', /^warn this user may not speak.* → use sudo/],
    ['NO_ANSWER', /^fail why → journalctl/],
  ])('%s', async (code, told) => {
    expect(troubles(await refuses(code))).toEqual([expect.stringMatching(told)]);
  });
});

test('listeners that others can reach without TLS are told, and the page', () => {
  const { config } = parseConfig(
    'gateway: { id: a }\nbroker: { allow_anonymous: true, listeners: [{ url: mqtt://127.0.0.1:1883 }, { url: mqtt://0.0.0.0:1884 }, { url: "ws://10.0.0.1:9001" }] }\nhttp: { listen: http://0.0.0.0:8088 }',
    'a.yaml',
    {},
  );
  if (config === undefined) throw new Error('the configuration is right');
  expect(troubles(checkListeners(config))).toEqual([
    expect.stringMatching(
      /^warn others can reach mqtt:\/\/0\.0\.0\.0:1884.*nobody is asked.* → broker\.listeners\[1\]\.url: mqtts:/,
    ),
    expect.stringMatching(
      /^warn others can reach ws:\/\/10\.0\.0\.1:9001.* → broker\.listeners\[2\]\.url: wss:/,
    ),
    expect.stringMatching(/^warn others can reach http:\/\/0\.0\.0\.0:8088/),
  ]);
});

test('Node.js below what package.json asks for is wrong', () => {
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  expect(engines.node).toBe(`>=${NODE_MIN}`);
  expect(checkNode('22.1.0').map(({ state }) => state)).toEqual(['ok']);
  expect(troubles(checkNode('20.9.0'))).toEqual([
    expect.stringMatching(/^fail Node\.js 20\.9\.0 is too old/),
  ]);
});

test('each finding is a line with its fix below; colours are for terminals', () => {
  const found = [
    { check: 'clock', state: 'ok', what: 'right' },
    { check: 'serial', state: 'fail', what: 'missing', fix: 'plug it in' },
  ] as const;
  expect(renderFindings(found, false)).toBe(
    '✓ clock          right\n✗ serial         missing\n                 → plug it in\n1 as they should be, 0 to look at, 1 wrong\n',
  );
  expect(renderFindings(found, true)).toContain('\u001b[31m✗\u001b[0m');
});
