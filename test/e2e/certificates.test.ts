/** A gateway whose certificates are replaced while it runs: SIGHUP, and nobody is cut off. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Client } from '../../src/library/client.js';
import { Authority, type Signed } from '../support/certificates.js';
import { freePort, type Running, runningGateway, scratch } from '../support/process.js';

let place: ReturnType<typeof scratch>;
let authority: Authority;
let port: number;
let gateway: Running;

beforeEach(async () => {
  place = scratch();
  authority = await Authority.make();
  port = await freePort();
  install(await authority.sign('first'));
  writeFileSync(
    join(place.folder, 'godwit.yaml'),
    `gateway: { id: well-17 }
broker:
  listeners:
    - { url: "mqtts://127.0.0.1:${port}", cert: server.crt, key: server.key }
`,
  );
  gateway = await runningGateway(join(place.folder, 'godwit.yaml'));
});
afterEach(async () => {
  await gateway.kill('SIGTERM');
  place.remove();
});

function install({ cert, key }: Signed): void {
  writeFileSync(join(place.folder, 'server.crt'), cert);
  writeFileSync(join(place.folder, 'server.key'), key);
}

async function shown(): Promise<string | undefined> {
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', ca: authority.cert });
  await once(socket, 'secureConnect');
  const subject = socket.getPeerX509Certificate()?.subject;
  socket.destroy();
  return subject;
}

test('new certificates are read on SIGHUP; one that is wrong is refused and the old one stays', async () => {
  const stays = new Client({
    url: `mqtts://127.0.0.1:${port}`,
    tls: { ca: authority.cert },
    reconnect: false,
  });
  await stays.connect();
  expect(await shown()).toBe('CN=first');

  install(await authority.sign('second'));
  gateway.process.kill('SIGHUP');
  await gateway.line((line) => line.includes('Configuration was reloaded'));
  expect(await shown()).toBe('CN=second');

  writeFileSync(join(place.folder, 'server.key'), 'this is no key');
  gateway.process.kill('SIGHUP');
  const line = await gateway.line((one) => one.includes('New configuration has mistakes'));
  expect(line).toContain('broker.listeners[0].key');
  expect(await shown()).toBe('CN=second');

  await stays.publish('still', 'there', { qos: 1 });
  await stays.close();
});

test('one that expires soon is told at the start', async () => {
  await gateway.kill('SIGTERM');
  const day = 86_400_000;
  install(
    await authority.sign('short', {
      notBefore: new Date(Date.now() - day),
      notAfter: new Date(Date.now() + 10 * day),
    }),
  );
  gateway = await runningGateway(join(place.folder, 'godwit.yaml'));
  const line = await gateway.line((one) => one.includes('expires soon'));
  expect(JSON.parse(line)).toMatchObject({ subject: 'CN=short', key: 'cert', days: 9 });
});
