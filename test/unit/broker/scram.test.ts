import { pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuthenticationStep } from '../../../src/broker/authorizer.js';
import { saslprep } from '../../../src/broker/saslprep.js';
import { ScramServer, ScramUsers, verifierFrom } from '../../../src/broker/scram.js';
import { parseScramFile, scramLine } from '../../../src/config/scram-file.js';
import { ScramClient } from '../../support/scram-client.js';

function verifier(password: string, salt: Buffer, iterations = 4096) {
  return verifierFrom(pbkdf2Sync(password, salt, iterations, 32, 'sha256'), salt, iterations);
}

const RFC_SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
const USERS = new ScramUsers(
  new Map([
    ['user', verifier('pencil', RFC_SALT)],
    ['a,b=c', verifier('x', RFC_SALT)],
  ]),
);

const text = (step: AuthenticationStep): string =>
  step.kind === 'failed' ? `failed: ${step.why}` : Buffer.from(step.data).toString();

const server = (nonce = 'server') => new ScramServer(USERS, nonce);

describe('the exchange', () => {
  test('is the one that RFC 7677 prints', () => {
    const exchange = server('%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0');
    expect(text(exchange.step(Buffer.from('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')))).toBe(
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    );
    const final = exchange.step(
      Buffer.from(
        'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
      ),
    );
    expect(final).toMatchObject({ kind: 'done', username: 'user' });
    expect(text(final)).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  });

  test('a name with comma and equals sign is written with their escapes', () => {
    const client = new ScramClient('a,b=c', 'x');
    const exchange = server();
    const challenge = exchange.step(client.first());
    expect(challenge.kind).toBe('continue');
    const done = exchange.step(client.final(Buffer.from(text(challenge))));
    expect(done).toMatchObject({ kind: 'done', username: 'a,b=c' });
    expect(done.kind === 'done' && client.believes(done.data)).toBe(true);
  });

  test('a client that says nothing in CONNECT is asked to begin, once', () => {
    const exchange = server();
    expect(exchange.step(undefined)).toEqual({ kind: 'continue', data: new Uint8Array(0) });
    const client = new ScramClient('user', 'pencil');
    const challenge = exchange.step(client.first());
    expect(exchange.step(client.final(Buffer.from(text(challenge)))).kind).toBe('done');
    const mute = server();
    mute.step(client.first());
    expect(mute.step(undefined).kind).toBe('failed');
  });

  test('nothing follows its end', () => {
    const exchange = server();
    const client = new ScramClient('user', 'wrong');
    const challenge = exchange.step(client.first());
    const proof = new ScramClient('user', 'pencil', 'n').final(Buffer.from('r=nserver,s=AA==,i=1'));
    expect(text(exchange.step(client.final(Buffer.from(text(challenge)))))).toBe(
      'failed: the proof is wrong',
    );
    expect(text(exchange.step(proof))).toBe('failed: the exchange is over');
    expect(text(exchange.step(client.first()))).toBe('failed: the exchange is over');
  });
});

