import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Permissions } from '../../../src/broker/acl.js';
import { covers, intersection } from '../../../src/broker/filter-algebra.js';
import { parseAclFile } from '../../../src/config/acl-file.js';
import { matches, overlap } from '../../../src/mqtt/topic.js';

function permissions(acl: string, username?: string, clientId = 'c1'): Permissions {
  const { problems, ...file } = parseAclFile(acl);
  expect(problems).toEqual([]);
  return new Permissions(file, username, clientId);
}

/** What may be done on a topic: r, w, rw or nothing. */
function may(of: Permissions, topicName: string): string {
  return `${of.mayRead(topicName) ? 'r' : ''}${of.mayWrite(topicName) ? 'w' : ''}`;
}

const ACL = `
# before the first user: clients without a name
topic read public/#

user alice
topic read a/read
topic write a/write
topic readwrite a/both
topic a/default
topic deny a/sub/secret
topic readwrite a/sub/#
topic deny dev/alice/closed

user bob

pattern readwrite dev/%u/#
pattern deny dev/%u/secret
pattern write id/%c/up
pattern read both/%u-%c
`;

test.each([
  ['a/read', 'r'],
  ['a/write', 'w'],
  ['a/both', 'rw'],
  ['a/default', 'rw'],
  ['a/sub/x', 'rw'],
  ['a/sub', 'rw'],
  ['a/sub/secret', ''],
  ['dev/alice/x', 'rw'],
  ['dev/alice/secret', ''],
  ['dev/alice/closed', ''],
  ['dev/bob/x', ''],
  ['id/c1/up', 'w'],
  ['id/c2/up', ''],
  ['both/alice-c1', 'r'],
  ['public/x', ''],
  ['elsewhere', ''],
])('alice on %s: %j', (topicName, expected) => {
  expect(may(permissions(ACL, 'alice'), topicName)).toBe(expected);
});

test('clients without a name have the lines before the first user, and no pattern with %u', () => {
  const nobody = permissions(ACL, undefined);
  expect(may(nobody, 'public/x')).toBe('r');
  expect(may(nobody, 'id/c1/up')).toBe('w');
  expect(may(nobody, 'dev//x')).toBe('');
  expect(may(nobody, 'a/both')).toBe('');
});

test('a user whom the file does not name, or names without lines, has the patterns alone', () => {
  for (const user of ['bob', 'carol']) {
    expect(may(permissions(ACL, user), `dev/${user}/x`)).toBe('rw');
    expect(may(permissions(ACL, user), 'a/both')).toBe('');
    expect(may(permissions(ACL, user), 'public/x')).toBe('');
  }
});

test("a line of one's own goes before a pattern that denies, as in mosquitto", () => {
  const acl = 'user u\ntopic read x/u/a\npattern deny x/%u/#\npattern read x/#';
  expect(may(permissions(acl, 'u'), 'x/u/a')).toBe('r');
  expect(may(permissions(acl, 'u'), 'x/u/b')).toBe('');
});

test('an empty file allows nothing', () => {
  expect(may(permissions('', 'alice'), 'a')).toBe('');
  expect(permissions('', 'alice').maySubscribe('#')).toBe(false);
});

describe('a name never widens a pattern', () => {
  const patterns = 'pattern readwrite %u/#\npattern readwrite dev/%c/x\npattern read $SYS/%c/load';
  test.each([
    ['+', 'c', 'other/x'],
    ['#', 'c', 'other'],
    ['a/b', 'c', 'a/b/x'],
    ['$SYS', 'c', '$SYS/broker/load'],
    ['u', '+', 'dev/other/x'],
    ['u', '#', 'dev/other/x'],
    ['u', 'a/x', 'dev/a/x/x'],
    ['u', '+/+', 'dev/a/b/x'],
    ['u', '+', '$SYS/broker/load'],
  ])('user %j, client %j: nothing on %s', (username, clientId, topicName) => {
    expect(may(permissions(patterns, username, clientId), topicName)).toBe('');
  });

  test('nor narrows one that denies', () => {
    const acl = 'pattern read #\npattern deny dev/%c/secret';
    for (const clientId of ['+', '#', 'a/b', '+/secret']) {
      const of = permissions(acl, 'u', clientId);
      expect(may(of, `dev/${clientId}/secret`)).toBe('');
      expect(may(of, 'dev/x')).toBe('');
      expect(may(of, 'else')).toBe('r');
    }
  });

  test('however it is made up, it reaches nothing of others [property]', () => {
    const unit = fc.constantFrom('a', 'b', '+', '#', '/', '$', '%u', '%c', '$SYS', ' ');
    const hostile = fc.array(unit, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(hostile, hostile, (username, clientId) => {
        const acl = 'pattern readwrite u/%u/#\npattern readwrite c/%c\npattern readwrite %c/top';
        const of = permissions(acl, username, clientId);
        for (const topicName of ['u/victim/x', 'c/victim', 'u/victim', 'victim/top', '$SYS/top', 'x']) {
          expect(may(of, topicName)).toBe('');
        }
      }),
    );
  });
});

