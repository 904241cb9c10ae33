/** How a bridge's configuration says to reach its servers: proxy, certificates, names. */
import type { BridgeConfig } from '../config/schema.js';
import { GodwitError } from '../core/error.js';
import { parseProxy } from './proxy.js';
import type { TlsSecrets, Way } from './transport.js';

export function wayOf(config: BridgeConfig, tls: TlsSecrets | undefined): Way {
  const proxy = config.proxy === undefined ? undefined : parseProxy(config.proxy);
  if (config.proxy !== undefined && proxy === undefined) {
    // Not shown: it may carry a password.
    throw new GodwitError(
      'BRIDGE_PROXY',
      'The proxy is no URL of one: write http://HOST:PORT or socks5://HOST:PORT, and %25 for a % in its password',
    );
  }
  const { alpn, servername } = config.tls ?? {};
  return {
    ...(tls !== undefined && { tls }),
    ...(alpn !== undefined && { alpn }),
    ...(servername !== undefined && { serverName: servername }),
    ...(proxy !== undefined && { proxy }),
  };
}
