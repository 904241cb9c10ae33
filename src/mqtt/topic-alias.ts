/**
 * Topic Aliases of one connection and one direction each; they end with the connection [MQTT5-3.3.2-7].
 * (Signatures first; the body follows.)
 */
import type { ReasonCode } from './reason-code.js';

/** What a peer's PUBLISH means. */
export class IncomingAliases {
  /** `maximum`: the Topic Alias Maximum that we announced. */
  constructor(_maximum: number) {}

  /** The Topic Name meant, or the Reason Code to close with (a number). */
  resolve(_topic: string, _topicAlias: number | undefined): string | ReasonCode {
    throw new Error('not built yet');
  }
}

export interface AliasUse {
  readonly topicAlias: number;
  /** The peer knows the alias: send an empty Topic Name. False: send name and alias together. */
  readonly known: boolean;
}

/** Which aliases our PUBLISHes use, within the peer's maximum. */
export class OutgoingAliases {
  /** `maximum`: the Topic Alias Maximum that the peer announced; 0 gives none [MQTT5-3.1.2-27]. */
  constructor(_maximum: number) {}

  /** Undefined: send the name alone. Call it only for a PUBLISH that is certainly written: the peer learns from it. */
  assign(_topic: string): AliasUse | undefined {
    throw new Error('not built yet');
  }
}
