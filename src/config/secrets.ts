/**
 * The files that bridges and listeners name: passwords, certificates and keys. Read once with the configuration, so that a wrong
 * one is an error at its key in the configuration and not a failed connection at night.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { reasonOf } from '../core/error.js';
import type { Path } from './config-error.js';
import { passwordIn } from './password-text.js';
import { readFileBounded } from './read-file.js';
import type { Report } from './report.js';
import { entriesAt, itemsAt, textAt } from './tree.js';

export interface BridgeSecrets {
  /** Of `password_file`; a password in the configuration stays there. */
  readonly password?: string;
  /** Where it was read: it may be replaced at any time. */
  readonly passwordFile?: string;
  /** PEM, as read. */
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** PEM, as read, of a listener that shows a certificate. */
export interface ListenerSecrets {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Present: clients must show a certificate of one of these. */
  readonly clientCa?: Buffer;
}

export interface Secrets {
  /** By the place of the listener in `broker.listeners`; undefined for one without TLS. */
  readonly listeners: readonly (ListenerSecrets | undefined)[];
  readonly bridges: { readonly [bridge: string]: BridgeSecrets };
}

export const NO_SECRETS: Secrets = { bridges: {}, listeners: [] };

const FILE_BYTES_MAX = 1024 * 1024;

/** Reads what the tree names, relative to `folder`, and reports what is wrong at its key. */
export function readSecrets(report: Report, folder: string): Secrets {
  const bridges = entriesAt(report.tree, ['bridges']).map(
    ([name]) => [name, bridgeSecrets(report, ['bridges', name], folder)] as const,
  );
  const listeners = itemsAt(report.tree, ['broker', 'listeners']).map((_item, index) =>
    listenerSecrets(report, ['broker', 'listeners', index], folder),
  );
  return { bridges: Object.fromEntries(bridges), listeners };
}

function listenerSecrets(report: Report, path: Path, folder: string): ListenerSecrets | undefined {
  const clientCa = readNamed(report, [...path, 'client_ca'], folder);
  if (clientCa !== undefined) certificatesOf(report, [...path, 'client_ca'], clientCa);
  const { cert, key } = readPair(report, path, folder);
  if (cert === undefined || key === undefined) return undefined;
  return clientCa === undefined ? { cert, key } : { cert, key, clientCa };
}

/** What OpenSSL objects to beyond syntax, such as keys that are too short. */
function checkUsable(report: Report, path: Path, cert: Buffer, key: Buffer): void {
  try {
    createSecureContext({ cert, key });
  } catch (fault) {
    report.at(path, `found a certificate that TLS does not take: ${reasonOf(fault)}`);
  }
}

/** `cert` and `key` of the mapping at `path`, which must belong together. */
function readPair(
  report: Report,
  path: Path,
  folder: string,
): { readonly cert: Buffer | undefined; readonly key: Buffer | undefined } {
  const [certPath, keyPath] = [
    [...path, 'cert'],
    [...path, 'key'],
  ];
  const cert = readNamed(report, certPath, folder);
  const key = readNamed(report, keyPath, folder);
  const leaf = cert === undefined ? undefined : certificatesOf(report, certPath, cert)?.[0];
  const privateKey = key === undefined ? undefined : keyOf(report, keyPath, key);
  if (cert === undefined || key === undefined || leaf === undefined || privateKey === undefined) {
    return { cert, key };
  }
  if (leaf.checkPrivateKey(privateKey)) {
    checkUsable(report, certPath, cert, key);
  } else {
    const certKey = path[0] === 'bridges' ? 'tls.cert' : 'cert';
    report.at(keyPath, `found a key of another certificate, allowed: the private key of ${certKey}`);
  }
  return { cert, key };
}

function bridgeSecrets(report: Report, path: Path, folder: string): BridgeSecrets {
  const read = (...keys: string[]): Buffer | undefined => readNamed(report, [...path, ...keys], folder);
  const passwordBytes = read('password_file');
  const password = passwordBytes && passwordOf(report, [...path, 'password_file'], passwordBytes);
  const passwordFile = textAt(report.tree, [...path, 'password_file']);
  const ca = read('tls', 'ca');
  if (ca !== undefined) certificatesOf(report, [...path, 'tls', 'ca'], ca);
  const { cert, key } = readPair(report, [...path, 'tls'], folder);
  return {
    ...(password === undefined || passwordFile === undefined
      ? {}
      : { password, passwordFile: resolve(folder, passwordFile) }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function readNamed(report: Report, path: Path, folder: string): Buffer | undefined {
  const named = textAt(report.tree, path);
  if (named === undefined || named === '') return undefined;
  const file = resolve(folder, named);
  const read = readFileBounded(file, FILE_BYTES_MAX);
  if (read.kind === 'bytes' && read.bytes.length > 0) return read.bytes;
  report.at(path, `found ${file}, but ${read.kind === 'problem' ? read.problem : 'it is empty'}`);
  return undefined;
}

function passwordOf(report: Report, path: Path, bytes: Buffer): string | undefined {
  const text = passwordIn(bytes);
  if (text.kind === 'password') return text.password;
  report.at(path, `found a file with ${text.problem}, needed: the password in its first line`);
  return undefined;
}

function certificatesOf(report: Report, path: Path, bytes: Buffer): X509Certificate[] | undefined {
  const blocks = bytes.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  if (blocks === null) {
    report.at(path, 'found a file without a certificate, needed: PEM with -----BEGIN CERTIFICATE-----');
    return undefined;
  }
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (fault) {
    report.at(path, `found a certificate that cannot be read: ${reasonOf(fault)}`);
    return undefined;
  }
}

function keyOf(report: Report, path: Path, bytes: Buffer): KeyObject | undefined {
  const text = bytes.toString('latin1');
  if (/ENCRYPTED/.test(text)) {
    report.at(
      path,
      'found a key with a passphrase, allowed: a key without one (openssl pkey -in KEY -out PLAIN)',
    );
    return undefined;
  }
  try {
    return createPrivateKey(bytes);
  } catch (fault) {
    const why = text.includes('PRIVATE KEY-----') ? `: ${reasonOf(fault)}` : '';
    report.at(
      path,
      `found a file without a readable private key${why}, needed: PEM with -----BEGIN PRIVATE KEY-----`,
    );
    return undefined;
  }
}
