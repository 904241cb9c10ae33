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

/** Why a server may not like it, by this clock; undefined: it is in its time. */
export function outOfTime(cert: Buffer, nowWallMs: number): string | undefined {
  const { validFrom, validTo } = new X509Certificate(cert);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  if (nowWallMs >= from && nowWallMs <= to) return undefined;
  const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
  return `tls.cert is valid from ${iso(from)} to ${iso(to)}, and this clock says ${iso(nowWallMs)}`;
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
