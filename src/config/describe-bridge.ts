/** How a bridge would reach its servers, in one line, and what of that is allowed and probably not meant. */
import { isLoopback, isTlsScheme, parseEndpoint, SERVER_SCHEMES } from './endpoint.js';
import { durationText } from './quantity.js';
import type { BridgeConfig } from './schema.js';
import { expandGateway } from './template.js';

export interface BridgeReport {
  readonly bridge: string;
  readonly servers: readonly string[];
  readonly clientId: string;
  /** Further words, for a person. */
  readonly how: readonly string[];
}

export function describeBridge(bridge: string, config: BridgeConfig, gatewayId: string): BridgeReport {
  const { on_down: onDown, password_max_age: maxAge, tls } = config;
  const how = [`MQTT ${config.version}`];
  if (tls?.cert !== undefined) how.push('with a client certificate');
  if (config.password_file !== undefined) how.push('password from a file');
  if (config.password_command !== undefined) {
    how.push(`password from a program${maxAge === undefined ? '' : ` every ${durationText(maxAge)}`}`);
  }
  if (config.proxy !== undefined) how.push(`through the proxy ${withoutUser(config.proxy)}`);
  if (onDown !== undefined) {
    const again = onDown.every === undefined ? '' : ` and again every ${durationText(onDown.every)}`;
    how.push(`runs ${onDown.command[0]} when down for ${durationText(onDown.after)}${again}`);
  }
  return { bridge, servers: config.servers, clientId: expandGateway(config.client_id, gatewayId), how };
}

export function* wayWarnings(name: string, config: BridgeConfig): Generator<string> {
  const isSecret =
    config.password !== undefined ||
    config.password_file !== undefined ||
    config.password_command !== undefined ||
    config.headers !== undefined;
  for (const server of isSecret ? config.servers : []) {
    const endpoint = parseEndpoint(server, SERVER_SCHEMES);
    if ('problem' in endpoint || isTlsScheme(endpoint.scheme) || isLoopback(endpoint.host)) continue;
    yield `bridge ${name} sends its password to ${server} in the clear; mqtts:// or wss:// would not`;
  }
}

function withoutUser(proxy: string): string {
  return proxy.replace(/^([a-z0-9]+:\/\/)[^@/]*@/, '$1');
}
