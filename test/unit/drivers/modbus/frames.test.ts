import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ASCII_FRAMING,
  decodeAsciiFrame,
  encodeAsciiFrame,
} from '../../../../src/drivers/modbus/ascii-frame.js';
import { readQuestion } from '../../../../src/drivers/modbus/pdu.js';
import { encodeRtuFrame, isRtuFrame, RTU_FRAMING } from '../../../../src/drivers/modbus/rtu-frame.js';
import { SerialExchange } from '../../../../src/drivers/modbus/serial-exchange.js';
import { decodeTcpFrame, encodeTcpFrame, TcpExchange } from '../../../../src/drivers/modbus/tcp-frame.js';
import { writeRegister, writeRegisters } from '../../../../src/drivers/modbus/write-pdu.js';

const pdu = fc.uint8Array({ minLength: 2, maxLength: 253 });

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

const question = readQuestion({ table: 'holding', start: 0, count: 2 });
const reply = hex('03 04 0006 0005');

describe('a Modbus RTU frame', () => {
  test('is that of the specification', () => {
    expect(encodeRtuFrame(1, hex('03 0000 000a'))).toEqual(hex('01 03 0000 000a c5cd'));
  });

  test('with any single bit turned over is no frame', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), pdu, fc.nat(), (unit, bytes, at) => {
        const frame = encodeRtuFrame(unit, bytes);
        expect(isRtuFrame(frame)).toBe(true);
        const bit = at % (frame.length * 8);
        frame[bit >> 3] = (frame[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(isRtuFrame(frame)).toBe(false);
      }),
    );
  });
});

describe('an RTU exchange', () => {
  const times = { timeoutMs: 500, gapMs: 4, characterMs: 1, turnaroundMs: 80 };
  const ask = (): SerialExchange => {
    const exchange = new SerialExchange(RTU_FRAMING, times, 0);
    exchange.begin({ unit: 1, question }, 0);
    return exchange;
  };
  const answer = encodeRtuFrame(1, reply);
  const data = { kind: 'data', bytes: hex('0006 0005') };

  test('takes its answer in pieces of any size, and whatever noise or other units come before', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 9 })),
        (noise, sizes) => {
          const exchange = ask();
          const bytes = Uint8Array.from([...noise, ...encodeRtuFrame(2, reply), ...answer]);
          let at = 0;
          let outcome: unknown;
          for (const size of [...sizes, bytes.length]) {
            if (outcome !== undefined || at >= bytes.length) break;
            outcome = exchange.received(bytes.slice(at, at + size), 10);
            at += size;
          }
          expect(outcome).toEqual(data);
        },
      ),
    );
  });

  test('steps over the echo of its own request', () => {
    const exchange = new SerialExchange(RTU_FRAMING, times, 0);
    const sent = exchange.begin({ unit: 1, question }, 0);
    expect(exchange.received(sent, 1)).toBeUndefined();
    expect(exchange.received(answer, 2)).toEqual(data);
    expect(exchange.echoes).toBe(1);
  });

  test('does not take an echo for the answer, even where it has the form of one', () => {
    const exchange = new SerialExchange(RTU_FRAMING, times, 0);
    const sent = exchange.begin(
      { unit: 1, question: readQuestion({ table: 'coil', start: 0x0304, count: 20 }) },
      0,
    );
    expect(exchange.received(sent, 1)).toBeUndefined();
  });

  test('ignores an answer of another length: it belongs to another request', () => {
    expect(ask().received(encodeRtuFrame(1, hex('03 02 0006')), 5)).toBeUndefined();
  });

  test('tells silence from damage', () => {
    expect(ask().expired(600)).toEqual({ kind: 'silent', why: 'timeout' });
    const exchange = ask();
    exchange.received(answer.subarray(0, 6), 100);
    expect(exchange.expired(600)).toEqual({ kind: 'silent', why: 'corrupt reply' });
  });

  test('gives the slave its timeout and the wire the time that the characters take', () => {
    expect(ask().deadlineMs).toBe(500 + 8 + 9);
  });

  test('is quiet for the longest reply time after a timeout, and as long as something comes in', () => {
    const exchange = ask();
    exchange.expired(600);
    expect(exchange.readyAtMs).toBe(1100);
    exchange.received(answer, 700);
    expect(exchange.readyAtMs).toBe(1100);
    exchange.received(answer, 1099);
    expect(exchange.readyAtMs).toBe(1103);
  });

  test('does not wait for ever for a line that is never silent', () => {
    const exchange = ask();
    exchange.expired(600);
    for (let nowMs = 600; nowMs < 20_000; nowMs += 1) exchange.received(hex('00'), nowMs);
    expect(exchange.readyAtMs).toBe(600 + 10 * 500);
  });

  test('keeps a bounded part of what a babbling line sends', () => {
    const exchange = ask();
    for (let index = 0; index < 10_000; index++) exchange.received(new Uint8Array(64), 1);
    expect(exchange.received(answer, 2)).toEqual(data);
  });
});

