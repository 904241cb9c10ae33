/** Listeners against each other and against what clients without a name may do. */
import { filterProblem, gatewayTopicProblem } from './check-topics.js';
import type { Path } from './config-error.js';
import {
  type Endpoint,
  isAnyAddress,
  isLoopback,
  isTlsScheme,
  LISTENER_SCHEMES,
  parseEndpoint,
} from './endpoint.js';
import { nearest } from './nearest.js';
import type { Report } from './report.js';
import { keysAt } from './schema-at.js';
import { itemsAt, nodeAt, textAt } from './tree.js';

interface Listener {
  readonly path: Path;
  readonly endpoint: Endpoint;
  /** Clients must show a certificate. */
  readonly certified?: boolean;
}

export function checkBroker(report: Report): void {
  const { tree } = report;
  const listeners = itemsAt(tree, ['broker', 'listeners']).flatMap((item, index) =>
    listenerAt(['broker', 'listeners', index, 'url'], textAt(item, ['url']), LISTENER_SCHEMES).map(
      (listener) => ({
        ...listener,
        certified: textAt(item, ['client_ca']) !== undefined,
      }),
    ),
  );
  const page = listenerAt(['http', 'listen'], textAt(tree, ['http', 'listen']), ['http']);
  for (const { path, endpoint } of listeners) {
    checkCertificateKeys(report, path.slice(0, -1), endpoint.scheme);
    checkOrigins(report, path.slice(0, -1), endpoint.scheme);
  }
  checkPorts(report, [...listeners, ...page]);
  checkAnonymous(report, listeners);
  checkStatusTopic(report);
  checkRecord(report);
}

function listenerAt(path: Path, url: string | undefined, schemes: readonly string[]): Listener[] {
  if (url === undefined) return [];
  const endpoint = parseEndpoint(url, schemes);
  // A wrong URL has its own error.
  return 'problem' in endpoint ? [] : [{ path, endpoint }];
}

const WITHOUT_TLS: Readonly<Record<string, string>> = { mqtt: 'mqtts', ws: 'wss' };

/** A certificate where it is shown, and nowhere else: one that is ignored would be taken for encryption. */
function checkCertificateKeys(report: Report, listener: Path, scheme: string): void {
  const { tree } = report;
  if (isTlsScheme(scheme)) {
    for (const key of ['cert', 'key']) {
      const path = [...listener, key];
      if (nodeAt(tree, path) === undefined)
        report.missing(path, `the path of a file, for a ${scheme} listener`);
    }
    return;
  }
  for (const key of ['cert', 'key', 'client_ca']) {
    const path = [...listener, key];
    if (nodeAt(tree, path) === undefined) continue;
    report.atKey(
      path,
      `found ${key} for a ${scheme} listener, which has no TLS; remove it, or write ${WITHOUT_TLS[scheme]}:// in url`,
    );
  }
}

function checkOrigins(report: Report, listener: Path, scheme: string): void {
  const path = [...listener, 'origins'];
  if (scheme === 'ws' || scheme === 'wss' || nodeAt(report.tree, path) === undefined) return;
  report.atKey(path, `found origins for a ${scheme} listener, allowed: for ws and wss, which browsers speak`);
}

function checkPorts(report: Report, listeners: readonly Listener[]): void {
  for (const [index, { path, endpoint }] of listeners.entries()) {
    const taken = listeners.slice(0, index).some(({ endpoint: other }) => clash(endpoint, other));
    if (taken) {
      report.at(
        path,
        `found port ${endpoint.port} a second time, allowed: an address and port of its own for each listener`,
      );
    }
  }
}

function clash(a: Endpoint, b: Endpoint): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || isAnyAddress(a.host) || isAnyAddress(b.host);
}

function checkAnonymous(report: Report, listeners: readonly Listener[]): void {
  const node = nodeAt(report.tree, ['broker', 'allow_anonymous']);
  const said = node?.kind === 'scalar' && typeof node.value === 'boolean' ? node.value : undefined;
  const usersKnown = namesUsers(report);
  if (said === false && !usersKnown) {
    report.at(
      ['broker', 'allow_anonymous'],
      'found false and no users, so that nobody could connect; name a broker.password_file (godwit passwd FILE USER makes one), or set it to true',
    );
  }
  if (node !== undefined || usersKnown) return;
  for (const { path, endpoint, certified } of listeners) {
    if (isLoopback(endpoint.host)) continue;
    report.at(
      path,
      certified
        ? `found ${endpoint.host} and client certificates, but nothing about users; name a broker.password_file, or set broker.allow_anonymous: true to let in everyone with a certificate`
        : `found ${endpoint.host}, which others can reach, and nothing about who may connect; name a broker.password_file, listen on 127.0.0.1, or set broker.allow_anonymous: true to let everyone in`,
    );
  }
}

/** A slip in the name of such a key is told by itself; it was meant all the same. */
function namesUsers(report: Report): boolean {
  const broker = nodeAt(report.tree, ['broker']);
  if (broker?.kind !== 'mapping') return false;
  const known = keysAt(report.tree, ['broker']);
  return [...broker.entries.keys()].some((key) => {
    const meant = known.includes(key) ? key : nearest(key, known);
    return meant === 'password_file' || meant === 'scram_file';
  });
}

function checkStatusTopic(report: Report): void {
  const topic = textAt(report.tree, ['gateway', 'status_topic']);
  const problem = topic === undefined ? undefined : gatewayTopicProblem(topic);
  if (problem !== undefined) report.at(['gateway', 'status_topic'], problem);
}

function checkRecord(report: Report): void {
  for (const [index, item] of itemsAt(report.tree, ['journal', 'record']).entries()) {
    const filter = textAt(item, []);
    const problem = filter === undefined ? undefined : filterProblem(filter, false);
    if (problem !== undefined) report.at(['journal', 'record', index], problem);
  }
}
