/**
 * The Authorizer of a configured broker: password file, SCRAM file and ACL file, each replaced while clients are
 * connected. They stay connected; what they may do changes with the next message.
 *
 *   CONNECT with a method ──▶ SCRAM            its user name counts
 *           with a user name ──▶ password file, where there is one; a name that only SCRAM could prove is refused
 *           without ──▶ allow_anonymous
 *
 * Where there are no users at all, a name proves nothing: the client is nobody by name, to the ACL too.
 */
import { randomBytes } from 'node:crypto';
import type { AccessFiles } from '../config/access-files.js';
import { ReasonCode } from '../mqtt/reason-code.js';
import { Permissions } from './acl.js';
import type { Authentication, Authorizer, Credentials, Identity } from './authorizer.js';
import { PasswordCheck } from './password-check.js';
import { SCRAM_SHA_256, ScramServer, ScramUsers } from './scram.js';

export class AccessControl implements Authorizer {
  #allowAnonymous: boolean;
  #files: AccessFiles;
  #scram: ScramUsers | undefined;
  readonly #passwords: PasswordCheck;
  /** By connection; they go with it. */
  #permissions = new WeakMap<Identity, Permissions>();

  constructor(files: AccessFiles, allowAnonymous: boolean) {
    this.#files = files;
    this.#allowAnonymous = allowAnonymous;
    this.#passwords = new PasswordCheck(files.passwords ?? new Map());
    this.#scram = files.scram === undefined ? undefined : new ScramUsers(files.scram);
  }

  replace(files: AccessFiles, allowAnonymous: boolean): void {
    this.#files = files;
    this.#allowAnonymous = allowAnonymous;
    this.#passwords.replace(files.passwords ?? new Map());
    this.#scram = files.scram === undefined ? undefined : new ScramUsers(files.scram);
    this.#permissions = new WeakMap();
  }

  connect(credentials: Credentials, answer: (reasonCode: ReasonCode, identity?: Identity) => void): void {
    const { clientId, username, password } = credentials;
    const { passwords, scram } = this.#files;
    if (username === undefined || (passwords === undefined && scram === undefined)) {
      const nobody: Identity = { clientId, username: undefined };
      answer(this.#allowAnonymous ? ReasonCode.success : ReasonCode.notAuthorized, nobody);
    } else if (passwords === undefined || password === undefined) {
      answer(ReasonCode.badUserNameOrPassword);
    } else {
      this.#passwords.check(username, password, (outcome) => {
        if (outcome === 'right') answer(ReasonCode.success, { clientId, username });
        else answer(outcome === 'busy' ? ReasonCode.serverBusy : ReasonCode.badUserNameOrPassword);
      });
    }
  }

  authenticate(method: string): Authentication | undefined {
    if (this.#scram === undefined || method !== SCRAM_SHA_256) return undefined;
    return new ScramServer(this.#scram, randomBytes(18).toString('base64'));
  }

  mayPublish(identity: Identity, topicName: string): boolean {
    return this.#of(identity)?.mayWrite(topicName) ?? true;
  }

  mayReceive(identity: Identity, topicName: string): boolean {
    return this.#of(identity)?.mayRead(topicName) ?? true;
  }

  maySubscribe(identity: Identity, topicFilter: string): boolean {
    return this.#of(identity)?.maySubscribe(topicFilter) ?? true;
  }

  /** Undefined: there is no ACL, everyone may do everything. */
  #of(identity: Identity): Permissions | undefined {
    const { acl } = this.#files;
    if (acl === undefined) return undefined;
    let permissions = this.#permissions.get(identity);
    if (permissions === undefined) {
      permissions = new Permissions(acl, identity.username, identity.clientId);
      this.#permissions.set(identity, permissions);
    }
    return permissions;
  }
}