describe('a serial exchange with writes', () => {
  const times = { timeoutMs: 500, gapMs: 4, characterMs: 1, turnaroundMs: 80 };
  const write = writeRegister(9, hex('00 07'));

  test('takes the repetition of a write for its answer, and another value for none', () => {
    const exchange = new SerialExchange(RTU_FRAMING, times, 0);
    exchange.begin({ unit: 1, question: write }, 0);
    expect(exchange.received(encodeRtuFrame(1, hex('06 0009 0008')), 5)).toBeUndefined();
    expect(exchange.received(encodeRtuFrame(1, write.pdu), 6)).toMatchObject({ kind: 'data' });
  });

  test('an adapter that showed its echo with a read does not pass off the echo of a write as its answer', () => {
    const exchange = new SerialExchange(RTU_FRAMING, times, 0);
    exchange.received(exchange.begin({ unit: 1, question }, 0), 1);
    expect(exchange.received(encodeRtuFrame(1, reply), 2)).toMatchObject({ kind: 'data' });
    const sent = exchange.begin({ unit: 1, question: write }, 10);
    expect(exchange.received(sent, 11)).toBeUndefined();
    expect(exchange.received(encodeRtuFrame(1, write.pdu), 12)).toMatchObject({ kind: 'data' });
  });

  test('the answer to several registers is the head of the request', () => {
    const exchange = new SerialExchange(RTU_FRAMING, times, 0);
    exchange.begin({ unit: 1, question: writeRegisters(9, hex('0001 0002')) }, 0);
    expect(exchange.received(encodeRtuFrame(1, hex('10 0009 0002')), 5)).toMatchObject({ kind: 'data' });
  });

  test('nobody answers a broadcast: it is sent once all had the time to obey', () => {
    const exchange = new SerialExchange(RTU_FRAMING, times, 0);
    const sent = exchange.begin({ unit: 0, question: write }, 0);
    expect(exchange.deadlineMs).toBe(sent.length + 80);
    expect(exchange.received(encodeRtuFrame(0, write.pdu), 5)).toBeUndefined();
    expect(exchange.expired(88)).toEqual({ kind: 'sent' });
    expect(exchange.readyAtMs).toBe(88);
  });
});

describe('a Modbus ASCII frame', () => {
  test('is that of the specification', () => {
    expect(Buffer.from(encodeAsciiFrame(0xf7, hex('03 1389 000a'))).toString()).toBe(':F7031389000A60\r\n');
  });

  test('comes back as it was encoded, also in small letters, and with any digit changed is none', () => {
    fc.assert(
      fc.property(fc.nat(255), pdu, fc.nat(), fc.boolean(), (unit, bytes, at, small) => {
        const frame = Buffer.from(encodeAsciiFrame(unit, bytes));
        const written = small ? Buffer.from(frame.toString('latin1').toLowerCase()) : frame;
        expect(decodeAsciiFrame(written)).toEqual(Uint8Array.of(unit, ...bytes));
        const digit = 1 + (at % (frame.length - 3));
        frame[digit] = frame[digit] === 0x30 ? 0x31 : 0x30;
        expect(decodeAsciiFrame(frame)).toBeUndefined();
      }),
    );
  });

  test('is found behind noise and cut frames', () => {
    const exchange = new SerialExchange(
      ASCII_FRAMING,
      { timeoutMs: 500, gapMs: 0, characterMs: 1, turnaroundMs: 80 },
      0,
    );
    exchange.begin({ unit: 1, question }, 0);
    expect(exchange.received(Buffer.from('x:0103:01\r\n'), 1)).toBeUndefined();
    expect(exchange.received(encodeAsciiFrame(2, reply), 2)).toBeUndefined();
    const answer = encodeAsciiFrame(1, reply);
    expect(exchange.received(answer.subarray(0, 6), 3)).toBeUndefined();
    expect(exchange.received(answer.subarray(6), 4)).toEqual({ kind: 'data', bytes: hex('0006 0005') });
  });
});

