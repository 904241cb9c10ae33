/** A stream to a SimulatedSlave on a clock, real or fake. */

import type { Clock } from '../../src/core/clock.js';
import type { OpenStream } from '../../src/drivers/byte-stream.js';
import type { SimulatedSlave } from './simulated-slave.js';

export function slaveStream(slave: SimulatedSlave, clock: Clock, answerMs = 5): OpenStream {
  return async (listener) => {
    const receive = slave.session();
    let open = true;
    return {
      write: (bytes) => {
        for (const reply of receive(bytes)) {
          clock.at(clock.monotonicMs() + answerMs, () => {
            if (open) listener.onBytes(reply);
          });
        }
      },
      close: () => {
        open = false;
      },
    };
  };
}
