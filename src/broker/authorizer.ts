/**
 * Who may do what. Asked for CONNECT, PUBLISH, SUBSCRIBE and each delivery. `connect` answers through a callback, since
 * checking a password takes a thread its time; the others answer at once, since they are asked for every message.
 */
import { ReasonCode } from '../mqtt/reason-code.js';

export interface Credentials {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly remoteAddress: string;
}

/** One object for one connection: an Authorizer may remember what it found out about it. */
export interface Identity {
  readonly clientId: string;
  /** As it was proven or allowed; undefined: nobody by name. */
  readonly username: string | undefined;
}

export interface Authorizer {
  /**
   * Calls `answer` once: success, or the Reason Code that CONNACK carries. `identity` where it is to be another than
   * what CONNECT says of itself.
   */
  connect(credentials: Credentials, answer: (reasonCode: ReasonCode, identity?: Identity) => void): void;
  mayPublish(identity: Identity, topicName: string): boolean;
  maySubscribe(identity: Identity, topicFilter: string): boolean;
  /** Whether a message of this topic may be delivered to it; absent: whatever it may subscribe to. */
  mayReceive?(identity: Identity, topicName: string): boolean;
  /** Starts enhanced authentication; undefined: the method is not offered. Absent: none is. */
  authenticate?(method: string): Authentication | undefined;
}

/** One exchange of enhanced authentication [MQTT5-4.12]. */
export interface Authentication {
  /** `data`: what CONNECT or AUTH carried; undefined: nothing. */
  step(data: Uint8Array | undefined): AuthenticationStep;
}

export type AuthenticationStep =
  | { readonly kind: 'continue'; readonly data: Uint8Array }
  | { readonly kind: 'done'; readonly username: string; readonly data: Uint8Array }
  | { readonly kind: 'failed'; readonly why: string };

/** Everybody, or nobody. */
export class AnonymousAuthorizer implements Authorizer {
  readonly #allow: boolean;

  constructor(allow: boolean) {
    this.#allow = allow;
  }

  connect(_credentials: Credentials, answer: (reasonCode: ReasonCode) => void): void {
    answer(this.#allow ? ReasonCode.success : ReasonCode.notAuthorized);
  }

  mayPublish(): boolean {
    return true;
  }

  maySubscribe(): boolean {
    return true;
  }
}
