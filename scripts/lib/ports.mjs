/** TCP ports of this machine: one that is free, and waiting until something listens on it. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export async function accepting(port, limitMs = 120_000) {
  const untilMs = Date.now() + limitMs;
  while (Date.now() < untilMs) {
    const socket = connect(port, '127.0.0.1');
    const up = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (up) return;
    await sleep(10);
  }
  throw new Error(`nothing accepts connections on port ${port}`);
}
