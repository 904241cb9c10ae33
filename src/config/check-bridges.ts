/** Bridges: what depends on a second value. */
import { filterProblem, gatewayTemplateProblem, gatewayTopicProblem } from './check-topics.js';
import type { Path } from './config-error.js';
import { isTlsScheme, isWebSocketScheme, parseEndpoint, SERVER_SCHEMES } from './endpoint.js';
import { parseDuration } from './quantity.js';
import type { Report } from './report.js';
import { expandGateway } from './template.js';
import { entriesAt, itemsAt, nodeAt, type Tree, textAt } from './tree.js';

export function checkBridges(report: Report): void {
  const owners = new Map<string, string>();
  for (const [bridge, node] of entriesAt(report.tree, ['bridges'])) {
    if (node.kind !== 'mapping') continue;
    const path = ['bridges', bridge];
    checkCredentials(report, path, node);
    checkTls(report, path, node);
    checkHeaders(report, path, node);
    checkVersion(report, path, node);
    checkBackoff(report, path, node);
    checkStatus(report, path, node);
    checkRules(report, path, node);
    checkClientId(report, path, node, bridge, owners);
  }
}

function checkCredentials(report: Report, path: Path, bridge: Tree): void {
  const has = (key: string): boolean => nodeAt(bridge, [key]) !== undefined;
  const [first, second] = PASSWORDS.filter(has);
  if (first !== undefined && second !== undefined) {
    report.atKey([...path, second], `found ${first} and ${second}, allowed: one of them`);
  }
  if (has('password_max_age') && !has('password_command')) {
    report.atKey([...path, 'password_max_age'], 'found password_max_age without password_command; remove it');
  }
  // [MQTT311-3.1.2-22]; MQTT 5 lets a password go alone.
  if (
    textAt(bridge, ['version']) === '3.1.1' &&
    !has('username') &&
    first !== undefined &&
    !inHeaders(bridge)
  ) {
    report.missing([...path, 'username'], 'username, since MQTT 3.1.1 has no password without one');
  }
  for (const key of ['username', 'password', 'client_id']) {
    if (Buffer.byteLength(textAt(bridge, [key]) ?? '') > 65_535) {
      report.at([...path, key], 'found more than 65535 bytes, which MQTT cannot carry');
    }
  }
}

const PASSWORDS = ['password', 'password_file', 'password_command'] as const;

/** Whether a header carries the password. */
function inHeaders(bridge: Tree): boolean {
  return entriesAt(bridge, ['headers']).some(
    ([, value]) => textAt(value, [])?.includes('{password}') === true,
  );
}

function checkTls(report: Report, path: Path, bridge: Tree): void {
  const tls = nodeAt(bridge, ['tls']);
  if (tls?.kind !== 'mapping') return;
  const [cert, key] = [tls.entries.has('cert'), tls.entries.has('key')];
  if (cert && !key) report.missing([...path, 'tls', 'key'], 'key, the private key of cert');
  if (key && !cert) report.missing([...path, 'tls', 'cert'], 'cert, the certificate of key');
  if (noServer(bridge, isTlsScheme)) {
    report.atKey(
      [...path, 'tls'],
      'found tls, but no server is mqtts:// or wss://; write one of them or remove it',
    );
  }
}

function checkHeaders(report: Report, path: Path, bridge: Tree): void {
  if (inHeaders(bridge) && PASSWORDS.every((key) => nodeAt(bridge, [key]) === undefined)) {
    report.at(
      [...path, 'headers'],
      'found {password} in headers, needed: password, password_file or password_command',
    );
  }
  if (nodeAt(bridge, ['headers']) === undefined || !noServer(bridge, isWebSocketScheme)) return;
  report.atKey(
    [...path, 'headers'],
    'found headers, but no server is ws:// or wss://; write one of them or remove it',
  );
}

/** Whether all servers can be read, and none is of these schemes. */
function noServer(bridge: Tree, wanted: (scheme: string) => boolean): boolean {
  const servers = itemsAt(bridge, ['servers']).map((server) =>
    parseEndpoint(textAt(server, []) ?? '', SERVER_SCHEMES),
  );
  return servers.length > 0 && servers.every((server) => 'scheme' in server && !wanted(server.scheme));
}

