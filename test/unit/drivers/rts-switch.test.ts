import { expect, test } from 'vitest';
import { type RtsPort, type RtsSettings, RtsSwitch } from '../../../src/drivers/rts-switch.js';

function port(): { readonly port: RtsPort; readonly done: string[] } {
  const done: string[] = [];
  return {
    done,
    port: {
      isOpen: true,
      set: ({ rts }, then) => {
        done.push(rts ? 'rts on' : 'rts off');
        then(null);
      },
      write: (bytes) => void done.push(`write ${bytes.length}`),
      drain: (then) => {
        done.push('drained');
        then(null);
      },
    },
  };
}

test.each<[RtsSettings['mode'], string[]]>([
  ['while-sending', ['rts off', 'rts on', 'write 3', 'drained', 'rts off']],
  ['while-receiving', ['rts on', 'rts off', 'write 3', 'drained', 'rts on']],
  ['on', ['rts on', 'write 3']],
  ['off', ['rts off', 'write 3']],
])('RTS %s', async (mode, wanted) => {
  const { port: line, done } = port();
  const rts = new RtsSwitch(line, { mode, beforeMs: 0, afterMs: 0 });
  await rts.rest();
  await rts.send(new Uint8Array(3));
  expect(done).toEqual(wanted);
});
