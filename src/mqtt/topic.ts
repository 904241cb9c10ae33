/**
 * Topic Names and Topic Filters: what is well-formed, what matches. Pure string work on exact code points, no
 * normalisation [MQTT5-4.7.3-4].
 */
import type { ProtocolVersion } from './packet.js';

/** A shared subscription `$share/{shareName}/{topicFilter}`, taken apart. */
export interface SharedFilter {
  readonly shareName: string;
  readonly topicFilter: string;
}

export function validTopicName(_topicName: string): boolean {
  throw new Error('not built yet');
}

/** In 5.0 a filter starting `$share/` must be a whole shared subscription; in 3.1.1 it is like any other. */
export function validTopicFilter(_topicFilter: string, _protocolVersion: ProtocolVersion = 5): boolean {
  throw new Error('not built yet');
}

/** Undefined where the filter is not of the form `$share/{shareName}/{filter}`. */
export function parseSharedFilter(_topicFilter: string): SharedFilter | undefined {
  throw new Error('not built yet');
}

/** Both must be valid; the filter of a shared subscription without its `$share/{shareName}/`. */
export function matches(_topicFilter: string, _topicName: string): boolean {
  throw new Error('not built yet');
}

/** Whether there is a Topic Name that both filters match. */
export function overlap(_a: string, _b: string): boolean {
  throw new Error('not built yet');
}
