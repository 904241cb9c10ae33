/**
 * Our simulated slave against clients that are not ours: mbpoll (TCP, RTU over a pair of ptys) and modbus-serial. The
 * driver's own tests rely on it, so it must be a slave to others too.
 */

import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import modbusSerial from 'modbus-serial';
import { afterEach, describe, expect, test } from 'vitest';
import { serialStream } from '../../src/drivers/serial-stream.js';
import { SerialPair } from '../support/serial-pair.js';
import { SimulatedSlave } from '../support/simulated-slave.js';

const run = promisify(execFile);
const stops: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function onTcp(slave: SimulatedSlave): Promise<number> {
  const server = createServer((socket) => {
    const receive = slave.session();
    stops.push(() => void socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      for (const reply of receive(bytes)) socket.write(reply);
    });
  });
  stops.push(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('a port');
  return address.port;
}

async function onSerial(slave: SimulatedSlave): Promise<string> {
  const pair = await SerialPair.start();
  stops.push(() => pair.stop());
  const receive = slave.session();
  const settings = { path: pair.theirs, baudRate: 9600, parity: 'none', dataBits: 8, stopBits: 1 } as const;
  const stream = await serialStream(settings)(
    {
      onBytes: (bytes) => {
        for (const reply of receive(bytes)) stream.write(reply);
      },
      onClosed: () => undefined,
    },
    new AbortController().signal,
  );
  stops.push(() => stream.close());
  return pair.ours;
}

/** The values that mbpoll prints, one `[reference]: value` a line. */
async function mbpoll(args: readonly string[]): Promise<string[]> {
  const { stdout } = await run('mbpoll', ['-1', '-a', '1', '-0', ...args]);
  return [...stdout.matchAll(/^\[\d+\]:\s+(\S+)/gm)].map((match) => match[1] ?? '');
}

describe.each(['tcp', 'rtu'] as const)('mbpoll over %s', (framing) => {
  test('reads and writes every table', async () => {
    const slave = new SimulatedSlave(framing);
    const { holding, input, coils, discretes } = slave.unit();
    const where =
      framing === 'tcp'
        ? ['-m', 'tcp', '-p', String(await onTcp(slave)), '127.0.0.1']
        : ['-m', 'rtu', '-b', '9600', '-P', 'none', await onSerial(slave)];
    holding.set([11, 22, 33], 100);
    input[7] = 44;
    coils[3] = 1;
    discretes[12] = 1;
    expect(await mbpoll(['-t', '4', '-r', '100', '-c', '3', ...where])).toEqual(['11', '22', '33']);
    expect(await mbpoll(['-t', '3', '-r', '7', ...where])).toEqual(['44']);
    expect(await mbpoll(['-t', '0', '-r', '3', '-c', '2', ...where])).toEqual(['1', '0']);
    expect(await mbpoll(['-t', '1', '-r', '12', ...where])).toEqual(['1']);
    await mbpoll(['-t', '4', '-r', '200', ...where, '55']);
    await mbpoll(['-t', '4', '-r', '201', ...where, '66', '77']);
    await mbpoll(['-t', '0', '-r', '8', ...where, '1']);
    await mbpoll(['-t', '0', '-r', '9', ...where, '1', '0', '1']);
    expect([...holding.subarray(200, 203)]).toEqual([55, 66, 77]);
    expect([...coils.subarray(8, 12)]).toEqual([1, 1, 0, 1]);
    expect(slave.seen.map(({ functionCode }) => functionCode)).toEqual([3, 4, 1, 2, 6, 16, 5, 15]);
  });
});

test('modbus-serial reads, writes, masks and identifies over TCP', async () => {
  const slave = new SimulatedSlave('tcp');
  const client = new modbusSerial.default();
  stops.push(() => new Promise<void>((resolve) => client.close(() => resolve())));
  await client.connectTCP('127.0.0.1', { port: await onTcp(slave) });
  client.setID(1);
  client.setTimeout(2000);
  slave.unit().holding.set([1, 2], 5);
  expect((await client.readHoldingRegisters(5, 2)).data).toEqual([1, 2]);
  await client.writeRegisters(5, [7, 8]);
  await client.maskWriteRegister(5, 0xff00, 0x00f0);
  expect([...slave.unit().holding.subarray(5, 7)]).toEqual([0x00f0, 8]);
  await expect(client.readHoldingRegisters(5, 126)).rejects.toMatchObject({ modbusCode: 3 });
  const { data } = await client.readDeviceIdentification(1, 0);
  expect(data).toMatchObject({ 0: 'godwit', 1: 'slave', 2: '1.0' });
});
