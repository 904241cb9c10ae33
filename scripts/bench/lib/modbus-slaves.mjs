/**
 * Modbus slaves for the bench, in a process of their own so that their work is not counted as the gateway's:
 *
 *   tcp COUNT            prints the ports of COUNT servers; every register holds its own address
 *   serial PATH BAUD …   units 1 to 10 on one serial line that takes as long as a real one: a request ends when its
 *                        last character would have, the unit thinks, and its reply is there when its last character
 *                        would be. `--dead N` never answers.
 *
 * A line `report` on standard input is answered by one line of JSON, and counting begins anew.
 */
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';

const [mode, ...rest] = process.argv.slice(2);
const report = mode === 'tcp' ? await serveTcp(Number(rest[0])) : await serveSerial(rest);
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'report') console.log(JSON.stringify(report()));
}
process.exit(0);

async function serveTcp(count) {
  let requests = 0;
  const ports = [];
  for (let index = 0; index < count; index++) {
    const server = createServer({ noDelay: true }, (socket) => {
      let input = Buffer.alloc(0);
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        input = Buffer.concat([input, bytes]);
        for (; input.length >= 12; input = input.subarray(12)) {
          requests += 1;
          const data = registers(input.readUInt16BE(8), input.readUInt16BE(10));
          const reply = Buffer.alloc(9 + data.length);
          input.copy(reply, 0, 0, 8);
          reply.writeUInt16BE(3 + data.length, 4);
          reply[8] = data.length;
          data.copy(reply, 9);
          socket.write(reply);
        }
      });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports.push(server.address().port);
  }
  console.log(JSON.stringify(ports));
  return () => {
    const counted = { requests };
    requests = 0;
    return counted;
  };
}

async function serveSerial([path, baud, thinkMs, dead]) {
  const { SerialPort } = await import('serialport');
  const port = new SerialPort({ path, baudRate: Number(baud), autoOpen: false });
  await new Promise((resolve, reject) => port.open((fault) => (fault ? reject(fault) : resolve())));
  const characterMs = 10_000 / Number(baud);
  const gapMs = 3.5 * characterMs;
  let seen = [];
  port.on('data', async (bytes) => {
    const atMs = performance.now();
    if (bytes.length !== 8) return;
    const unit = bytes[0];
    const isDead = unit === Number(dead);
    const data = registers(bytes.readUInt16BE(2), bytes.readUInt16BE(4));
    // What the request costs the line by arithmetic, with the gap that must follow it.
    const lineMs = (8 + 5 + data.length) * characterMs + Number(thinkMs) + gapMs;
    seen.push({ unit, atMs, lineMs: isDead ? 0 : lineMs });
    if (isDead) return;
    const body = Buffer.concat([bytes.subarray(0, 2), Buffer.of(data.length), data]);
    const reply = Buffer.concat([body, crc16(body)]);
    await until(atMs + lineMs - gapMs);
    port.write(reply);
  });
  console.log('READY');
  return () => {
    const counted = { seen };
    seen = [];
    return counted;
  };
}

/** A timer of the system is a millisecond late or more; a line is not. */
async function until(atMs) {
  const waitMs = atMs - performance.now() - 2;
  if (waitMs > 0) await pause(waitMs);
  while (performance.now() < atMs) await turn();
}

function registers(start, count) {
  const data = Buffer.alloc(count * 2);
  for (let index = 0; index < count; index++) data.writeUInt16BE((start + index) & 0xffff, index * 2);
  return data;
}

function crc16(bytes) {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  }
  return Buffer.of(crc & 0xff, crc >> 8);
}