describe('a filter may be subscribed to if it can bring anything', () => {
  const of = permissions(ACL, 'alice');
  test.each([
    ['#', true],
    ['a/#', true],
    ['a/+', true],
    ['+/read', true],
    ['a/write', false],
    ['a/sub/secret', false],
    ['a/sub/+', true],
    ['dev/alice/#', true],
    ['dev/alice/secret', false],
    ['dev/alice/closed', false],
    ['dev/bob/#', false],
    ['dev/+/x', true],
    ['id/c1/up', false],
    ['public/#', false],
    ['$SYS/#', false],
    ['both/+', true],
  ])('%s: %s', (topicFilter, expected) => {
    expect(of.maySubscribe(topicFilter)).toBe(expected);
  });

  test('and one that is refused brings nothing [property]', () => {
    const level = fc.constantFrom('a', 'b', '$x', '');
    const filterLevel = fc.constantFrom('a', 'b', '+', '$x', '');
    const filter = fc
      .tuple(fc.array(filterLevel, { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([levels, ends]) => [...levels, ...(ends ? ['#'] : [])].join('/'))
      .filter((text) => text !== '');
    const name = fc
      .array(level, { minLength: 1, maxLength: 4 })
      .map((levels) => levels.join('/'))
      .filter((text) => text !== '');
    const rule = fc
      .tuple(
        fc.constantFrom('topic', 'pattern'),
        fc.constantFrom('read', 'write', 'readwrite', 'deny'),
        filter,
      )
      .map((words) => words.join(' '));
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 5 }), filter, name, (rules, topicFilter, topicName) => {
        const client = permissions(['user u', ...rules].join('\n'), 'u');
        const brings = matches(topicFilter, topicName) && client.mayRead(topicName);
        if (brings) expect(client.maySubscribe(topicFilter)).toBe(true);
      }),
      { numRuns: 3000 },
    );
    fc.assert(
      fc.property(filter, filter, name, (a, b, topicName) => {
        const inBoth = matches(a, topicName) && matches(b, topicName);
        if (overlap(a, b)) expect(matches(intersection(a, b), topicName)).toBe(inBoth);
        if (covers(a, b) && matches(b, topicName)) expect(matches(a, topicName)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });
});

test('what is remembered does not change what is decided, and is bounded', () => {
  const of = permissions('user u\ntopic read even/#\ntopic write odd/#', 'u');
  for (let round = 0; round < 2; round += 1) {
    for (let number = 0; number < 2000; number += 1) {
      const topicName = `${number % 2 === 0 ? 'even' : 'odd'}/${number}`;
      expect(may(of, topicName)).toBe(number % 2 === 0 ? 'r' : 'w');
    }
  }
});

test('decides as the rules read, line by line [property]', () => {
  const level = fc.constantFrom('a', 'b', '$x', '');
  const filter = fc
    .tuple(fc.array(fc.constantFrom('a', 'b', 'aa', '+', '$x', ''), { maxLength: 3 }), fc.boolean())
    .map(([levels, ends]) => [...levels, ...(ends ? ['#'] : [])].join('/'))
    .filter((text) => text !== '');
  const name = fc
    .array(level, { minLength: 1, maxLength: 4 })
    .map((levels) => levels.join('/'))
    .filter((text) => text !== '');
  const access = fc.constantFrom('read', 'write', 'readwrite', 'deny');
  const rule = fc.record({ kind: fc.constantFrom('topic', 'pattern'), access, topicFilter: filter });
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 6 }), name, (rules, topicName) => {
      const of = permissions(
        ['user u', ...rules.map((one) => `${one.kind} ${one.access} ${one.topicFilter}`)].join('\n'),
        'u',
      );
      const allows = (what: string): boolean => {
        for (const kind of ['topic', 'pattern']) {
          const hits = rules.filter((one) => one.kind === kind && matches(one.topicFilter, topicName));
          if (hits.some((one) => one.access === 'deny')) return false;
          if (hits.some((one) => one.access.includes(what))) return true;
        }
        return false;
      };
      expect([of.mayRead(topicName), of.mayWrite(topicName)]).toEqual([allows('read'), allows('write')]);
    }),
    { numRuns: 3000 },
  );
});
