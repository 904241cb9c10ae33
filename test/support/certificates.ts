/** An authority of a test's own, and what it has signed: elliptic curves, since making RSA keys takes its time. */
import { generate } from 'selfsigned';

export interface Signed {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export class Authority {
  readonly #pair: { readonly cert: string; readonly key: string };

  private constructor(pair: { readonly cert: string; readonly key: string }) {
    this.#pair = pair;
  }

  static async make(name = 'Test authority'): Promise<Authority> {
    const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: new Date('2020-01-01'),
      notAfterDate: new Date('2049-01-01'),
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      ],
    });
    return new Authority({ cert, key });
  }

  get cert(): Buffer {
    return Buffer.from(this.#pair.cert);
  }

  /** Good for localhost and 127.0.0.1, as server or as client; by default valid on whatever day a test plays. */
  async sign(
    name: string,
    times: { readonly notBefore?: Date; readonly notAfter?: Date } = {},
  ): Promise<Signed> {
    const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
      keyType: 'ec',
      algorithm: 'sha256',
      ca: this.#pair,
      notBeforeDate: times.notBefore ?? new Date('2020-01-01'),
      notAfterDate: times.notAfter ?? new Date('2049-01-01'),
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        {
          name: 'subjectAltName',
          altNames: [
            { type: 2, value: 'localhost' },
            { type: 7, ip: '127.0.0.1' },
          ],
        },
      ],
    });
    return { cert: Buffer.from(cert), key: Buffer.from(key) };
  }
}
