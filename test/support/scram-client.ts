import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** The client's side of SCRAM-SHA-256, written from RFC 5802 and not from the server's side. */
export class ScramClient {
  readonly #user: string;
  readonly #password: string;
  readonly #nonce: string;
  #serverSignature = '';

  constructor(user: string, password: string, nonce = randomBytes(12).toString('base64')) {
    this.#user = user;
    this.#password = password;
    this.#nonce = nonce;
  }

  get #bare(): string {
    return `n=${this.#user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${this.#nonce}`;
  }

  first(): Buffer {
    return Buffer.from(`n,,${this.#bare}`);
  }

  final(serverFirst: Uint8Array): Buffer {
    const challenge = Buffer.from(serverFirst).toString();
    const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(challenge) ?? [];
    if (nonce === undefined || !nonce.startsWith(this.#nonce))
      throw new Error(`not a challenge: ${challenge}`);
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt!, 'base64'), Number(iterations), 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const withoutProof = `c=biws,r=${nonce}`;
    const message = `${this.#bare},${challenge},${withoutProof}`;
    const signature = hmac(createHash('sha256').update(clientKey).digest(), message);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ signature[at]!));
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), message).toString('base64');
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
  }

  /** Whether the server has proven itself too. */
  believes(serverFinal: Uint8Array | undefined): boolean {
    return Buffer.from(serverFinal ?? []).toString() === `v=${this.#serverSignature}`;
  }
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
