import { expect, test } from 'vitest';
import type { BridgeSnapshot } from '../../../src/core/snapshot.js';
import { metricsText } from '../../../src/web/metrics.js';
import { aSnapshot } from '../../support/a-snapshot.js';

const text = metricsText(aSnapshot());
const lines = text.split('\n');

test('each metric has help and type before its samples, once, and begins with godwit_', () => {
  const seen = new Set<string>();
  let current = '';
  for (const line of lines.slice(0, -1)) {
    const help = /^# HELP (godwit_[a-z_]+) .+\.$/.exec(line);
    const type = /^# TYPE (godwit_[a-z_]+) (gauge|counter)$/.exec(line);
    if (help !== null) {
      current = help[1] as string;
      expect(seen).not.toContain(current);
      seen.add(current);
    } else if (type !== null) {
      expect(type[1]).toBe(current);
      expect(current.endsWith('_total')).toBe(type[2] === 'counter');
    } else {
      expect(line).toMatch(/^godwit_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+-]+$/);
      expect(line.split(/[{ ]/)[0]).toBe(current);
    }
  }
  expect(text.endsWith('\n')).toBe(true);
});

test.each([
  'godwit_info{gateway="well-17",version="0.1.0"} 1',
  'godwit_start_time_seconds 1732147200',
  'godwit_device_online{device="tank"} 1',
  'godwit_device_poll_failures_total{device="tank"} 1',
  'godwit_bus_requests_total{bus="plc"} 61',
  'godwit_broker_sent_bytes_total 10',
  'godwit_broker_logins_failed_total 11',
  'godwit_bridge_waiting_messages{bridge="cloud"} 11',
  'godwit_journal_state{state="ok"} 1',
  'godwit_journal_state{state="failing"} 0',
  'godwit_journal_commit_seconds 0.019',
  'godwit_journal_oldest_time_seconds 1732147200.5',
  'godwit_memory_resident_bytes 21',
])('has %s', (line) => {
  expect(lines).toContain(line);
});

test('what is not known, or not there, is left out', () => {
  expect(text).not.toContain('godwit_bridge_eta_seconds');
  expect(text).not.toContain('godwit_journal_newest_time_seconds');
  expect(metricsText(aSnapshot({ bridges: {} }))).not.toContain('godwit_bridge_');
});

test('why a bridge is not connected is told by kind', () => {
  const cloud = { ...(aSnapshot().bridges.cloud as BridgeSnapshot), fault: 'dns', sessions: 3 };
  const shown = metricsText(aSnapshot({ bridges: { cloud } }));
  expect(shown).toContain('godwit_bridge_fault{bridge="cloud",kind="dns"} 1\n');
  expect(shown).toContain('godwit_bridge_sessions_total{bridge="cloud"} 3\n');
});

test('a label is escaped', () => {
  expect(metricsText(aSnapshot({ gateway: 'a"b\\c\nd' }))).toContain('gateway="a\\"b\\\\c\\nd"');
});

test('what was lost is counted by reason and bridge', () => {
  const snapshot = aSnapshot();
  const lost = [
    { reason: 'evicted', bridge: 'cloud', lost: 250 },
    { reason: 'full', bridge: null, lost: 3 },
  ];
  const text = metricsText({ ...snapshot, journal: { ...snapshot.journal, lost } });
  expect(text).toContain('# TYPE godwit_lost_total counter\n');
  expect(text).toContain('godwit_lost_total{reason="evicted",bridge="cloud"} 250\n');
  expect(text).toContain('godwit_lost_total{reason="full",bridge=""} 3\n');
});
