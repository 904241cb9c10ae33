/**
 * What the schema objects to, said to an operator: `found 9600baud, allowed: a whole number from 50 to 4000000`.
 * Of the several ways in which a value fits no form at all, only the one that was meant is told.
 */

import { type Path, shorten } from './config-error.js';
import { words } from './kind.js';
import { isLaterKey, isLaterValue } from './later.js';
import { didYouMean } from './nearest.js';
import type { Report } from './report.js';
import { busSchema } from './schema.js';
import { driverMeant, driverOf, keysAt, pointSchemaAt, schemaAt } from './schema-at.js';
import { nodeAt, plainValue, type Tree, UNKNOWN } from './tree.js';
import { z } from './zod.js';

type Issue = z.core.$ZodIssue;

/** Without a text of its own an issue's message is empty, and what is allowed is read off the schema. */
export const noWords = { error: () => '' };

export function reportIssue(report: Report, issue: Issue): void {
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
  const choices = choicesAt(tree, path);
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
  if (issue.discriminator !== undefined) return reportBus(report, path.slice(0, -1));
  if (path.length === 4 && path[0] === 'devices' && path[2] === 'points') {
    return reportPoint(report, path);
  }
  const deep = issue.errors.find((issues) => issues.some((inner) => inner.path.length > 0));
  if (deep === undefined || nodeAt(tree, path)?.kind === 'scalar') return false;
  for (const inner of deep) reportIssue(report, { ...inner, path: [...path, ...inner.path] });
  return true;
}

/** A bus whose driver is wrong is judged as the one that was probably meant. */
function reportBus(report: Report, path: Path): boolean {
  const { tree } = report;
  const node = nodeAt(tree, path);
  if (node?.kind !== 'mapping') return false;
  const { key, option } = driverMeant(tree, path);
  if (option !== undefined) {
    const judged = option.safeParse(
      { ...(plainValue(node) as object), driver: option.shape.driver.value },
      noWords,
    );
    for (const issue of judged.error?.issues ?? []) {
      reportIssue(report, { ...issue, path: [...path, ...issue.path] });
    }
  } else if (key !== undefined && key !== 'driver') {
    report.atKey([...path, key], 'found an unknown key, did you mean driver?');
  }
  // A slip in the key itself is told by now.
  return key !== undefined && key !== 'driver';
}

function reportPoint(report: Report, path: Path): boolean {
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
      report.at(path, 'found a point without a source, needed: register (Modbus) or simulate (simulator)');
    }
    return true;
  }
  const issues = schema.safeParse(plainValue(node), noWords).error?.issues ?? [];
  for (const issue of issues) reportIssue(report, { ...issue, path: [...path, ...issue.path] });
  return true;
}

function allowedAt(tree: Tree, path: Path, issue: Issue): string {
  if (issue.message !== '') return issue.message;
  if ('discriminator' in issue && issue.code === 'invalid_union') {
    return listOf(busSchema.options.map((option) => option.shape.driver.value));
  }
  return wordsFor(schemaAt(tree, path));
}

const TEXT = 'text';

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

function choicesAt(tree: Tree, path: Path): string[] {
  if (path.length === 3 && path[0] === 'buses' && path[2] === 'driver') {
    return busSchema.options.map((option) => option.shape.driver.value);
  }
  return choicesOf(schemaAt(tree, path));
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
