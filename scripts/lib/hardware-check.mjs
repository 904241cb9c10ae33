/** What scripts/hardware-check does, once everything is built: each check is one entry, and none stops the others. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, release, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SystemClock } from '../../dist/core/clock.js';
import { ChardevBackend } from '../../dist/drivers/gpio/chardev-port.js';
import { headerChip, sysfsChips } from '../../dist/drivers/gpio/chips.js';
import { chooseBackend } from '../../dist/drivers/gpio/choose-backend.js';
import { SysfsBackend } from '../../dist/drivers/gpio/sysfs-port.js';
import { SystemTools } from '../../dist/drivers/gpio/tool-process.js';
import { Channels } from '../../dist/drivers/iio/driver.js';
import { temperatureIn } from '../../dist/drivers/onewire/scratchpad.js';
import { consoleOn } from '../../dist/drivers/serial-port-advice.js';
import { serialStream } from '../../dist/drivers/serial-stream.js';
import { Board } from '../../dist/drivers/system/board.js';
import { Links } from '../../dist/drivers/system/link.js';

const { values: options } = parseArgs({
  options: {
    gpio: { type: 'string' },
    mockup: { type: 'boolean', default: false },
    serial: { type: 'string' },
    baud: { type: 'string', default: '9600' },
    root: { type: 'string', default: '/' },
    json: { type: 'boolean', default: false },
  },
});
const root = options.root;
const sys = join(root, 'sys');
const clock = new SystemClock();
const tools = new SystemTools();
const checks = [];

/** `run` gives back what was found, throws what went wrong, or gives back undefined where there is nothing to check. */
async function check(name, run) {
  const startedMs = clock.monotonicMs();
  let entry;
  try {
    const found = await run();
    entry = found === undefined ? { name, result: 'absent' } : { name, result: 'ok', found };
  } catch (fault) {
    entry = { name, result: 'failed', why: fault instanceof Error ? fault.message : String(fault) };
  }
  checks.push({ ...entry, ms: Math.round(clock.monotonicMs() - startedMs) });
}

const text = (path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8').replace(/\0/g, '').trim() : undefined);
const names = (path) => (existsSync(join(root, path)) ? readdirSync(join(root, path)).sort() : []);

await check('board', async () => ({
  model: text('proc/device-tree/model') ?? 'unknown',
  system: /PRETTY_NAME="?([^"\n]*)/.exec(text('etc/os-release') ?? '')?.[1] ?? 'unknown',
  kernel: `${release()} ${arch()}`,
  node: process.version,
  user: userInfo().uid,
}));

await check('gpio: which way and why', async () => {
  const choice = chooseBackend({ backend: 'auto', root: sys, wantsPull: false }, tools);
  const chips = await sysfsChips(sys);
  const detected = tools.has('gpiodetect') ? (await tools.run('gpiodetect', []).catch(() => '')).trim().split('\n').filter(Boolean) : [];
  const header = headerChip(chips);
  return { ...choice, chips, detected, ...(header && { gpio17: header.base + 17 }) };
});

function backends() {
  const found = [];
  if (root === '/' && existsSync('/sys/class/gpio')) found.push(new SysfsBackend('/sys', clock));
  if (tools.has('gpiomon')) found.push(new ChardevBackend(tools, clock));
  return found;
}

/** Toggles one line, counts on the other: what is missing was too quick for this machine. */
async function loop(backend, out, input, drive) {
  let edges = 0;
  let lost;
  const listener = {
    onEdge: () => {
      edges += 1;
    },
    onLost: (why) => {
      lost = why;
    },
  };
  const from = await backend.open({ line: input, direction: 'in' }, listener);
  const to = drive === undefined ? await backend.open({ line: out, direction: 'out', initial: false }, listener) : undefined;
  try {
    const wrong = [];
    const sent = 20;
    for (let index = 0; index < sent; index += 1) {
      const high = index % 2 === 0;
      if (drive === undefined) await to.write(high);
      else drive(high);
      await wait(20);
      if ((await from.read()) !== high) wrong.push(index);
    }
    if (lost !== undefined) throw new Error(lost);
    if (wrong.length > 0) throw new Error(`${wrong.length} of ${sent} levels read wrong, ${edges} edges seen; is the wire there?`);
    return { sent, edges };
  } finally {
    await to?.close();
    await from.close();
  }
}

for (const backend of backends()) {
  await check(`gpio: wire, by ${backend.kind}`, async () => {
    if (options.gpio === undefined) return undefined;
    const [out, input] = options.gpio.split(':').map(Number);
    if (!Number.isInteger(out) || !Number.isInteger(input)) throw new Error('write --gpio OUT:IN, such as 22:17');
    return loop(backend, out, input);
  });
  await check(`gpio: mockup, by ${backend.kind}`, async () => {
    if (!options.mockup) return undefined;
    const folder = '/sys/kernel/debug/gpio-mockup';
    const chip = names(folder).find((name) => name.startsWith('gpiochip'));
    if (chip === undefined) throw new Error('as root: modprobe gpio-mockup gpio_mockup_ranges=-1,8');
    const line = { chip: 'gpio-mockup-A', line: 1 };
    return loop(backend, line, line, (high) => writeFileSync(join(folder, chip, '1'), high ? '1' : '0'));
  });
}

