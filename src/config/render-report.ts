/** A CheckReport as text: columns for a person at a terminal, one line for each publication otherwise. */
import type { CheckReport, DeviceReport, PointReport, Publication } from './describe.js';
import { durationText } from './quantity.js';

export function renderReport(report: CheckReport, terminal: boolean): string {
  const lines = report.devices.flatMap((device) => (terminal ? columns(device) : plain(device)));
  const points = report.devices.reduce((sum, device) => sum + device.points.length, 0);
  for (const { bridge, clientId, how, servers } of report.bridges) {
    lines.push(`bridge ${bridge}: ${servers.join(', then ')} as ${clientId}; ${how.join('; ')}`);
  }
  lines.push(
    `${report.gateway}: ${count(report.devices.length, 'device')}, ${count(points, 'point')}, at most ${count(report.messagesPerDay, 'message')} and ${bytesText(report.bytesPerDay)} a day`,
    ...report.warnings.map((warning) => `warning: ${warning}`),
  );
  return `${lines.join('\n')}\n`;
}

function columns(device: DeviceReport): string[] {
  const unit = device.unitId === undefined ? '' : `, unit ${device.unitId}`;
  const rows: string[][] = [
    ['POINT', 'FROM', 'EVERY', 'TOPIC', 'QOS', 'RETAIN', 'A DAY', 'BYTES A DAY', 'BRIDGES'],
  ];
  const payloads: string[] = [];
  const groups = new Set<number>();
  for (const point of device.points) {
    if (point.publishes.length === 0) rows.push([point.point, point.source, durationText(point.pollMs), '-']);
    for (const [index, publication] of point.publishes.entries()) {
      const first = index === 0 ? [point.point, point.source, durationText(point.pollMs)] : ['', '', ''];
      // What one message holds together is described once.
      const again = publication.grouped && groups.has(publication.rule);
      rows.push([...first, ...(again ? ['(together)'] : cells(publication))]);
      if (!again && payloads.length < PAYLOADS_SHOWN_MAX)
        payloads.push(`${publication.topic} ${publication.payload}`);
      if (publication.grouped) groups.add(publication.rule);
    }
  }
  return [
    `${device.device} on ${device.bus} (${device.driver}${unit})`,
    ...align(rows).map((row) => `  ${row}`),
    ...payloads.map((payload) => `  e.g. ${payload}`),
    ...device.points.flatMap(({ alarms }) =>
      alarms.map(({ alarm, topic, when }) => `  alarm ${alarm}: ${when}, told on ${topic}`),
    ),
    '',
  ];
}

const PAYLOADS_SHOWN_MAX = 1;

function cells(publication: Publication): string[] {
  return [
    publication.topic,
    String(publication.qos),
    publication.retain ? 'yes' : 'no',
    perDay(publication),
    bytesText(publication.bytesPerDay),
    publication.bridges.map(({ bridge }) => bridge).join(', ') || '-',
  ];
}

function plain(device: DeviceReport): string[] {
  return device.points.flatMap((point) => {
    const head = `${device.device}/${point.point}: ${readFrom(device, point)}`;
    const alarms = point.alarms.map(({ alarm, topic, when }) => `${alarm}: alarm ${when}; topic ${topic}`);
    if (point.publishes.length === 0) return [`${head}; published nowhere`, ...alarms];
    return [...point.publishes.map((publication) => `${head}; ${published(publication)}`), ...alarms];
  });
}

function readFrom(device: DeviceReport, point: PointReport): string {
  const unit = device.unitId === undefined ? '' : ` unit ${device.unitId}`;
  return `${point.source} on ${device.bus}${unit} every ${durationText(point.pollMs)}`;
}

function published(publication: Publication): string {
  const bridges = publication.bridges.map(
    ({ batch, bridge, topic, qos }) =>
      `${bridge} as ${topic} qos ${qos}${batch === undefined ? '' : `, in batches on ${batch}`}`,
  );
  return [
    `topic ${publication.topic} qos ${publication.qos}${publication.retain ? ' retained' : ''}${publication.grouped ? ' together' : ''}`,
    `${perDay(publication)} a day, ${bytesText(publication.bytesPerDay)}`,
    bridges.length === 0 ? 'no bridge' : bridges.join(', '),
    publication.payload,
  ].join('; ');
}

function perDay({ messagesPerDay, onChange }: Publication): string {
  return onChange ? `≤ ${messagesPerDay}` : String(messagesPerDay);
}

/** Thousands, as tariffs count them. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const power = Math.min(4, Math.floor(Math.log10(bytes) / 3));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${['B', 'kB', 'MB', 'GB', 'TB'][power]}`;
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}
