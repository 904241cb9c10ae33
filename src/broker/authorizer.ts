/**
 * Who may do what. Asked for CONNECT, PUBLISH, SUBSCRIBE. `connect` answers through a callback, since checking a
 * password takes a thread its time; the others answer at once, since they are asked for every message.
 */
import { ReasonCode } from '../mqtt/reason-code.js';

export interface Credentials {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly remoteAddress: string;
}

export interface Identity {
  readonly clientId: string;
  readonly username: string | undefined;
}

export interface Authorizer {
  /** Calls `answer` once: success, or the Reason Code that CONNACK carries. */
  connect(credentials: Credentials, answer: (reasonCode: ReasonCode) => void): void;
  mayPublish(identity: Identity, topicName: string): boolean;
  maySubscribe(identity: Identity, topicFilter: string): boolean;
}

/** Everybody, or nobody: all there is until there are password files. */
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

/** The default: anonymous clients only while every listener can be reached from this machine alone. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname === '[::1]' ||
    hostname === '::1' ||
    /^127(\.\d{1,3}){3}$/.test(hostname)
  );
}
