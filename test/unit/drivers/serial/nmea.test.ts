import { describe, expect, test } from 'vitest';
import { NmeaReader, readSentence } from '../../../../src/drivers/serial/nmea.js';

function sentence(body: string): string {
  let xor = 0;
  for (const character of body) xor ^= character.charCodeAt(0);
  return `$${body}*${xor.toString(16).toUpperCase().padStart(2, '0')}`;
}

function said(reader: NmeaReader, body: string, atMs = 0): Record<string, unknown> {
  const read = readSentence(sentence(body));
  if (read.kind === 'garbage') throw new Error('garbage');
  return Object.fromEntries(
    [...reader.take(read, atMs)].map(([field, outcome]) => [
      field,
      'value' in outcome ? outcome.value : { bad: outcome.bad },
    ]),
  );
}

describe('a sentence', () => {
  test('is one whose check sum is right, whatever stands before it', () => {
    expect(readSentence('$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47')).toMatchObject({
      id: 'GPGGA',
    });
    expect(readSentence('\xff\xfe$GPGLL,4916.45,N,12311.12,W,225444,A,*1D')).toMatchObject({ id: 'GPGLL' });
  });

  test.each([
    '$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*48',
    '$GPGGA,123519',
    'GPGGA,1*00',
    '',
    '$*00',
    '$gp,1*14',
    `$GPTXT,${'x'.repeat(400)}*00`,
  ])('is not %j', (line) => expect(readSentence(line)).toEqual({ kind: 'garbage' }));
});

test('GGA: position, fix, satellites, altitude', () => {
  expect(
    said(new NmeaReader(), 'GNGGA,054000.00,5231.2350,S,01323.4470,W,2,09,0.92,35.1,M,44.9,M,,'),
  ).toEqual({
    latitude: -52.5205833,
    longitude: -13.3907833,
    fix: true,
    fix_quality: 2,
    satellites: 9,
    hdop: 0.92,
    altitude: 35.1,
  });
});

test('RMC: speed, course and UTC', () => {
  expect(
    said(new NmeaReader(), 'GNRMC,054000.50,A,5231.2350,N,01323.4470,E,0.13,309.62,211124,,,A'),
  ).toMatchObject({
    latitude: 52.5205833,
    speed: 0.13,
    course: 309.62,
    utc: '2024-11-21T05:40:00.50Z',
  });
});

test('without a fix, what depends on it is bad, and the rest is not', () => {
  expect(said(new NmeaReader(), 'GPGGA,,,,,,0,03,99.9,,M,,M,,')).toEqual({
    latitude: { bad: 'no fix' },
    longitude: { bad: 'no fix' },
    fix: false,
    fix_quality: 0,
    satellites: 3,
    hdop: { bad: 'no fix' },
    altitude: { bad: 'no fix' },
  });
  expect(said(new NmeaReader(), 'GPRMC,,V,,,,,,,,,,N')).toMatchObject({
    utc: { bad: 'no fix' },
    speed: { bad: 'no fix' },
  });
});

test('impossible positions and dates are no positions and dates', () => {
  const reader = new NmeaReader();
  expect(said(reader, 'GPGLL,9916.45,N,12311.12,W,225444,A,')).toMatchObject({
    latitude: { bad: 'no fix' },
    longitude: -123.18533,
  });
  expect(said(reader, 'GPGLL,4960.45,N,12311.12,W,225444,A,')).toMatchObject({ latitude: { bad: 'no fix' } });
  expect(said(reader, 'GPZDA,250000,99,13,2024,,')).toEqual({ utc: { bad: 'no fix' } });
});

test('a field that two sentences say is taken from the first, until that is silent', () => {
  const reader = new NmeaReader();
  const gga = 'GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,';
  const gll = 'GPGLL,4807.038,N,01131.000,E,123519,A,';
  expect(said(reader, gga, 0)).toHaveProperty('latitude');
  expect(said(reader, gll, 100)).toEqual({});
  expect(said(reader, gga, 1000)).toHaveProperty('latitude');
  expect(said(reader, gll, 6100)).toHaveProperty('latitude');
});

test('the sky is the sum of the constellations, told once a round', () => {
  const reader = new NmeaReader();
  expect(said(reader, 'GPGSV,2,1,08,01,40,083,46')).toEqual({ satellites_in_view: 8 });
  expect(said(reader, 'GPGSV,2,2,08,12,07,344,39')).toEqual({});
  expect(said(reader, 'GLGSV,1,1,05,66,40,083,46')).toEqual({});
  expect(said(reader, 'GPGSV,2,1,09,01,40,083,46', 1000)).toEqual({ satellites_in_view: 14 });
});

test('depth, wind, heading and water', () => {
  const reader = new NmeaReader();
  expect(said(reader, 'SDDPT,12.3,0.5')).toEqual({ depth: 12.3 });
  expect(said(reader, 'WIMWV,214.8,R,5.0,M,A')).toEqual({ wind_angle: 214.8, wind_speed: 9.72 });
  expect(said(reader, 'HEHDT,123.4,T')).toEqual({ heading: 123.4 });
  expect(said(reader, 'YXMTW,17.75,C')).toEqual({ water_temperature: 17.75 });
  expect(said(reader, 'PUBX,00,1')).toEqual({});
});