describe('a Modbus TCP frame', () => {
  test('comes back as it was encoded, and is incomplete at every earlier byte', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(255), pdu, (transaction, unit, bytes) => {
        const frame = { transaction, unit, pdu: bytes };
        const encoded = encodeTcpFrame(frame);
        expect(decodeTcpFrame(encoded)).toEqual({ kind: 'frame', frame, bytesUsed: encoded.length });
        for (let length = 0; length < encoded.length; length++) {
          expect(decodeTcpFrame(encoded.subarray(0, length)).kind).toBe('incomplete');
        }
      }),
      { numRuns: 50 },
    );
  });

  test('bytes that are no Modbus are seen at once', () => {
    expect(decodeTcpFrame(Buffer.from('HTTP/1.1 400'))).toEqual({ kind: 'malformed', why: 'not Modbus TCP' });
    expect(decodeTcpFrame(hex('0001 0000 0001')).kind).toBe('malformed');
    expect(decodeTcpFrame(hex('0001 0000 ffff')).kind).toBe('malformed');
  });
});

describe('a TCP exchange', () => {
  const begin = (): TcpExchange => {
    const exchange = new TcpExchange({ timeoutMs: 500, gapMs: 0 }, 6, 0);
    exchange.begin({ unit: 1, question }, 0);
    return exchange;
  };
  const answer = (transaction: number, unit = 1): Uint8Array =>
    encodeTcpFrame({ transaction, unit, pdu: reply });

  test('takes the reply with its identifier and calls any other broken', () => {
    expect(begin().received(answer(7), 1)).toEqual({ kind: 'data', bytes: hex('0006 0005') });
    expect(begin().received(answer(8), 1)).toMatchObject({ kind: 'broken' });
    expect(begin().received(answer(0), 1)).toMatchObject({ kind: 'broken' });
  });

  test('throws away the late reply to a request that was given up, once', () => {
    const exchange = begin();
    expect(exchange.expired()).toEqual({ kind: 'silent', why: 'timeout' });
    exchange.begin({ unit: 1, question }, 600);
    expect(exchange.received(answer(7), 1)).toBeUndefined();
    expect(exchange.received(answer(7), 1)).toMatchObject({ kind: 'broken' });
  });

  test('a second reply to one request breaks the stream without spoiling the first', () => {
    const exchange = begin();
    expect(exchange.received(Buffer.concat([answer(7), answer(7)]), 1)).toMatchObject({ kind: 'data' });
    expect(exchange.received(new Uint8Array(0), 1)).toMatchObject({ kind: 'broken' });
  });

  test('half a reply at the deadline, another unit, or another length breaks the stream', () => {
    const half = begin();
    half.received(answer(7).subarray(0, 9), 1);
    expect(half.expired()).toMatchObject({ kind: 'broken' });
    expect(begin().received(answer(7, 2), 1)).toMatchObject({ kind: 'broken' });
    const short = encodeTcpFrame({ transaction: 7, unit: 1, pdu: hex('03 02 0006') });
    expect(begin().received(short, 1)).toMatchObject({ kind: 'broken' });
  });

  test('the identifier wraps after 65535', () => {
    const exchange = new TcpExchange({ timeoutMs: 500, gapMs: 0 }, 0xffff, 0);
    expect(exchange.begin({ unit: 1, question }, 0).subarray(0, 2)).toEqual(hex('0000'));
  });
});
