import { describe, expect, test } from 'vitest';
import {
  Addresses,
  inOrder,
  LOOKUP_MS_MAX,
  type Lookup,
  type Resolved,
} from '../../../src/bridge/addresses.js';
import type { KeyValueDoor } from '../../../src/core/key-value.js';
import { FakeClock } from '../../support/fake-clock.js';

class Shelf implements KeyValueDoor {
  readonly held = new Map<string, Uint8Array>();
  puts = 0;
  get = (key: string) => this.held.get(key);
  put(key: string, value: Uint8Array): void {
    this.puts += 1;
    this.held.set(key, value);
  }
  remove = (key: string) => void this.held.delete(key);
  entries = () => this.held.entries();
}

const again = (): Error => Object.assign(new Error('no answer'), { code: 'EAI_AGAIN' });

/** A name service that is told when to answer. */
class NameService {
  readonly asked: string[] = [];
  readonly #waiting: Parameters<Lookup>[1][] = [];
  readonly lookup: Lookup = (host, done) => {
    this.asked.push(host);
    this.#waiting.push(done);
  };

  answer(...addresses: string[]): void {
    this.#waiting.shift()?.(undefined, addresses);
  }

  fail(fault: Error = again()): void {
    this.#waiting.shift()?.(fault, []);
  }
}

function world(door = new Shelf()) {
  const clock = new FakeClock();
  const names = new NameService();
  const told: (string | undefined)[] = [];
  const make = (): Addresses =>
    new Addresses({
      lookup: names.lookup,
      clock,
      door,
      told: (host, reason) => told.push(reason && `${host} ${reason}`),
    });
  const addresses = make();
  const answers: (readonly string[] | string)[] = [];
  const keep = (answer: Resolved): void => {
    answers.push(
      answer.kind === 'addresses' ? answer.addresses : String('code' in answer.fault && answer.fault.code),
    );
  };
  return { clock, names, addresses, door, told, answers, make, keep };
}

describe('while DNS works', () => {
  test('a name is asked for at each attempt, and its addresses come in the order of the system', () => {
    const { addresses, answers, keep, names } = world();
    for (let n = 0; n < 2; n += 1) {
      addresses.resolve('cloud', keep);
      names.answer('10.0.0.1', '10.0.0.2');
    }
    expect(names.asked).toEqual(['cloud', 'cloud']);
    expect(answers).toEqual([
      ['10.0.0.1', '10.0.0.2'],
      ['10.0.0.1', '10.0.0.2'],
    ]);
  });

  test('an address needs no name service', () => {
    const { addresses, answers, keep, names } = world();
    addresses.resolve('10.0.0.1', keep);
    addresses.resolve('fe80::1', keep);
    expect(answers).toEqual([['10.0.0.1'], ['fe80::1']]);
    expect(names.asked).toEqual([]);
  });

  test('the address that worked comes first the next time, one that did not comes last', () => {
    const { addresses, answers, keep, names } = world();
    addresses.resolve('cloud', keep);
    names.answer('10.0.0.1', '10.0.0.2', '10.0.0.3');
    addresses.failed('10.0.0.1');
    addresses.worked('cloud', '10.0.0.3');
    addresses.resolve('cloud', keep);
    names.answer('10.0.0.1', '10.0.0.2', '10.0.0.3');
    expect(answers[1]).toEqual(['10.0.0.3', '10.0.0.2', '10.0.0.1']);
  });

  test('addresses that all fail are tried in turn', () => {
    const { addresses, answers, keep, names } = world();
    for (let n = 0; n < 4; n += 1) {
      addresses.resolve('cloud', keep);
      names.answer('10.0.0.1', '10.0.0.2', '10.0.0.3');
      addresses.failed(answers.at(-1)?.[0] ?? '');
    }
    expect(answers.map(([first]) => first)).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.1']);
  });
});

