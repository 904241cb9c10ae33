/** Listeners that others can reach: what goes over them can be read and changed on the way where there is no TLS. */

import { isLoopback, isTlsScheme, LISTENER_SCHEMES, parseEndpoint } from '../../config/endpoint.js';
import type { Config } from '../../config/schema.js';
import { type Finding, findings } from './finding.js';

export function checkListeners({ broker, http }: Pick<Config, 'broker' | 'http'>): readonly Finding[] {
  const { list, ok, warn } = findings('listeners');
  for (const [index, { url }] of broker.listeners.entries()) {
    const endpoint = parseEndpoint(url, LISTENER_SCHEMES);
    if ('problem' in endpoint || isTlsScheme(endpoint.scheme) || isLoopback(endpoint.host)) continue;
    const secure = endpoint.scheme === 'ws' ? 'wss' : 'mqtts';
    warn(
      `others can reach ${url}, and there is no TLS: passwords and commands go in clear${broker.allow_anonymous === true ? ', and nobody is asked for one' : ''}`,
      `broker.listeners[${index}].url: ${secure}:// with cert and key, or the address 127.0.0.1`,
    );
  }
  const listen = http === undefined ? undefined : parseEndpoint(http.listen, ['http']);
  if (listen !== undefined && !('problem' in listen) && !isLoopback(listen.host)) {
    warn(
      `others can reach ${http?.listen}, which has neither TLS nor a login`,
      'http.listen: http://127.0.0.1:PORT, and a proxy with TLS in front of it',
    );
  }
  if (list.length === 0) ok('every listener is on this machine alone, or has TLS');
  return list;
}
