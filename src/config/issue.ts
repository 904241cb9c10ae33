/**
 * What the schema objects to, said to an operator: `found 9600baud, allowed: a whole number from 50 to 4000000`.
 * Of the several ways in which a value fits no form at all, only the one that was meant is told.
 */

import { type Path, shorten } from './config-error.js';
import { driverFileBusSchema, isDriverFile } from './driver-file-schema.js';
import { words } from './kind.js';
import { isLaterKey, isLaterValue } from './later.js';
import { didYouMean } from './nearest.js';
import type { Report } from './report.js';
import {
  type BusOption,
  DRIVERS,
  driverMeant,
  driverOf,
  keysAt,
  pointSchemaAt,
  schemaAt,
} from './schema-at.js';
import { nodeAt, plainValue, type Tree, UNKNOWN } from './tree.js';
import { z } from './zod.js';

type Issue = z.core.$ZodIssue;

/** Without a text of its own an issue's message is empty, and what is allowed is read off the schema. */
export const noWords = { error: () => '' };

/**
 * All that is wrong. A bus and a point have one form for each driver; what they were tried against in vain says
 * nothing, so each is judged once more, as what it was meant to be.
 */
export function reportIssues(report: Report, issues: readonly Issue[]): void {
  const judged = new Set<string>();
  for (const issue of issues) {
    const place = issue.code === 'invalid_key' ? undefined : formOf(issue.path as Path);
    if (place === undefined) {
      reportIssue(report, issue);
      continue;
    }
    const key = JSON.stringify(place);
    if (judged.has(key)) continue;
    judged.add(key);
    const told = place.length === 2 ? reportBus(report, place) : reportPoint(report, place);
    if (!told) reportIssue(report, { ...issue, path: [...place] });
  }
}

/** The path of the bus or point that a path leads into. */
function formOf(path: Path): Path | undefined {
  if (path[0] === 'buses' && path.length >= 2) return path.slice(0, 2);
  return path[0] === 'devices' && path[2] === 'points' && path.length >= 4 ? path.slice(0, 4) : undefined;
}

function reportIssue(report: Report, issue: Issue): void {
  const { tree } = report;
  const path = issue.path as Path;
  const node = nodeAt(tree, path);
  if (node?.kind === 'scalar' && node.value === UNKNOWN) return;
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) reportKey(report, path, key);
    return;
  }
  if (issue.code === 'invalid_key') {
    const allowed = issue.issues[0]?.message ?? '';
    report.atKey(path, `found ${path.at(-1)?.toString()} as a name, allowed: ${allowed}`);
    return;
  }
  if (issue.code === 'invalid_union') {
    if (reportUnion(report, issue, path)) return;
  }
  if (node === undefined) {
    report.missing(path, allowedAt(tree, path, issue));
    return;
  }
  const value = node.kind === 'scalar' ? node.value : plainValue(node);
  const allowed = allowedAt(tree, path, issue);
  if (isLaterValue(path, value)) {
    const found = foundText(node, path);
    report.at(path, `found ${found}, which is not available in this version of godwit, allowed: ${allowed}`);
    return;
  }
  if (allowed === TEXT && typeof value !== 'string' && node.kind === 'scalar' && value !== null) {
    report.at(path, `found ${foundText(node, path)}, allowed: text; put it in quotes to make it one`);
    return;
  }
  const choices = choicesOf(schemaAt(tree, path));
  const meant = typeof value === 'string' && choices.length > 0 ? didYouMean(value, choices) : '';
  report.at(path, `found ${foundText(node, path)}${meant === '' ? ',' : meant} allowed: ${allowed}`);
}

function reportKey(report: Report, mapping: Path, key: string): void {
  const path = [...mapping, key];
  if (isLaterKey(mapping, key)) {
    report.atKey(path, `found ${key}, which is not available in this version of godwit; remove it`);
    return;
  }
  const known = keysAt(report.tree, mapping);
  const meant = didYouMean(key, known);
  report.atKey(path, `found an unknown key${meant === '' ? ',' : meant} allowed: ${known.join(', ')}`);
}

/** True where the union had more to say than that nothing fits. */
function reportUnion(report: Report, issue: Issue & { code: 'invalid_union' }, path: Path): boolean {
  const { tree } = report;
  const ofMapping = mappingIssues(report, issue, path);
  if (ofMapping !== undefined) {
    for (const inner of ofMapping) reportIssue(report, { ...inner, path: [...path, ...inner.path] });
    return true;
  }
  const deep = issue.errors.find((issues) => issues.some((inner) => inner.path.length > 0));
  if (deep === undefined || nodeAt(tree, path)?.kind === 'scalar') return false;
  for (const inner of deep) reportIssue(report, { ...inner, path: [...path, ...inner.path] });
  return true;
}

/** What a mapping that may also be a text lacks as a mapping. */
function mappingIssues(
  { tree }: Report,
  issue: Issue & { code: 'invalid_union' },
  path: Path,
): readonly Issue[] | undefined {
  if (nodeAt(tree, path)?.kind !== 'mapping' || !(schemaAt(tree, path) instanceof z.ZodObject))
    return undefined;
  return issue.errors.find(
    (issues) => !issues.some(({ code, path: at }) => code === 'invalid_type' && at.length === 0),
  );
}