describe('while DNS fails', () => {
  test('at boot, with nothing remembered, it is a fault, and works later', () => {
    const { addresses, answers, keep, names, told } = world();
    addresses.resolve('cloud', keep);
    names.fail();
    addresses.resolve('cloud', keep);
    names.answer('10.0.0.1');
    expect(answers).toEqual(['EAI_AGAIN', ['10.0.0.1']]);
    expect(told).toEqual([]);
  });

  test('the addresses that worked last are used, also by the next process, and that is told once', () => {
    const { addresses, answers, keep, make, names, told } = world();
    addresses.resolve('cloud', keep);
    names.answer('10.0.0.1', '10.0.0.2');
    addresses.worked('cloud', '10.0.0.2');
    const next = make();
    for (let n = 0; n < 2; n += 1) {
      next.resolve('cloud', keep);
      names.fail();
    }
    expect(answers.slice(1)).toEqual([
      ['10.0.0.2', '10.0.0.1'],
      ['10.0.0.2', '10.0.0.1'],
    ]);
    expect(next.remark('cloud')).toContain('DNS did not resolve cloud (EAI_AGAIN)');
    next.resolve('cloud', keep);
    names.answer('10.0.0.3');
    expect(next.remark('cloud')).toBeUndefined();
    expect(told).toEqual(['cloud EAI_AGAIN', undefined]);
  });

  test('a resolver that hangs is not waited for, nor asked again; what it says too late serves the next attempt', () => {
    const { addresses, answers, clock, keep, names } = world();
    for (let n = 0; n < 2; n += 1) {
      addresses.resolve('cloud', keep);
      clock.advance(LOOKUP_MS_MAX);
    }
    expect(answers).toEqual(['ERR_DNS_TIMEOUT', 'ERR_DNS_TIMEOUT']);
    expect(names.asked).toEqual(['cloud']);
    names.answer('10.0.0.1');
    addresses.resolve('cloud', keep);
    expect(answers[2]).toEqual(['10.0.0.1']);
    expect(names.asked).toEqual(['cloud']);
    // It is used once.
    addresses.resolve('cloud', keep);
    expect(names.asked).toEqual(['cloud', 'cloud']);
    names.fail();
    expect(clock.waiting).toBe(0);
  });

  test('a late answer of long ago is not used', () => {
    const { addresses, answers, clock, keep, names } = world();
    addresses.resolve('cloud', keep);
    clock.advance(LOOKUP_MS_MAX);
    names.answer('10.0.0.1');
    clock.advance(61_000);
    addresses.resolve('cloud', keep);
    expect(names.asked).toHaveLength(2);
    names.fail();
    expect(answers).toEqual(['ERR_DNS_TIMEOUT', 'EAI_AGAIN']);
  });

  test('a question that is taken back is not answered', () => {
    const { addresses, answers, clock, keep, names } = world();
    addresses.resolve('cloud', keep)();
    names.answer('10.0.0.1');
    expect(answers).toEqual([]);
    expect(clock.waiting).toBe(0);
  });
});

describe('what is remembered', () => {
  test('is written only where it changed', () => {
    const { addresses, door, keep, names } = world();
    for (let n = 0; n < 3; n += 1) {
      addresses.resolve('cloud', keep);
      names.answer('10.0.0.1', '10.0.0.2');
      addresses.worked('cloud', '10.0.0.1');
    }
    expect(door.puts).toBe(1);
  });

  test('is bounded in names and addresses', () => {
    const { addresses, answers, door, keep, names } = world();
    for (let n = 0; n < 40; n += 1) {
      addresses.resolve(`cloud-${n}`, keep);
      names.answer(...Array.from({ length: 100 }, (_, at) => `10.0.${n}.${at}`));
      addresses.worked(`cloud-${n}`, `10.0.${n}.99`);
    }
    expect(door.held.size).toBe(16);
    expect(door.held.has('cloud-39')).toBe(true);
    expect(answers[0]).toHaveLength(8);
    expect(JSON.parse(Buffer.from(door.held.get('cloud-39') ?? []).toString())).toHaveLength(8);
  });

  test('nonsense on the disk is nothing remembered', () => {
    const door = new Shelf();
    for (const nonsense of ['{', '[1,null,"x"]', '"10.0.0.1"']) {
      door.held.set('cloud', Buffer.from(nonsense));
      const { addresses, answers, keep, names } = world(door);
      addresses.resolve('cloud', keep);
      names.fail();
      expect(answers).toEqual(['EAI_AGAIN']);
    }
  });
});

test('the families take turns, so that a network with only one of them is not kept waiting', () => {
  const answer = ['2001:db8::1', '2001:db8::2', '2001:db8::3', '10.0.0.1', '10.0.0.1'];
  expect(inOrder(answer, undefined, new Set())).toEqual([
    '2001:db8::1',
    '10.0.0.1',
    '2001:db8::2',
    '2001:db8::3',
  ]);
  expect(inOrder(answer, '10.0.0.1', new Set())[0]).toBe('10.0.0.1');
  expect(inOrder(answer, '10.0.0.1', new Set(['10.0.0.1'])).at(-1)).toBe('10.0.0.1');
  expect(inOrder([], '10.0.0.1', new Set())).toEqual([]);
});
