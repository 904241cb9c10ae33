import { afterEach, describe, expect, test } from 'vitest';
import { temperatureIn } from '../../../../src/drivers/onewire/scratchpad.js';
import { openDriver } from '../../../../src/drivers/open-driver.js';
import { DriverBench } from '../../../support/driver-bench.js';
import { FakeTree } from '../../../support/fake-tree.js';

const GOOD = '50 01 4b 46 7f ff 0c 10 f1 : crc=f1 YES\n50 01 4b 46 7f ff 0c 10 f1 t=21000';
const POWER_ON = '50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000';
/** Measured, not powered on: the count that remains is 16, not 12. */
const REALLY_85 = '50 05 4b 46 7f ff 10 10 e1 : crc=e1 YES\n50 05 4b 46 7f ff 10 10 e1 t=85000';

describe('what w1_slave says', () => {
  test('a temperature whose check sum is right', () => {
    expect(temperatureIn(GOOD, undefined)).toMatchObject({ kind: 'celsius', celsius: 21 });
  });

  test('85 °C after power-on is refused, whatever came before', () => {
    for (const before of [undefined, 21, 84]) {
      expect(temperatureIn(POWER_ON, before)).toMatchObject({
        kind: 'bad',
        why: expect.stringContaining('power-on'),
      });
    }
  });

  test('85 °C that was measured is believed where the process can be so hot', () => {
    expect(temperatureIn(REALLY_85, 84.5)).toMatchObject({ kind: 'celsius', celsius: 85 });
    expect(temperatureIn(REALLY_85, 21)).toMatchObject({ kind: 'bad' });
    expect(temperatureIn(REALLY_85, undefined)).toMatchObject({ kind: 'bad' });
  });

  test.each([
    ['the kernel says NO', GOOD.replace('YES', 'NO'), 'check sum'],
    ['only zeros', '00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0', 'shorted'],
    ['nothing', '', 'unreadable'],
    ['half', GOOD.slice(0, 50), 'unreadable'],
    ['beyond the family', GOOD.replace('t=21000', 't=200000'), 'range'],
  ])('%s is no temperature', (_, text, why) => {
    expect(temperatureIn(text, undefined)).toMatchObject({ kind: 'bad', why: expect.stringContaining(why) });
  });
});

describe('the 1-Wire driver', () => {
  let tree: FakeTree;
  afterEach(() => tree.remove());

  async function read(files: Record<string, string>, probe: string) {
    tree = new FakeTree(files);
    const bench = new DriverBench(
      { driver: 'onewire', root: tree.root },
      { room: { points: { temperature: { probe, unit: '°C' } } } },
    );
    const driver = await openDriver(bench.context);
    const [reading] = await driver.readRaw('room');
    await driver.stop();
    return reading;
  }

  test('reads a probe by its id, and the only one as any', async () => {
    const files = {
      'bus/w1/devices/28-0316a2794ef1/w1_slave': GOOD,
      'bus/w1/devices/w1_bus_master1/name': '',
    };
    expect(await read(files, '28-0316A2794EF1')).toMatchObject({ value: 21, quality: 'good', unit: '°C' });
    expect(await read(files, 'any')).toMatchObject({ value: 21 });
  });

  test('a probe that is missing names those that are there', async () => {
    expect(await read({ 'bus/w1/devices/28-0316a2794ef1/w1_slave': GOOD }, '28-000000000001')).toMatchObject({
      value: null,
      quality: 'bad',
      reason: 'missing; the bus has 28-0316a2794ef1',
    });
  });

  test('a bus that is not switched on says how to', async () => {
    expect(await read({}, 'any')).toMatchObject({ reason: expect.stringContaining('dtoverlay=w1-gpio') });
  });

  test('any of several is refused with their names', async () => {
    const files = {
      'bus/w1/devices/28-000000000001/w1_slave': GOOD,
      'bus/w1/devices/28-000000000002/w1_slave': GOOD,
    };
    expect(await read(files, 'any')).toMatchObject({
      reason: 'several probes: name one of 28-000000000001, 28-000000000002',
    });
  });
});