/** A bus whose driver is wrong is judged as the one that was probably meant. */
function reportBus(report: Report, path: Path): boolean {
  const { tree } = report;
  const node = nodeAt(tree, path);
  if (node?.kind !== 'mapping') return false;
  const { key, option } = driverMeant(tree, path);
  if (key === undefined || key === 'driver') reportDriver(report, [...path, 'driver']);
  // With an option, the slip is told as an unknown key of that.
  else if (option === undefined) report.atKey([...path, key], 'found an unknown key, did you mean driver?');
  if (option === undefined) return true;
  const plain = plainValue(node) as { readonly driver?: unknown };
  // Which driver is meant is settled; a slip in its name is told by now.
  const driver = option === driverFileBusSchema ? './meant.mjs' : namedDriverOf(option);
  const judged = option.safeParse({ ...plain, driver }, noWords);
  for (const issue of judged.error?.issues ?? []) {
    reportIssue(report, { ...issue, path: [...path, ...issue.path] });
  }
  return true;
}

function namedDriverOf(option: BusOption): unknown {
  const { driver } = option.shape;
  return driver instanceof z.ZodLiteral ? driver.value : undefined;
}

function reportDriver(report: Report, path: Path): void {
  const node = nodeAt(report.tree, path);
  const value = node?.kind === 'scalar' ? node.value : undefined;
  if (value === UNKNOWN) return;
  const allowed = listOf(DRIVERS_ALLOWED);
  if (node === undefined) report.missing(path, allowed);
  else if (typeof value !== 'string') report.at(path, `found ${foundText(node, path)}, allowed: ${allowed}`);
  else if (isLaterValue(path, value)) {
    report.at(path, `found ${value}, which is not available in this version of godwit, allowed: ${allowed}`);
  } else if (!DRIVERS.includes(value) && !isDriverFile(value)) {
    const meant = didYouMean(value, DRIVERS);
    report.at(path, `found ${foundText(node, path)}${meant === '' ? ',' : meant} allowed: ${allowed}`);
  }
}

/** What is wrong with a point, judged as what it was probably meant to be. */
export function reportPoint(report: Report, path: Path): boolean {
  const { tree } = report;
  const node = nodeAt(tree, path);
  if (node?.kind !== 'mapping') return false;
  const schema = pointSchemaAt(tree, path);
  if (schema === undefined) {
    // What a driver of a later version would make of it cannot be judged here; its bus is refused already.
    const driver = driverOf(tree, String(path[1]));
    if (driver !== undefined && isLaterValue(['buses', '*', 'driver'], driver)) return true;
    const later = [...node.entries.keys()].filter((key) => isLaterKey(path, key));
    for (const key of later) reportKey(report, path, key);
    if (later.length === 0) {
      report.at(
        path,
        'found a point without a source, needed: the key of its driver, such as register (Modbus), gpio or match (serial)',
      );
    }
    return true;
  }
  const issues = schema.safeParse(plainValue(node), noWords).error?.issues ?? [];
  for (const issue of issues) reportIssue(report, { ...issue, path: [...path, ...issue.path] });
  return true;
}

function allowedAt(tree: Tree, path: Path, issue: Issue): string {
  if (issue.message !== '') return issue.message;
  return wordsFor(schemaAt(tree, path));
}

const TEXT = 'text';
const DRIVERS_ALLOWED = [...DRIVERS, 'a path such as ./my-driver.mjs'];

/** What a schema takes, in words. */
export function wordsFor(schema: z.core.$ZodType | undefined): string {
  if (schema instanceof z.ZodNumber) return numberWords(schema);
  if (schema instanceof z.ZodBoolean) return 'true or false';
  if (schema instanceof z.ZodObject || schema instanceof z.ZodRecord) return 'a mapping';
  if (schema instanceof z.ZodUnion) return words.get(schema)?.allowed ?? 'a mapping';
  if (schema instanceof z.ZodArray) return 'a list';
  if (schema instanceof z.ZodEnum || schema instanceof z.ZodLiteral) return listOf(choicesOf(schema));
  return TEXT;
}

function numberWords(schema: z.ZodNumber): string {
  const noun = schema.isInt ? 'a whole number' : 'a number';
  const least =
    schema.minValue !== null && schema.minValue > Number.MIN_SAFE_INTEGER ? schema.minValue : null;
  const most = schema.maxValue !== null && schema.maxValue < Number.MAX_SAFE_INTEGER ? schema.maxValue : null;
  if (least !== null && most !== null) return `${noun} from ${least} to ${most}`;
  if (least !== null) return `${noun} from ${least}`;
  return most === null ? noun : `${noun} up to ${most}`;
}

function choicesOf(schema: z.core.$ZodType | undefined): string[] {
  if (schema instanceof z.ZodEnum) return schema.options.map(String);
  if (schema instanceof z.ZodLiteral) return [...schema.values].map(String);
  if (schema instanceof z.ZodUnion) {
    return (schema.options as readonly z.core.$ZodType[]).flatMap((option) => choicesOf(option));
  }
  return [];
}

export function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

const SHOWN_MAX = 80;

/** A value as it stands in the file; a secret is never repeated. */
export function foundText(node: Tree | undefined, path: Path): string {
  if (node === undefined) return 'nothing';
  if (node.kind === 'mapping') return 'a mapping';
  if (node.kind === 'list') return node.items.length === 0 ? 'an empty list' : 'a list';
  if (node.value === null) return 'nothing';
  if (node.fromEnvironment) return `${shorten(node.source, SHOWN_MAX)} (from the environment)`;
  if (path.at(-1) === 'password' || path.at(-2) === 'headers')
    return typeof node.value === 'string' ? 'a text' : `a ${typeof node.value}`;
  if (typeof node.value !== 'string') return node.source;
  return node.quoted || node.value === ''
    ? JSON.stringify(shorten(node.value, SHOWN_MAX))
    : shorten(node.value, SHOWN_MAX);
}
