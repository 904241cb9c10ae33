import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IncomingAliases, OutgoingAliases } from '../../../src/mqtt/topic-alias.js';

describe('incoming aliases', () => {
  test('stand for the name they came with last [MQTT5-3.3.2-12]', () => {
    const aliases = new IncomingAliases(2);
    expect(aliases.resolve('a', undefined)).toBe('a');
    expect(aliases.resolve('a', 2)).toBe('a');
    expect(aliases.resolve('', 2)).toBe('a');
    expect(aliases.resolve('b', 2)).toBe('b');
    expect(aliases.resolve('', 2)).toBe('b');
  });

  test('without a mapping are a Protocol Error', () => {
    const aliases = new IncomingAliases(2);
    expect(aliases.resolve('', 1)).toBe(0x82);
    expect(aliases.resolve('', undefined)).toBe(0x82);
  });

  test('of 0 or above the maximum are invalid [MQTT5-3.3.2-8] [MQTT5-3.3.2-9]', () => {
    expect(new IncomingAliases(2).resolve('a', 0)).toBe(0x94);
    expect(new IncomingAliases(2).resolve('a', 3)).toBe(0x94);
    expect(new IncomingAliases(0).resolve('a', 1)).toBe(0x94);
  });
});

describe('outgoing aliases', () => {
  test('are none where the peer allows none [MQTT5-3.1.2-27] [MQTT5-3.2.2-18]', () => {
    expect(new OutgoingAliases(0).assign('site/a')).toBeUndefined();
  });

  test('come with the name first, then without it', () => {
    const aliases = new OutgoingAliases(10);
    expect(aliases.assign('site/a')).toEqual({ topicAlias: 1, known: false });
    expect(aliases.assign('site/a')).toEqual({ topicAlias: 1, known: true });
    expect(aliases.assign('site/b')).toEqual({ topicAlias: 2, known: false });
  });

  test('are not spent on names that are shorter than an alias', () => {
    expect(new OutgoingAliases(10).assign('a/b')).toBeUndefined();
  });

  test('in steady use survive a flood of names seen once', () => {
    const aliases = new OutgoingAliases(4);
    const steady = ['site/a', 'site/b', 'site/c'];
    let named = 0;
    for (let round = 0; round < 1000; round += 1) {
      for (const topic of steady) if (aliases.assign(topic)?.known !== true) named += 1;
      aliases.assign(`once/${round}`);
    }
    expect(named).toBeLessThan(20);
  });

  test('that fell out of use go to new names', () => {
    const aliases = new OutgoingAliases(2);
    aliases.assign('old/a');
    aliases.assign('old/b');
    expect(aliases.assign('new/a')).toMatchObject({ known: false });
  });

  test('always mean to the peer what they mean to us, within its maximum [MQTT5-3.1.2-26] [MQTT5-3.2.2-17]', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        fc.array(fc.nat(12), { maxLength: 200 }),
        (maximum, sent) => {
          const aliases = new OutgoingAliases(maximum);
          const peer = new IncomingAliases(maximum);
          for (const index of sent) {
            const topic = `topic/${index}`;
            const use = aliases.assign(topic);
            expect(peer.resolve(use?.known ? '' : topic, use?.topicAlias)).toBe(topic);
          }
        },
      ),
    );
  });
});
