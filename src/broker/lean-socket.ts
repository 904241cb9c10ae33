/**
 * An accepted TCP socket that reads into one buffer of ours instead of a fresh 64 KiB for every read: where messages come
 * one at a time, that is a fifth of what a message costs.
 *
 * Node offers it (`onread`) to the sockets that one makes, not to those that a server accepts, so the handle moves from
 * the one to the other. The accepted socket stays behind empty, for the server counts by it. Where this Node.js has no
 * handle to move, the accepted socket serves as it came.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';

/** What Node keeps in a socket without naming it in its types. */
interface HandleHolder {
  _handle: object | null;
}

/** `onread` is documented for `net.connect`; the constructor behind it takes it too. */
interface LeanOptions extends SocketConstructorOpts {
  readonly handle: object;
  readonly writableHighWaterMark: number;
  readonly onread: { readonly buffer: Uint8Array; readonly callback: (bytes: number) => boolean };
}

/** As much as Node itself reads at once. All sockets share it: a read is handed over before the next begins. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** A socket that was accepted by a server with `pauseOnConnect`. `received` gets chunks that are its own to keep. */
export function leanSocket(accepted: Socket, received: (chunk: Buffer) => void): Socket {
  const holder = accepted as unknown as HandleHolder;
  const handle = holder._handle;
  if (handle === null || typeof handle !== 'object' || !('useUserBuffer' in handle)) {
    accepted.on('data', received);
    accepted.resume();
    return accepted;
  }
  const options: LeanOptions = {
    handle,
    writableHighWaterMark: accepted.writableHighWaterMark,
    onread: {
      buffer: readBuffer,
      callback: (bytes) => {
        // Small ones share a slab.
        received(Buffer.from(readBuffer.subarray(0, bytes)));
        return true;
      },
    },
  };
  holder._handle = null;
  const socket = new Socket(options);
  socket.once('close', () => accepted.destroy());
  return socket;
}
