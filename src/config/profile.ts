/**
 * Device profiles: a named set of points in a file of its own, written as in a user's configuration.
 *
 *   devices.meter.profile: eastron-sdm120 ──read──▶ profile ──graft──▶ devices.meter.points, poll, gap, …
 *
 * What the configuration says itself stays: a key beside `profile` overrides the profile's `device`, a key of a point
 * overrides that key of the profile's point, and a point of a new name is added. Grafted nodes keep their place in the
 * profile's file, so that a mistake in it is told there. Pure: the text is asked for.
 */
import { type ConfigError, configError, type Path } from './config-error.js';
import { identifier } from './kind.js';
import { didYouMean, shortList } from './nearest.js';
import type { Report } from './report.js';
import { driverOf } from './schema-at.js';
import {
  entriesAt,
  itemsAt,
  type MappingNode,
  nodeAt,
  plainValue,
  readTree,
  type Tree,
  textAt,
} from './tree.js';
import { z } from './zod.js';

export type ProfileText =
  | { readonly kind: 'text'; readonly file: string; readonly text: string }
  | { readonly kind: 'problem'; readonly problem: string };

export interface ProfileSource {
  /** Of those that ship with godwit. */
  readonly names: readonly string[];
  /** @param name of one that ships with godwit, or a path */
  read(name: string): ProfileText;
}

export const NO_PROFILES: ProfileSource = {
  names: [],
  read: () => ({ kind: 'problem', problem: 'there is no such profile' }),
};

/** What `godwit scan` compares with a unit that it found: every line must hold. */
const fingerprintSchema = z.union([
  z.strictObject({
    identification: z
      .string()
      .describe('A regular expression for what the unit says of itself (function code 43/14).'),
  }),
  z.looseObject({
    register: z.string().describe('A register that the unit must have, with the keys of a point.'),
    least: z.number().optional().describe('Its value is at least this.'),
    most: z.number().optional().describe('Its value is at most this.'),
    equals: z.union([z.number(), z.string()]).optional().describe('Its value is this.'),
  }),
]);

/** The head of a profile; its points are judged with the configuration that takes them. */
export const profileSchema = z.strictObject({
  title: z.string().min(1).describe('What it is: maker, model, kind.'),
  source: z.string().min(1).describe('Where the registers are documented.'),
  notes: z.string().optional().describe('What one has to know to use it.'),
  drivers: z.array(z.string()).min(1).describe('The drivers of the buses that it can be on.'),
  bus: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('Settings of the bus that the device ships with.'),
  device: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('Keys of the device, where it does not say otherwise.'),
  fingerprint: z.array(fingerprintSchema).default([]).describe('How a unit is known to be one of these.'),
  points: z.record(identifier, z.unknown()).describe('As in a configuration.'),
});

export type Profile = z.output<typeof profileSchema>;
export type Fingerprint = Profile['fingerprint'][number];

export interface ReadProfile {
  /** Absent where it is no profile. */
  readonly profile?: Profile;
  readonly root?: MappingNode;
  readonly errors: readonly ConfigError[];
}

/** The head of a profile and its tree, whose nodes say that they are of this file. */
export function readProfile(text: string, file: string): ReadProfile {
  const { root, errors } = readTree({ text, file, environment: {}, placed: true });
  if (root === undefined) return { errors };
  const judged = profileSchema.safeParse(plainValue(root));
  const wrong = (judged.error?.issues ?? []).map(({ path, message }) => {
    const place = nodeAt(root, path as Path) ?? root;
    return configError(file, place.position, path as Path, `no profile: ${message}`);
  });
  const all = [...errors, ...wrong];
  return judged.success && all.length === 0 ? { profile: judged.data, root, errors: [] } : { errors: all };
}

/** Puts what profiles say into the tree of the configuration, before the schema sees it. */
export function graftProfiles(report: Report, source: ProfileSource): void {
  for (const [device, node] of entriesAt(report.tree, ['devices'])) {
    if (node.kind !== 'mapping') continue;
    const name = textAt(node, ['profile']);
    const path: Path = ['devices', device];
    if (name === undefined) {
      if (node.entries.has('only'))
        report.atKey(
          [...path, 'only'],
          'found only, which chooses from the points of a profile; name a profile, or remove it',
        );
      continue;
    }
    const read = source.read(name);
    if (read.kind === 'problem') {
      const shipped = source.names.length === 0 ? '' : `, or ${shortList(source.names)}`;
      report.at(
        [...path, 'profile'],
        `found ${name}: ${read.problem}${didYouMean(name, source.names) || ','} allowed: the path of a profile${shipped}`,
      );
      continue;
    }
    const { profile, root, errors } = readProfile(read.text, read.file);
    report.errors.push(...errors);
    if (profile === undefined || root === undefined) continue;
    const driver = driverOf(report.tree, device);
    if (driver !== undefined && !profile.drivers.includes(driver)) {
      report.at(
        [...path, 'profile'],
        `found ${name}, but the device is on a bus with driver ${driver}, allowed for it: ${profile.drivers.join(', ')}`,
      );
    }
    graft(report, path, node, root);
  }
}

function graft(report: Report, path: Path, device: MappingNode, profile: MappingNode): void {
  const entries = device.entries as Map<string, Tree>;
  for (const [key, value] of entriesAt(profile, ['device'])) if (!entries.has(key)) entries.set(key, value);
  const offered = new Map(entriesAt(profile, ['points']));
  const chosen = itemsAt(device, ['only']).map((item) => (item.kind === 'scalar' ? String(item.value) : ''));
  for (const [index, name] of chosen.entries()) {
    if (offered.has(name)) continue;
    const meant = didYouMean(name, [...offered.keys()]);
    report.at(
      [...path, 'only', index],
      `found ${name}, which the profile does not have${meant || ','} allowed: ${shortList([...offered.keys()])}`,
    );
  }
  const own = nodeAt(device, ['points']);
  // Whatever else stands there has its own error.
  if (own !== undefined && own.kind !== 'mapping') return;
  const points = new Map<string, Tree>();
  for (const [name, point] of offered)
    if (chosen.length === 0 || chosen.includes(name)) points.set(name, point);
  for (const [name, point] of own?.entries ?? []) points.set(name, overridden(points.get(name), point));
  const { position, keyPosition } = own ?? nodeAt(device, ['profile']) ?? device;
  entries.set('points', { kind: 'mapping', position, keyPosition, entries: points });
}

function overridden(offered: Tree | undefined, own: Tree): Tree {
  if (offered?.kind !== 'mapping' || own.kind !== 'mapping') return own;
  return { ...own, entries: new Map([...offered.entries, ...own.entries]) };
}
