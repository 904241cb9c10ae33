import { expect, test } from 'vitest';
import { Delivery, Publication } from '../../../src/broker/publication.js';

/** A PUBLISH as it lies in a chunk of 64 KiB: the name, then the payload. */
function heard(name: string, payload: string): { publication: Publication; chunk: Buffer } {
  const chunk = Buffer.alloc(64 * 1024);
  chunk.write(name + payload, 10);
  const publication = new Publication(
    name,
    chunk.subarray(10 + name.length, 10 + name.length + payload.length),
    1,
    false,
    undefined,
    0,
  );
  publication.nameBytes = chunk;
  publication.nameStart = 10;
  publication.nameEnd = 10 + name.length;
  return { publication, chunk };
}

test.each([4, 5] as const)('a copy takes the name from where it came: version %i', (version) => {
  const { publication } = heard('a/b', 'hello');
  const bytes = publication.delivery(1, false).template(version, 0).withIdentifier(7, false);
  const properties = version === 5 ? '\0' : '';
  expect(Buffer.from(bytes).toString('latin1', 2)).toBe(`\0\x03a/b\0\x07${properties}hello`);
});

test.each(['own', 'ownForNow'] as const)(
  'after %s nothing of the chunk is looked at, and a copy is the same',
  (keep) => {
    const { publication, chunk } = heard('a/b', 'hello');
    publication[keep]();
    chunk.fill(0x21);
    expect(publication.nameBytes).toBeUndefined();
    const bytes = publication.delivery(0, false).template(4, 0).bytes;
    expect(Buffer.from(bytes).toString('latin1')).toBe('0\x0a\0\x03a/bhello');
  },
);

test('copies that look alike are one, others are their own', () => {
  const { publication } = heard('a/b', 'hello');
  const one = publication.delivery(1, false);
  expect(publication.delivery(1, false)).toBe(one);
  const kinds = [
    publication.delivery(0, false),
    publication.delivery(1, true),
    publication.delivery(0, true),
  ];
  expect(new Set([one, ...kinds]).size).toBe(4);
  expect(publication.delivery(1, true)).toBe(kinds[1]);
  expect(kinds.map(({ qos, retain }) => [qos, retain])).toEqual([
    [0, false],
    [1, true],
    [0, true],
  ]);
});

test('the first copy needs no template, the second one does', () => {
  const delivery = heard('a/b', 'hello').publication.delivery(1, false);
  expect(delivery.writesPlain(4)).toBe(true);
  expect(delivery.writesPlain(4)).toBe(false);
});

test('a copy with Subscription Identifiers is plain in 3.1.1 only, one without the bytes of its name never', () => {
  const { publication } = heard('a/b', 'hello');
  const identified = () => new Delivery(publication, 1, false, [7], undefined);
  expect(identified().writesPlain(5)).toBe(false);
  expect(identified().writesPlain(4)).toBe(true);
  publication.own();
  expect(identified().writesPlain(4)).toBe(false);
});
