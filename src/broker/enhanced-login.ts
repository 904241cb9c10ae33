/**
 * Enhanced authentication on one connection [MQTT5-4.12]: the exchange that CONNECT begins, and those by which the
 * client proves itself again. Pure: packets in, what to do out.
 *
 *   CONNECT ──▶ AUTH 0x18 ⇄ AUTH 0x18 ──▶ done: CONNACK 0x00
 *   AUTH 0x19 ─▶ AUTH 0x18 ⇄ AUTH 0x18 ──▶ done: AUTH 0x00      other packets go on meanwhile, under the old name
 */
import type { AuthPacket, ConnectPacket } from '../mqtt/packet.js';
import type { Properties } from '../mqtt/property.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import type { Authentication, Authorizer } from './authorizer.js';

export type LoginStep =
  /** `properties` for AUTH, or for the packet that ends the exchange: the method and the data [MQTT5-4.12.0-5]. */
  | { readonly do: 'challenge'; readonly properties: Properties }
  | { readonly do: 'welcome'; readonly username: string; readonly properties: Properties }
  | { readonly do: 'refuse'; readonly reasonCode: ReasonCode; readonly why: string };

export class EnhancedLogin {
  readonly #method: string;
  readonly #authorizer: Authorizer;
  /** As CONNECT names it, then as it was proven: it cannot become another. */
  #username: string | undefined;
  #proven = false;
  #exchange: Authentication | undefined;

  /** Only for a CONNECT with an Authentication Method. */
  constructor(packet: ConnectPacket, authorizer: Authorizer) {
    this.#method = packet.properties?.authenticationMethod ?? '';
    this.#username = packet.username;
    this.#authorizer = authorizer;
  }

  connect(packet: ConnectPacket): LoginStep {
    return this.#begin(packet.properties?.authenticationData);
  }

  auth({ reasonCode, properties }: AuthPacket): LoginStep {
    // [MQTT5-4.12.0-5] [MQTT5-4.12.1-1]
    if (properties?.authenticationMethod !== this.#method) {
      return refused(ReasonCode.protocolError, 'AUTH has another Authentication Method than CONNECT');
    }
    const data = properties.authenticationData;
    if (reasonCode === ReasonCode.reAuthenticate) {
      return this.#proven && this.#exchange === undefined
        ? this.#begin(data)
        : refused(ReasonCode.protocolError, 'AUTH begins an exchange while another is under way');
    }
    if (this.#exchange === undefined || reasonCode !== ReasonCode.continueAuthentication) {
      return refused(ReasonCode.protocolError, 'AUTH goes on with an exchange that nobody began');
    }
    return this.#step(this.#exchange, data ?? new Uint8Array(0));
  }

  #begin(data: Uint8Array | undefined): LoginStep {
    this.#exchange = this.#authorizer.authenticate?.(this.#method);
    if (this.#exchange !== undefined) return this.#step(this.#exchange, data);
    // [MQTT5-4.12.0-1]; later, where its file is gone, a code that DISCONNECT may carry.
    return refused(
      this.#proven ? ReasonCode.notAuthorized : ReasonCode.badAuthenticationMethod,
      `authentication method ${JSON.stringify(this.#method.slice(0, 100))} is not supported`,
    );
  }

  #step(exchange: Authentication, data: Uint8Array | undefined): LoginStep {
    const step = exchange.step(data);
    if (step.kind === 'failed') return refused(ReasonCode.notAuthorized, step.why);
    const properties = { authenticationMethod: this.#method, authenticationData: step.data };
    if (step.kind === 'continue') return { do: 'challenge', properties };
    this.#exchange = undefined;
    if (this.#username !== undefined && this.#username !== step.username) {
      return refused(ReasonCode.notAuthorized, 'another user was proven than the one that CONNECT names');
    }
    this.#username = step.username;
    this.#proven = true;
    return { do: 'welcome', username: step.username, properties };
  }
}

function refused(reasonCode: ReasonCode, why: string): LoginStep {
  return { do: 'refuse', reasonCode, why };
}
