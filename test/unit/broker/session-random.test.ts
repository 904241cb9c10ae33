import { expect, test } from 'vitest';
import { judge, temporaryWorld } from '../../support/session-world.js';

/** Numbers below `below`, the same ones for the same seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
}

const seeds = Array.from({ length: Number(process.env.GODWIT_SEEDS ?? 25) }, (_, seed) => seed + 1);

test.each(seeds)(
  'deaths, cuts and disk faults in any order lose and repeat nothing: seed %i',
  async (seed) => {
    const pick = numbers(seed);
    let broken = 0;
    const world = temporaryWorld({
      fault: () => (broken > 0 ? { code: 'SQLITE_IOERR', reason: 'disk I/O error' } : undefined),
      limits: { max_inflight: 1 + pick(4) },
    });
    await world.boot();
    const version = (): 4 | 5 => (pick(2) === 0 ? 4 : 5);
    const subscribers = [1, 2, 3].map((index) =>
      world.client(`subscriber-${index}`, {
        subscribe: 't',
        subscribeQoS: pick(4) === 0 ? 1 : 2,
        version: version(),
        receiveMaximum: 1 + pick(3),
      }),
    );
    await world.settle();
    const publishers = [1, 2].map((index) =>
      world.client(`publisher-${index}`, { identifiers: 1 + pick(3), version: version() }),
    );
    const sent: string[][] = [[], []];
    const disaster = async (): Promise<void> => {
      const which = pick(8);
      if (which === 0) {
        world.crash();
        await world.boot();
      } else if (which === 1) {
        broken = 1 + pick(3);
      }
    };
    for (let action = 0; action < 400; action += 1) {
      const client = world.clients[pick(world.clients.length)]!;
      const from = pick(2);
      switch (pick(12)) {
        case 0: {
          const payload = `${sent[from]!.length} of ${from}${pick(6) === 0 ? ' x'.repeat(20_000) : ''}`;
          sent[from]!.push(payload);
          publishers[from]!.publish(payload, pick(3) === 0 ? 1 : 2);
          break;
        }
        case 1:
          if (!client.connected) client.connect();
          else if (pick(4) === 0) client.drop();
          break;
        case 2:
          await disaster();
          break;
        case 3:
        case 4:
          world.storage.commitNow();
          if (broken === 0) break;
          broken -= 1;
          world.clock.advance(10_000);
          break;
        case 5:
          await world.turn();
          break;
        case 6:
        case 7:
        case 8:
          client.arrive();
          break;
        default:
          client.read();
      }
    }
    broken = 0;
    for (let round = 0; round < 3; round += 1) {
      world.clock.advance(10_000);
      await world.settle();
    }
    for (const from of [0, 1]) {
      expect(publishers[from]!.unfinished).toEqual([]);
      for (const subscriber of subscribers) judge(publishers[from]!, subscriber, sent[from]!);
    }
    expect(world.storage.snapshot().losses).toEqual([]);
    // Nothing is left of what was delivered.
    expect(world.storage.sessions.bytes).toBeLessThan(8000);
  },
);
