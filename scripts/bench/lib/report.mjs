/** The tables that scripts/bench/broker prints for people. */

const COLUMNS = [
  ['messagesPerSecond', 'messages/s', (value) => Math.round(value).toLocaleString('en')],
  ['cpuUsPerMessage', 'CPU µs/msg', (value) => value.toFixed(2)],
  ['p50Us', 'p50 µs', (value) => Math.round(value).toLocaleString('en')],
  ['p99Us', 'p99 µs', (value) => Math.round(value).toLocaleString('en')],
  ['rssKiB', 'RSS MB', (value) => ((value * 1024) / 1e6).toFixed(1)],
  ['brokerShare', 'broker core', percent],
  ['loadShare', 'load core', percent],
  ['firstConnectMs', 'first CONNECT ms', String],
  ['idleMB', 'idle MB', String],
  ['kibPerConnection', 'KiB/connection', String],
];

export function printCase({ name, what, runs, sides, ratios, bounds }) {
  const shown = COLUMNS.filter(([key]) => Object.values(sides).some((side) => key in side));
  const rows = [['', ...shown.map(([, title]) => title), 'lost dup order']];
  for (const [side, figures] of Object.entries(sides)) {
    const faults =
      'lost' in figures ? `${figures.lost} ${figures.duplicates} ${figures.reordered}` : '';
    rows.push([side, ...shown.map(([key, , format]) => (key in figures ? format(figures[key]) : '')), faults]);
  }
  console.log(`\n${name}: ${what} (${runs} run${runs === 1 ? '' : 's'})`);
  printTable(rows);
  for (const verdict of verdicts({ name, sides, ratios, bounds })) console.log(`  ${verdict.said}`);
}

export function printSummary(results, versions) {
  const held = results.flatMap(verdicts).filter(({ met }) => met !== undefined);
  const missed = held.filter(({ met }) => !met);
  console.log(`\nNode.js ${process.version}, ${Object.entries(versions).map((pair) => pair.join(' ')).join(', ')}`);
  console.log(`${held.length - missed.length} of ${held.length} limits held`);
  for (const { name, said } of missed) console.log(`  ${name}: ${said}`);
}

function verdicts({ name, ratios, bounds, sides }) {
  const said = ratios.map(({ of, to, limit, ratio, lowest, highest }) => {
    const met = limit === undefined ? undefined : ratio <= limit;
    const bound = limit === undefined ? '' : `, at most ${limit}${met ? '' : ': MISSED'}`;
    const range = lowest === highest ? '' : ` (${lowest.toFixed(3)} to ${highest.toFixed(3)})`;
    return { name, met, said: `${of} = ${ratio.toFixed(3)} × ${to}${range}${bound}` };
  });
  for (const { of, key, limit, value } of bounds) {
    const met = value <= limit;
    said.push({ name, met, said: `${of} ${key} ${value}, at most ${limit}${met ? '' : ': MISSED'}` });
  }
  for (const [side, { lost, duplicates, reordered }] of Object.entries(sides)) {
    if (!side.startsWith('godwit') || lost === undefined) continue;
    const met = lost + duplicates + reordered === 0;
    if (!met) said.push({ name, met, said: `${side} lost ${lost}, duplicated ${duplicates}, reordered ${reordered}` });
  }
  return said;
}

function printTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    console.log(`  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  ')}`);
  }
}

function percent(value) {
  return `${Math.round(value * 100)} %`;
}
