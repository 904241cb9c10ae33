/**
 * Topic Names and Topic Filters: what is well-formed, what matches. Pure string work on exact code points, no
 * normalisation [MQTT311-4.7.3-4] [MQTT5-4.7.3-4].
 */
import type { ProtocolVersion } from './packet.js';
import { STRING_BYTES_MAX } from './wire.js';

const SHARE = '$share/';

/** A shared subscription `$share/{shareName}/{topicFilter}`, taken apart. */
export interface SharedFilter {
  readonly shareName: string;
  readonly topicFilter: string;
}

export function validTopicName(topicName: string): boolean {
  return !topicName.includes('+') && !topicName.includes('#') && validText(topicName);
}

/** In 5.0 a filter starting `$share/` must be a whole shared subscription; in 3.1.1 it is like any other. */
export function validTopicFilter(topicFilter: string, protocolVersion: ProtocolVersion = 5): boolean {
  if (!validText(topicFilter)) return false;
  if (protocolVersion === 5 && (topicFilter === '$share' || topicFilter.startsWith(SHARE))) {
    const shared = parseSharedFilter(topicFilter);
    return shared !== undefined && wildcardsInPlace(shared.topicFilter);
  }
  return wildcardsInPlace(topicFilter);
}

/** Undefined where the filter is not of the form `$share/{shareName}/{filter}` [MQTT5-4.8.2-1] [MQTT5-4.8.2-2]. */
export function parseSharedFilter(topicFilter: string): SharedFilter | undefined {
  if (!topicFilter.startsWith(SHARE)) return undefined;
  const slash = topicFilter.indexOf('/', SHARE.length);
  if (slash <= SHARE.length || slash === topicFilter.length - 1) return undefined;
  const shareName = topicFilter.slice(SHARE.length, slash);
  if (shareName.includes('+') || shareName.includes('#')) return undefined;
  return { shareName, topicFilter: topicFilter.slice(slash + 1) };
}

/** Both must be valid; the filter of a shared subscription without its `$share/{shareName}/`. */
export function matches(topicFilter: string, topicName: string): boolean {
  const filterLength = topicFilter.length;
  const nameLength = topicName.length;
  const first = topicFilter.charCodeAt(0);
  // [MQTT311-4.7.2-1] [MQTT5-4.7.2-1]
  if (topicName.charCodeAt(0) === DOLLAR && (first === PLUS || first === HASH)) return false;
  let atFilter = 0;
  let atName = 0;
  while (atFilter < filterLength) {
    const code = topicFilter.charCodeAt(atFilter);
    if (code === HASH) return true;
    if (code === PLUS) {
      atFilter += 1;
      while (atName < nameLength && topicName.charCodeAt(atName) !== SLASH) atName += 1;
    } else if (atName < nameLength && topicName.charCodeAt(atName) === code) {
      atFilter += 1;
      atName += 1;
    } else {
      // `a/#` matches its parent `a` too.
      return atName === nameLength && atFilter + 2 === filterLength && topicFilter.endsWith('/#');
    }
  }
  return atName === nameLength;
}

/** Whether there is a Topic Name that both filters match. Both valid, shared ones without their `$share/{shareName}/`. */
export function overlap(a: string, b: string): boolean {
  const levelsA = a.split('/');
  const levelsB = b.split('/');
  if (hidesDollar(levelsA[0]!) && levelsB[0]!.startsWith('$')) return false;
  if (hidesDollar(levelsB[0]!) && levelsA[0]!.startsWith('$')) return false;
  for (let level = 0; ; level += 1) {
    const inA = levelsA[level];
    const inB = levelsB[level];
    if (inA === undefined || inB === undefined) {
      if (inA === inB) return true;
      // `a/#` matches `a` too; but what `/#` has in common with `+` is only the empty name, which is none.
      const onlyEmptyName = level === 1 && (levelsA[0] === '' || levelsB[0] === '');
      return (inA === '#' || inB === '#') && !onlyEmptyName;
    }
    if (inA === '#' || inB === '#') return true;
    if (inA !== inB && inA !== '+' && inB !== '+') return false;
  }
}

const PLUS = 0x2b;
const HASH = 0x23;
const SLASH = 0x2f;
const DOLLAR = 0x24;

function hidesDollar(firstLevel: string): boolean {
  return firstLevel === '+' || firstLevel === '#';
}

/** At least one character, no U+0000, no half of a surrogate pair, and it fits its length field [MQTT5-4.7.3-1] to [MQTT5-4.7.3-3]. */
function validText(text: string): boolean {
  if (text === '' || text.includes('\0') || /\p{Surrogate}/u.test(text)) return false;
  return text.length * 3 <= STRING_BYTES_MAX || Buffer.byteLength(text) <= STRING_BYTES_MAX;
}

/** Wildcards fill whole levels, `#` the last one [MQTT5-4.7.1-1] [MQTT5-4.7.1-2]. */
function wildcardsInPlace(topicFilter: string): boolean {
  for (let at = 0; at < topicFilter.length; at += 1) {
    const code = topicFilter.charCodeAt(at);
    if (code !== PLUS && code !== HASH) continue;
    if (at > 0 && topicFilter.charCodeAt(at - 1) !== SLASH) return false;
    if (at === topicFilter.length - 1) continue;
    if (code === HASH || topicFilter.charCodeAt(at + 1) !== SLASH) return false;
  }
  return true;
}
