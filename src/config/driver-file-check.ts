/**
 * Looks at a driver of the user's own before it is used: whether the file is there and is a module, whether it opens,
 * and what it says of its options. It runs in a thread of its own and for a short time: what it does on loading is not
 * ours to trust.
 */
import { pathToFileURL } from 'node:url';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { readFileBounded } from './read-file.js';

/** What one place of the configuration says under `options`. */
export interface OptionsPlace {
  readonly kind: 'bus' | 'device' | 'point';
  readonly options: unknown;
}

export type FileVerdict =
  /** One for each place: what is wrong, or undefined. */
  | { readonly kind: 'looked at'; readonly problems: readonly (string | undefined)[] }
  | { readonly kind: 'unusable'; readonly why: string };

/** A driver is read by people: a larger one is a bundle of something. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
/** Starting a thread on a small board takes a tenth of a second, loading a file little more. */
const LOOK_MS_MAX = 5000;

/** Waits for the thread: configurations are checked in one go. */
export function lookAtDriverFile(file: string, places: readonly OptionsPlace[]): FileVerdict {
  const read = readFileBounded(file, FILE_BYTES_MAX);
  if (read.kind === 'problem') return { kind: 'unusable', why: read.problem };
  const done = new Int32Array(new SharedArrayBuffer(4));
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(LOOK, {
    eval: true,
    workerData: { url: pathToFileURL(file).href, places, done, port: port2 },
    transferList: [port2],
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: 128 },
  });
  worker.on('error', () => undefined);
  worker.unref();
  Atomics.wait(done, 0, 0, LOOK_MS_MAX);
  const answer = receiveMessageOnPort(port1)?.message as FileVerdict | undefined;
  port1.close();
  void worker.terminate();
  return (
    answer ?? { kind: 'unusable', why: `loading it took longer than ${LOOK_MS_MAX} ms, or ended its thread` }
  );
}

/** Plain JavaScript, since a thread that is waited for loads nothing that would have to be compiled first. */
const LOOK = `
const { workerData: { url, places, done, port } } = require('node:worker_threads');
const said = (fault) => String(fault instanceof Error ? fault.message : fault).split('\\n')[0].slice(0, 300);
const answer = (message) => {
  port.postMessage(message);
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
};
const problemOf = (check, options) => {
  if (check === undefined) return options === undefined ? undefined : 'this driver takes no options here';
  try {
    if (typeof check === 'function') check(options);
    else check.parse(options);
  } catch (fault) {
    return said(fault);
  }
};
import(url).then((module) => {
  if (typeof module.open !== 'function') return answer({ kind: 'unusable', why: 'it exports no function open' });
  const checks = module.options ?? {};
  for (const [kind, check] of Object.entries(checks)) {
    if (!['bus', 'device', 'point'].includes(kind)) return answer({ kind: 'unusable', why: 'its options have ' + kind + ', allowed: bus, device and point' });
    if (typeof check !== 'function' && typeof check?.parse !== 'function') {
      return answer({ kind: 'unusable', why: 'its options.' + kind + ' is neither a function nor has it a function parse' });
    }
  }
  answer({ kind: 'looked at', problems: places.map(({ kind, options }) => problemOf(checks[kind], options)) });
}, (fault) => answer({ kind: 'unusable', why: 'it cannot be loaded: ' + said(fault) }));
`;
