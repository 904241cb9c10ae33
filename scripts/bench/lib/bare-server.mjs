/**
 * The least that a Node.js process can do for a message: node bare-server.mjs PORT
 *
 * It answers CONNECT and SUBSCRIBE, acknowledges each PUBLISH and hands its bytes on to every subscriber: no topics, no
 * sessions, no limits, and only packets that come whole and below 128 bytes. A bound, not a broker.
 */
import { createServer } from 'node:net';

const subscribers = new Set();
let waiting = [];

function say(peer, bytes) {
  if (peer.out.length === 0) {
    if (waiting.length === 0) setImmediate(flush);
    waiting.push(peer);
  }
  peer.out.push(bytes);
}

function flush() {
  const peers = waiting;
  waiting = [];
  for (const peer of peers) {
    const { out } = peer;
    peer.out = [];
    peer.socket.write(out.length === 1 ? out[0] : Buffer.concat(out));
  }
}

createServer({ noDelay: true }, (socket) => {
  const peer = { socket, out: [] };
  socket.on('error', () => {});
  socket.on('close', () => subscribers.delete(peer));
  socket.on('data', (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      const type = chunk[at] >> 4;
      const end = at + 2 + chunk[at + 1];
      if (type === 1) say(peer, Buffer.from([0x20, 2, 0, 0]));
      if (type === 8) {
        subscribers.add(peer);
        // Granted as asked: the last octet of SUBSCRIBE.
        say(peer, Buffer.from([0x90, 3, chunk[at + 2], chunk[at + 3], chunk[end - 1]]));
      }
      if (type === 3) {
        const identifier = at + 4 + ((chunk[at + 2] << 8) | chunk[at + 3]);
        if ((chunk[at] & 6) !== 0) say(peer, Buffer.from([0x40, 2, chunk[identifier], chunk[identifier + 1]]));
        for (const subscriber of subscribers) say(subscriber, chunk.subarray(at, end));
      }
      at = end;
    }
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
