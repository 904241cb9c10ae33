/** Which certificate of a server's chain is out of its time, and by which clock: what a person must see to mend it. */
import type { DetailedPeerCertificate } from 'node:tls';

export interface Validity {
  /** Undefined: the server's own. */
  readonly authority: string | undefined;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Replaces the bare code that OpenSSL gives. */
export class CertificateTimeError extends Error {
  readonly code: 'CERT_NOT_YET_VALID' | 'CERT_HAS_EXPIRED';
  readonly validity: Validity;
  readonly wallMs: number;

  constructor(code: CertificateTimeError['code'], validity: Validity, wallMs: number) {
    super(code);
    this.name = 'CertificateTimeError';
    this.code = code;
    this.validity = validity;
    this.wallMs = wallMs;
  }
}

/** A chain longer than any that verifies. */
const CHAIN_MAX = 10;

/** From the server's own certificate upwards. */
export function chainOf(leaf: DetailedPeerCertificate): readonly Validity[] {
  const chain: Validity[] = [];
  let certificate: DetailedPeerCertificate | undefined = leaf;
  while (certificate?.valid_from !== undefined && chain.length < CHAIN_MAX) {
    chain.push({
      authority: chain.length === 0 ? undefined : nameOf(certificate),
      fromMs: Date.parse(certificate.valid_from),
      toMs: Date.parse(certificate.valid_to),
    });
    const issuer: DetailedPeerCertificate = certificate.issuerCertificate;
    // An authority of its own is its own issuer.
    certificate = issuer === certificate ? undefined : issuer;
  }
  return chain;
}

/** The fault with its dates, if it is about time and a certificate of the chain is out of its own. */
export function withDates(fault: Error, chain: readonly Validity[], wallMs: number): Error {
  const code = 'code' in fault ? fault.code : undefined;
  if (code !== 'CERT_NOT_YET_VALID' && code !== 'CERT_HAS_EXPIRED') return fault;
  const found = chain.find(({ fromMs, toMs }) =>
    code === 'CERT_NOT_YET_VALID' ? wallMs < fromMs : wallMs > toMs,
  );
  return found === undefined ? fault : new CertificateTimeError(code, found, wallMs);
}

function nameOf({ subject }: DetailedPeerCertificate): string {
  const name = subject.CN ?? subject.O ?? 'without a name';
  return String(name).replace(/\s+/g, ' ').slice(0, 100);
}
