import { expect, test } from 'vitest';
import type { Snapshot } from '../../../src/core/snapshot.js';
import { health } from '../../../src/web/health.js';
import { aSnapshot } from '../../support/a-snapshot.js';

const { journal, devices, bridges, buses, clock } = aSnapshot();
const { tank } = devices;
const { cloud } = bridges;
const { plc } = buses;

test('a gateway in good health is ok without reasons', () => {
  expect(health(aSnapshot())).toEqual({ httpStatus: 200, status: 'ok', reasons: [] });
});

test.each<[Partial<Snapshot>, string]>([
  [
    { journal: { ...journal, state: 'failing', reason: 'disk I/O error' } },
    'journal is failing: disk I/O error',
  ],
  [{ state: 'starting' }, 'gateway is starting'],
  [{ state: 'stopping' }, 'gateway is stopping'],
])('what a probe should act on is 503: %#', (different, reason) => {
  expect(health(aSnapshot(different))).toEqual({ httpStatus: 503, status: 'failing', reasons: [reason] });
});

test.each<[Partial<Snapshot>, string]>([
  [{ journal: { ...journal, state: 'full' } }, 'journal is full'],
  [
    { devices: { tank: { ...tank!, state: 'offline', reason: 'timeout' } } },
    'device tank is offline: timeout',
  ],
  [
    { bridges: { cloud: { ...cloud!, state: 'waiting', reason: 'refused' } } },
    'bridge cloud is not connected: refused',
  ],
  [{ buses: { plc: { ...plc!, state: 'down', reason: 'no route' } } }, 'bus plc is down: no route'],
  [{ clock: { ...clock, trusted: false } }, 'clock is not trusted: it has not been synchronised'],
])('what a restart would not cure stays 200, with its reason: %#', (different, reason) => {
  expect(health(aSnapshot(different))).toEqual({ httpStatus: 200, status: 'degraded', reasons: [reason] });
});

test('a device that was not polled yet is no reason', () => {
  expect(health(aSnapshot({ devices: { tank: { ...tank!, state: 'unknown' } } })).status).toBe('ok');
});

test('the gravest reason comes first, and none is left out', () => {
  const { reasons, status } = health(
    aSnapshot({
      journal: { ...journal, state: 'failing' },
      devices: { tank: { ...tank!, state: 'offline' } },
      bridges: { cloud: { ...cloud!, state: 'connecting' } },
    }),
  );
  expect(status).toBe('failing');
  expect(reasons).toEqual(['journal is failing', 'device tank is offline', 'bridge cloud is not connected']);
});
