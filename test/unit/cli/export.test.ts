import { expect, test } from 'vitest';
import { CSV_HEADER, csvLine } from '../../../src/cli/export.js';
import { parsePointInTime } from '../../../src/config/point-in-time.js';
import { historyLine } from '../../../src/gateway/history-line.js';

const NOW = Date.UTC(2026, 10, 20, 12);

test.each([
  ['1795233740192', 1_795_233_740_192],
  ['0', 0],
  ['2h', NOW - 7_200_000],
  ['1.5d', NOW - 129_600_000],
  ['2026-11-20T10:00:00Z', NOW - 7_200_000],
  ['2026-11-20T11:00:00.250+01:00', NOW - 7_200_000 + 250],
  ['2026-11-20 10:00Z', NOW - 7_200_000],
  ['2026-11-20', Date.UTC(2026, 10, 20)],
])('%s is a point in time', (text, ms) => {
  expect(parsePointInTime(text, NOW)).toBe(ms);
});

test.each(['', 'yesterday', '2h30m', '-5', '2026-13-01', '20.11.2026', '1e3', '5 h'])(
  '%j is none',
  (text) => {
    expect(parsePointInTime(text, NOW)).toBeUndefined();
  },
);

function line(payload: Uint8Array): string {
  const message = { topic: 'a/"b",c', payload, qos: 1, retain: false } as const;
  return historyLine({ offset: 7, acceptedAtMs: 1000.4, routes: [], content: { kind: 'message', message } });
}

test('a Record is a line of JSON, in base64 only where its payload is not UTF-8', () => {
  expect(JSON.parse(line(Buffer.from('grün\n\0')))).toEqual({
    seq: 7,
    ts: 1000,
    topic: 'a/"b",c',
    qos: 1,
    retain: false,
    payload: 'grün\n\0',
  });
  const binary = JSON.parse(line(Uint8Array.of(0xff, 0x00))) as object;
  expect(binary).toMatchObject({ payload_base64: '/wA=' });
  expect(binary).not.toHaveProperty('payload');
  expect(JSON.parse(line(new Uint8Array(0)))).toMatchObject({ payload: '' });
});

test('CSV has the same columns, quoted where they must be', () => {
  expect(CSV_HEADER).toBe('seq,ts,topic,qos,retain,payload,payload_base64\r\n');
  expect(csvLine(line(Buffer.from('1,"2"\n')))).toBe('7,1000,"a/""b"",c",1,false,"1,""2""\n",\r\n');
  expect(csvLine(line(Uint8Array.of(0xff)))).toBe('7,1000,"a/""b"",c",1,false,,/w==\r\n');
});
