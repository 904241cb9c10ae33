/**
 * Which messages leave over a bridge, and as what. The gateway's own news (device states, losses) go to every
 * bridge, unless its `status` says otherwise, and are asked first; then the first `forward` rule whose filter matches decides. Pure: asked when a
 * message is accepted, so that a later change of the rules orphans no backlog.
 */
import type { BridgeConfig } from '../config/schema.js';
import type { BatchPolicy, Lane, Route } from '../core/route.js';
import { matches } from '../mqtt/topic.js';

export interface ForwardingGateway {
  readonly id: string;
  /** Rendered. The bridge tells its server its own status itself: a journalled one would arrive late and lie. */
  readonly statusTopic?: string;
}

export function routeFor(
  bridge: string,
  config: BridgeConfig,
  gateway: ForwardingGateway,
  topic: string,
): Route | undefined {
  const own = `godwit/${gateway.id}/`;
  if (topic === (gateway.statusTopic ?? `${own}status`)) return undefined;
  const losses = topic === `${own}losses`;
  if (losses && config.status !== 'own' && config.status !== 'none') {
    const prefix = renderGateway(config.status, gateway.id);
    return { bridge, lane: 'normal', qos: 1, retain: 'clear', strip: topic, prefix, properties: 'all' };
  }
  if (config.status === 'own' && (losses || matches(`${own}devices/+/status`, topic))) {
    return { bridge, lane: 'normal', qos: 1, retain: 'keep', strip: '', prefix: '', properties: 'all' };
  }
  for (const rule of config.forward) {
    if (!matches(renderGateway(rule.filter, gateway.id), topic)) continue;
    return {
      bridge,
      lane: laneOf(rule),
      qos: rule.qos,
      retain: rule.retain,
      strip: renderGateway(rule.strip, gateway.id),
      prefix: renderGateway(rule.prefix, gateway.id),
      properties: rule.properties,
      ...(rule.batch !== undefined && { batch: batchOf(rule.batch, gateway.id) }),
    };
  }
  return undefined;
}

function batchOf(
  batch: NonNullable<BridgeConfig['forward'][number]['batch']>,
  gatewayId: string,
): BatchPolicy {
  return {
    topic: renderGateway(batch.topic, gatewayId),
    encoding: batch.encoding,
    compress: batch.compress,
    maxDelayMs: batch.max_delay,
    maxBytes: batch.max_bytes,
    maxMessages: batch.max_messages,
  };
}

function laneOf(rule: BridgeConfig['forward'][number]): Lane {
  if (rule.priority === 'high') return 'high';
  return rule.order === 'live-first' ? 'history' : 'normal';
}

/** Where this bridge's server is told whether the gateway is online; undefined: nowhere. */
export function statusTopic(
  config: BridgeConfig,
  gateway: { readonly id: string; readonly statusTopic: string },
): string | undefined {
  if (config.status === 'none') return undefined;
  return config.status === 'own' ? gateway.statusTopic : renderGateway(config.status, gateway.id);
}

export function renderGateway(template: string, gatewayId: string): string {
  return template.replaceAll('{gateway}', gatewayId);
}

/** The topic on the server's side. Empty where `strip` took all of it: no server would take such a message. */
export function topicUpstream(route: Route, topic: string): string {
  const kept = route.strip !== '' && topic.startsWith(route.strip) ? topic.slice(route.strip.length) : topic;
  return route.prefix + kept;
}