describe('what is refused', () => {
  test.each([
    ['', 'the first message has no GS2 header'],
    ['user', 'the first message has no GS2 header'],
    ['p=tls-unique,,n=user,r=x', 'channel binding is not offered'],
    ['n,,m=x,n=user,r=x', 'the first message is not n=USER,r=NONCE'],
    ['n,,n=user,r=', 'the first message is not n=USER,r=NONCE'],
    ['n,,n=user,r=a b', 'the first message is not n=USER,r=NONCE'],
    ['n,,n=user', 'the first message is not n=USER,r=NONCE'],
    ['n,,n=,r=x', 'the user name is not one'],
    ['n,,n=us=er,r=x', 'the user name is not one'],
    ['n,,n=us\u0007er,r=x', 'the user name is not one'],
    ['n,a=admin,n=user,r=x', 'nobody may act for another user'],
    [`n,,n=user,r=${'x'.repeat(1025)}`, 'the nonce is too long'],
  ])('the first message %j', (first, why) => {
    expect(text(server().step(Buffer.from(first)))).toBe(`failed: ${why}`);
  });

  test.each([
    ['y,,n=user,r=x', 'eSws'],
    ['n,a=user,n=user,r=x', Buffer.from('n,a=user,').toString('base64')],
    ['n,,n=user,r=x,ext=1', 'biws'],
  ])('not the first message %j, whose header comes back as it was', (first, binding) => {
    const exchange = server();
    expect(exchange.step(Buffer.from(first)).kind).toBe('continue');
    const proof = Buffer.alloc(32).toString('base64');
    expect(text(exchange.step(Buffer.from(`c=${binding},r=xserver,p=${proof}`)))).toBe(
      'failed: the proof is wrong',
    );
  });

  const proof = Buffer.alloc(32).toString('base64');
  test.each([
    [`c=eSws,r=xserver,p=${proof}`, 'the channel binding changed'],
    [`c=biws,r=xother,p=${proof}`, 'the nonce changed'],
    [`c=biws,r=x,p=${proof}`, 'the nonce changed'],
    ['c=biws,r=xserver', 'the final message is not c=BINDING,r=NONCE,p=PROOF'],
    ['c=biws,r=xserver,p=AAAA', 'the final message is not c=BINDING,r=NONCE,p=PROOF'],
    [`c=biws,r=xserver,p=${proof},x=1`, 'the final message is not c=BINDING,r=NONCE,p=PROOF'],
    [`c=biws,r=xserver,p=${proof}`, 'the proof is wrong'],
  ])('the final message %j', (final, why) => {
    const exchange = server();
    exchange.step(Buffer.from('n,,n=user,r=x'));
    expect(text(exchange.step(Buffer.from(final)))).toBe(`failed: ${why}`);
  });

  test('a message that is not UTF-8', () => {
    expect(text(server().step(Buffer.from([0xff])))).toBe('failed: a message is not UTF-8');
  });

  test('the stored key itself, which whoever stole the file has', () => {
    const stolen = verifier('pencil', RFC_SALT);
    const exchange = server();
    exchange.step(Buffer.from('n,,n=user,r=x'));
    const proof = Buffer.from(stolen.storedKey).toString('base64');
    expect(exchange.step(Buffer.from(`c=biws,r=xserver,p=${proof}`)).kind).toBe('failed');
  });

  test('whatever is sent, nothing is thrown and nobody gets in [fuzz]', () => {
    const piece = fc.oneof(
      fc.constantFrom('n,,', 'y,,', 'n=user', ',', 'r=x', 'c=biws', 'r=xserver', 'p=', 'a=', 'm=', '='),
      fc.string({ unit: 'binary', maxLength: 8 }),
    );
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
      fc.array(piece, { maxLength: 10 }).map((pieces) => Buffer.from(pieces.join(''))),
      fc.constant(Buffer.from('n,,n=user,r=x')),
    );
    fc.assert(
      fc.property(fc.array(fc.option(message, { nil: undefined }), { maxLength: 4 }), (messages) => {
        const exchange = server();
        for (const data of messages) expect(exchange.step(data).kind).not.toBe('done');
      }),
      { numRuns: 2000 },
    );
  });
});

describe('who exists is not told', () => {
  test('an unknown user is challenged like any other, always with the same salt, and fails at the end', () => {
    const challenges = [1, 2].map(() => text(server().step(Buffer.from('n,,n=nobody,r=x'))));
    expect(challenges[0]).toBe(challenges[1]);
    expect(challenges[0]).toMatch(/^r=xserver,s=[A-Za-z0-9+/]{22}==,i=4096$/);
    expect(text(server().step(Buffer.from('n,,n=noone,r=x')))).not.toBe(challenges[0]);
    const client = new ScramClient('nobody', 'pencil', 'x');
    const exchange = server();
    const challenge = exchange.step(client.first());
    expect(text(exchange.step(client.final(Buffer.from(text(challenge)))))).toBe(
      'failed: the proof is wrong',
    );
  });

  test('its salt changes from file to file, and looks like those beside it', () => {
    const other = new ScramUsers(new Map([['user', verifier('other', Buffer.alloc(30, 7), 5000)]]));
    const challenge = text(new ScramServer(other, 'server').step(Buffer.from('n,,n=nobody,r=x')));
    expect(challenge).toMatch(/,i=5000$/);
    expect(Buffer.from(/s=([^,]+)/.exec(challenge)![1]!, 'base64')).toHaveLength(30);
    expect(challenge).not.toContain(
      /s=([^,]+)/.exec(text(server().step(Buffer.from('n,,n=nobody,r=x'))))![1],
    );
  });
});

test('a line of the file reads back as it was written', () => {
  const line = scramLine('user', verifier('pencil', RFC_SALT));
  expect(line).toBe(
    'user:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
  expect(parseScramFile(line).users.get('user')).toEqual(verifier('pencil', RFC_SALT));
});

describe('SASLprep', () => {
  test.each([
    ['I\u00adX', 'IX'],
    ['user', 'user'],
    ['USER', 'USER'],
    ['\u00aa', 'a'],
    ['\u2168', 'IX'],
    ['a\u00a0b', 'a b'],
    ['e\u0301', '\u00e9'],
    ['\u0007', undefined],
    ['\u00ad', undefined],
    ['\ud800', undefined],
    ['\ue000', undefined],
    ['', undefined],
  ])('of %j is %j', (given, expected) => {
    expect(saslprep(given)).toBe(expected);
  });

  test('done twice changes nothing more [property]', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (given) => {
        const once = saslprep(given);
        fc.pre(once !== undefined);
        expect(saslprep(once)).toBe(once);
      }),
    );
  });
});