function checkVersion(report: Report, path: Path, bridge: Tree): void {
  if (textAt(bridge, ['version']) !== '3.1.1') return;
  for (const key of ['session_expiry', 'will_delay']) {
    if (nodeAt(bridge, [key]) === undefined) continue;
    report.atKey([...path, key], `found ${key}, which MQTT 3.1.1 does not have; remove it or set version: 5`);
  }
}

function checkBackoff(report: Report, path: Path, bridge: Tree): void {
  const [min, max] = ['min', 'max'].map((key) => parseDuration(textAt(bridge, ['backoff', key]) ?? ''));
  const [least, most] = [min ?? 1000, max ?? 300_000];
  if (least <= most || nodeAt(bridge, ['backoff']) === undefined) return;
  const key = min === undefined ? 'max' : 'min';
  report.at([...path, 'backoff', key], 'found min above max, allowed: min up to max');
}

function checkStatus(report: Report, path: Path, bridge: Tree): void {
  const status = textAt(bridge, ['status']) ?? 'own';
  const why =
    status === 'own' || status === 'none' || status === '' ? undefined : gatewayTopicProblem(status);
  if (why !== undefined) report.at([...path, 'status'], why);
}

function checkRules(report: Report, path: Path, bridge: Tree): void {
  const check = (at: Path, problem: (text: string) => string | undefined): void => {
    const text = textAt(report.tree, at);
    const why = text === undefined || text === '' ? undefined : problem(text);
    if (why !== undefined) report.at(at, why);
  };
  for (const index of itemsAt(bridge, ['forward']).keys()) {
    const rule = [...path, 'forward', index];
    check([...rule, 'filter'], (filter) => filterProblem(filter, false));
    check([...rule, 'strip'], gatewayTopicProblem);
    check([...rule, 'prefix'], gatewayTopicProblem);
    check([...rule, 'batch', 'topic'], gatewayTopicProblem);
    checkStrip(report, rule);
    checkOrder(report, rule);
  }
  for (const index of itemsAt(bridge, ['receive']).keys()) {
    check([...path, 'receive', index, 'filter'], (filter) => filterProblem(filter, true));
  }
}

/** What overtakes everything has no history to be overtaken. */
function checkOrder(report: Report, rule: Path): void {
  const [priority, order] = ['priority', 'order'].map((key) => textAt(report.tree, [...rule, key]));
  if (priority === 'high' && order === 'live-first') {
    report.at([...rule, 'order'], 'found live-first with priority: high, which is sent in order: remove one');
  }
}

/** A filter without wildcards that is stripped whole leaves nothing to publish on. */
function checkStrip(report: Report, rule: Path): void {
  const [filter, strip, prefix] = ['filter', 'strip', 'prefix'].map((key) =>
    textAt(report.tree, [...rule, key]),
  );
  if (strip !== undefined && strip !== '' && strip === filter && (prefix ?? '') === '') {
    report.at([...rule, 'strip'], 'found the whole topic, allowed: less, since an empty topic would be left');
  }
}

/** Two clients of one name throw each other off the server for ever. [MQTT5-3.1.4-3] */
function checkClientId(
  report: Report,
  path: Path,
  bridge: Tree,
  name: string,
  owners: Map<string, string>,
): void {
  const template = textAt(bridge, ['client_id']) ?? '{gateway}';
  const problem =
    gatewayTemplateProblem(template) ??
    (template.includes('\0') ? 'found NUL, allowed: text without it' : undefined);
  if (problem !== undefined) {
    report.at([...path, 'client_id'], problem);
    return;
  }
  const clientId = expandGateway(template, textAt(report.tree, ['gateway', 'id']) ?? '');
  for (const [index, server] of itemsAt(bridge, ['servers']).entries()) {
    const endpoint = parseEndpoint(textAt(server, []) ?? '', SERVER_SCHEMES);
    if ('problem' in endpoint) continue;
    const place = JSON.stringify([endpoint.host, endpoint.port, clientId]);
    const owner = owners.get(place);
    if (owner !== undefined && owner !== name) {
      const at = nodeAt(bridge, ['client_id']) === undefined ? ['servers', index] : ['client_id'];
      report.at(
        [...path, ...at],
        `found client identifier ${clientId} on ${endpoint.host}:${endpoint.port}, which bridge ${owner} uses already; give each bridge a client_id of its own`,
      );
      return;
    }
    owners.set(place, name);
  }
}