await check('serial: ports', async () => {
  const byId = names('dev/serial/by-id');
  const uarts = names('dev').filter((name) => /^(ttyUSB|ttyACM|ttyAMA|serial)\d/.test(name));
  if (byId.length + uarts.length === 0) return undefined;
  const consoles = [];
  for (const name of uarts) {
    const problem = await consoleOn(`/dev/${name}`, root);
    if (problem !== undefined) consoles.push(`/dev/${name}: ${problem}`);
  }
  return { byId, uarts, consoles };
});

await check('serial: wire', async () => {
  if (options.serial === undefined) return undefined;
  const sent = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  let received = Buffer.alloc(0);
  const settings = { path: options.serial, baudRate: Number(options.baud), parity: 'none', dataBits: 8, stopBits: 1 };
  const listener = { onBytes: (bytes) => { received = Buffer.concat([received, bytes]); }, onClosed: () => undefined };
  const port = await serialStream(settings)(listener, new AbortController().signal);
  try {
    port.write(sent);
    const limitMs = clock.monotonicMs() + 2000 + (sent.length * 10_000) / settings.baudRate;
    while (received.length < sent.length && clock.monotonicMs() < limitMs) await wait(10);
  } finally {
    port.close();
  }
  if (!received.equals(sent)) throw new Error(`sent ${sent.length} bytes, ${received.length} came back${received.length === sent.length ? ', others than those sent' : ''}; is TX joined to RX?`);
  return { bytes: sent.length };
});

await check('1-wire: probes', async () => {
  const probes = names('sys/bus/w1/devices').filter((name) => /^(10|22|28|3b|42)-/.test(name));
  if (probes.length === 0) return undefined;
  return Object.fromEntries(
    probes.map((probe) => {
      const temperature = temperatureIn(text(`sys/bus/w1/devices/${probe}/w1_slave`) ?? '', undefined);
      return [probe, temperature.kind === 'celsius' ? temperature.celsius : { bad: temperature.why }];
    }),
  );
});

await check('iio: channels', async () => {
  const chips = names('sys/bus/iio/devices').filter((name) => name.startsWith('iio:device'));
  if (chips.length === 0) return undefined;
  const points = {};
  for (const chip of chips) {
    for (const file of names(`sys/bus/iio/devices/${chip}`)) {
      const channel = /^in_(.+)_(raw|input)$/.exec(file)?.[1];
      if (channel !== undefined) points[`${chip}/${channel}`] = { channel: `${chip}/${channel}` };
    }
  }
  const source = new Channels({ devices: new Map([['all', { points }]]) }, sys);
  const outcomes = await source.read('all', Object.keys(points));
  return Object.fromEntries([...outcomes].map(([name, outcome]) => [name, 'value' in outcome ? outcome.value : outcome]));
});

await check('system', async () => {
  const [board, links] = [new Board(root), new Links(root)];
  const tried = {
    cpuTemperature: () => board.cpuTemperature(),
    load: () => board.load(0),
    memoryUsed: () => board.memory().then(({ usedShare }) => usedShare),
    diskUsed: () => board.disk('/').then(({ usedShare }) => usedShare),
    uptime: () => board.uptime(),
    undervoltage: () => board.undervoltage(false),
    undervoltageSinceBoot: () => board.undervoltage(true),
    throttled: () => board.throttled(false),
    linkUp: () => links.isUp(undefined),
    linkQuality: () => links.quality(undefined),
  };
  const found = {};
  for (const [name, value] of Object.entries(tried)) {
    found[name] = await value().catch((fault) => ({ bad: fault.message }));
  }
  return found;
});

const failed = checks.filter(({ result }) => result === 'failed').length;
if (!options.json) {
  for (const { name, result, found, why, ms } of checks) {
    const words = { ok: 'ok     ', failed: 'FAILED ', absent: 'absent ' }[result];
    process.stdout.write(`${words} ${name} (${ms} ms)${why === undefined ? '' : `: ${why}`}\n`);
    for (const [key, value] of Object.entries(found ?? {})) {
      process.stdout.write(`          ${key}: ${typeof value === 'object' ? JSON.stringify(value) : value}\n`);
    }
  }
  process.stdout.write('\nTo send:\n');
}
process.stdout.write(`${JSON.stringify({ godwit: 'hardware-check', failed, checks })}\n`);
process.exitCode = failed > 0 ? 1 : 0;
