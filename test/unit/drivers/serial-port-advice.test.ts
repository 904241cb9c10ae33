import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { consoleOn, openFaultSentence } from '../../../src/drivers/serial-port-advice.js';
import { FakeTree } from '../../support/fake-tree.js';

let tree: FakeTree;
afterEach(() => tree.remove());

test('a port that is missing names those that are there', async () => {
  tree = new FakeTree({ 'dev/serial/by-id/usb-FTDI_A-if00-port0': '' });
  expect(
    await openFaultSentence(
      'Error: No such file or directory, cannot open /dev/ttyUSB0',
      '/dev/ttyUSB0',
      tree.root,
    ),
  ).toBe(
    '/dev/ttyUSB0 is missing; plug the adapter in or correct the path; there is /dev/serial/by-id/usb-FTDI_A-if00-port0',
  );
});

test('a port that may not be opened names its group and the command', async () => {
  tree = new FakeTree({
    'dev/ttyUSB0': '',
    'etc/group': `root:x:${process.getgid?.() === 0 ? 1 : 0}:\nserialists:x:${process.getgid?.()}:`,
  });
  const sentence = await openFaultSentence(
    'Error: Permission denied, cannot open',
    '/dev/ttyUSB0',
    tree.root,
  );
  expect(sentence).toMatch(
    /^\/dev\/ttyUSB0 may not be opened: permission denied; add the user to group serialists .*sudo usermod -aG serialists /,
  );
  expect(await openFaultSentence('Permission denied', '/dev/ttyUSB9', tree.root)).toContain('group dialout');
});

test('the console on the UART is found through the name that the board gives it', async () => {
  tree = new FakeTree({
    'dev/ttyS0': '',
    'dev/ttyUSB0': '',
    'proc/cmdline': 'console=tty1 console=serial0,115200 root=/dev/mmcblk0p2',
  });
  symlinkSync('ttyS0', join(tree.root, 'dev/serial0'));
  expect(await consoleOn('/dev/ttyS0', tree.root)).toContain('raspi-config');
  expect(await consoleOn('/dev/serial0', tree.root)).toContain('console=serial0');
  expect(await consoleOn('/dev/ttyUSB0', tree.root)).toBeUndefined();
  expect(await openFaultSentence('Error Cannot lock port', '/dev/ttyS0', tree.root)).toContain(
    'login console',
  );
  expect(await openFaultSentence('Error Cannot lock port', '/dev/ttyUSB0', tree.root)).toContain(
    'another program',
  );
});

test('anything else keeps its own words', async () => {
  tree = new FakeTree();
  expect(await openFaultSentence('Inappropriate ioctl for device', '/dev/x', tree.root)).toBe(
    '/dev/x is not a serial port; correct the path',
  );
  expect(await openFaultSentence('weather', '/dev/x', tree.root)).toBe('/dev/x cannot be opened: weather');
});
