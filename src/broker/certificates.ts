/**
 * The certificates of listeners: as Node wants them, and how long they are still good for.
 *
 *   fine ──30 days before the end──▶ soon ──▶ expired ──a new one, read on SIGHUP──▶ fine
 *
 * Each change of state is one line in the log.
 */
import { X509Certificate } from 'node:crypto';
import type { TlsOptions } from 'node:tls';
import type { ListenerSecrets } from '../config/secrets.js';
import type { Clock, Timer } from '../core/clock.js';
import type { Log } from '../core/log.js';

const DAY_MS = 86_400_000;
/** Long enough to notice, and to get a new one from an authority that is a person. */
export const WARN_DAYS = 30;
const LOOK_AGAIN_MS = DAY_MS / 2;

export function tlsOptions({ cert, key, clientCa }: ListenerSecrets): TlsOptions {
  return {
    cert,
    key,
    minVersion: 'TLSv1.2',
    ...(clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  };
}

export type Validity = 'fine' | 'soon' | 'expired' | 'not yet';

export function validityOf(certificate: X509Certificate, wallMs: number): Validity {
  if (wallMs < Date.parse(certificate.validFrom)) return 'not yet';
  const leftMs = Date.parse(certificate.validTo) - wallMs;
  if (leftMs <= 0) return 'expired';
  return leftMs <= WARN_DAYS * DAY_MS ? 'soon' : 'fine';
}

export class CertificateWatch {
  readonly #clock: Clock;
  readonly #log: Log;
  /** By listener and key of the configuration. */
  readonly #watched = new Map<string, { readonly certificate: X509Certificate; validity: Validity }>();
  #timer: Timer | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Replaces what the listener had before. */
  watch(listener: string, { cert, clientCa }: ListenerSecrets): void {
    this.#take(`${listener} cert`, listener, 'cert', cert);
    if (clientCa !== undefined) this.#take(`${listener} client_ca`, listener, 'client_ca', clientCa);
    this.#lookAgain();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#watched.clear();
  }

  #take(id: string, listener: string, key: string, pem: Buffer): void {
    const before = this.#watched.get(id)?.validity ?? 'fine';
    const entry = { certificate: new X509Certificate(pem), validity: before };
    this.#watched.set(id, entry);
    this.#judge(entry, listener, key);
  }

  #lookAgain(): void {
    this.#timer ??= this.#clock.at(this.#clock.monotonicMs() + LOOK_AGAIN_MS, () => {
      this.#timer = undefined;
      for (const [id, entry] of this.#watched) {
        const [listener, key] = id.split(' ') as [string, string];
        this.#judge(entry, listener, key);
      }
      this.#lookAgain();
    });
  }

  #judge(
    entry: { readonly certificate: X509Certificate; validity: Validity },
    listener: string,
    key: string,
  ): void {
    const { certificate, validity: before } = entry;
    const wallMs = this.#clock.wallMs();
    entry.validity = validityOf(certificate, wallMs);
    if (entry.validity === before) return;
    const { subject, validFrom, validTo } = certificate;
    const fields = { listener, key, subject, validFrom, validTo };
    switch (entry.validity) {
      case 'soon': {
        const days = Math.floor((Date.parse(validTo) - wallMs) / DAY_MS);
        this.#log.warn(
          { ...fields, days },
          'The certificate of a listener expires soon; replace its file and send SIGHUP',
        );
        return;
      }
      case 'expired':
        this.#log.error(
          fields,
          'The certificate of a listener has expired and clients refuse it; replace its file and send SIGHUP',
        );
        return;
      case 'not yet':
        this.#log.warn(
          fields,
          'The certificate of a listener is not valid yet, or the clock of this machine is wrong',
        );
        return;
      case 'fine':
        this.#log.info(fields, 'The certificate of a listener is valid again');
    }
  }
}
