/**
 * A server that only acknowledges, in a process of its own, so that a drain's figure is the bridge's. Just enough MQTT
 * 5.0: first bytes and lengths, nothing else is looked at.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

export async function acknowledgingReceiver() {
  const child = fork(import.meta.filename, ['acknowledging-receiver']);
  const [port] = await once(child, 'message');
  return { port, stop: () => child.disconnect() };
}

if (process.argv[2] === 'acknowledging-receiver') receiver();

function receiver() {
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    let rest = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const answers = [];
      let at = 0;
      for (;;) {
        let length = 0;
        let shift = 0;
        let from = at + 1;
        let whole = false;
        while (from < bytes.length) {
          const byte = bytes[from++];
          length |= (byte & 127) << shift;
          shift += 7;
          if (byte < 128) {
            whole = true;
            break;
          }
        }
        if (!whole || from + length > bytes.length) break;
        answer(bytes[at], bytes, from, answers);
        at = from + length;
      }
      rest = bytes.subarray(at);
      if (answers.length > 0) socket.write(Buffer.from(answers));
    });
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
  process.on('disconnect', () => process.exit());
}

function answer(first, bytes, from, answers) {
  switch (first >> 4) {
    case 1:
      answers.push(0x20, 3, 0, 0, 0);
      return;
    case 3: {
      const qos = (first >> 1) & 3;
      if (qos === 0) return;
      const id = from + 2 + bytes.readUInt16BE(from);
      answers.push(qos === 1 ? 0x40 : 0x50, 2, bytes[id], bytes[id + 1]);
      return;
    }
    case 6:
      answers.push(0x70, 2, bytes[from], bytes[from + 1]);
      return;
    case 8:
      answers.push(0x90, 4, bytes[from], bytes[from + 1], 0, 1);
      return;
    case 12:
      answers.push(0xd0, 0);
  }
}
