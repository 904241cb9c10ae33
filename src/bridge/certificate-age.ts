/** Warns of a client certificate that is about to expire: by then somebody must have come by with a new one. */
import { X509Certificate } from 'node:crypto';

export const WARN_DAYS = 30;
const DAY_MS = 86_400_000;

/** Whole days left, from -∞; undefined: more than anybody need be told. */
export function daysLeft(cert: Buffer, nowWallMs: number): number | undefined {
  const endMs = Date.parse(new X509Certificate(cert).validTo);
  const days = Math.floor((endMs - nowWallMs) / DAY_MS);
  return days <= WARN_DAYS ? days : undefined;
}

/** Once a day at most. */
export class CertificateAge {
  readonly #cert: Buffer;
  #toldAtMs = -Infinity;

  constructor(cert: Buffer) {
    this.#cert = cert;
  }

  /** Asked at each connect. */
  toTell(nowWallMs: number, nowMonotonicMs: number): number | undefined {
    if (nowMonotonicMs - this.#toldAtMs < DAY_MS) return undefined;
    const days = daysLeft(this.#cert, nowWallMs);
    if (days !== undefined) this.#toldAtMs = nowMonotonicMs;
    return days;
  }
}
