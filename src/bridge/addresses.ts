/**
 * Which addresses a name stands for, also while DNS is broken: those that worked last are remembered, on disk where
 * there is a door to it.
 *
 *   resolve ──▶ name service ──answer in time──▶ addresses, the one that worked last first, those that failed last
 *                     └──fault, or none in time──▶ the remembered ones, said once; else the fault
 *
 * The system's own resolver is asked (hosts file and mDNS included). It cannot be hurried or cancelled, and two lookups
 * that hang keep all others of the process waiting, so a name is never asked for twice at a time; an answer that comes
 * too late serves the next attempt.
 */
import { lookup as lookupName } from 'node:dns';
import { isIP } from 'node:net';
import type { Clock } from '../core/clock.js';
import type { KeyValueDoor } from '../core/key-value.js';

/** resolv.conf gives up after 10 s by default, but with more name servers or attempts only after a minute. */
export const LOOKUP_MS_MAX = 10_000;
/** How long a late answer may still be used. */
const LATE_ANSWER_MS_MAX = 60_000;
/** Of one name; a cloud may give out hundreds in turn. */
const ADDRESSES_MAX = 8;
/** Names that are remembered: servers, a proxy, and whom servers refer to. */
const NAMES_MAX = 16;

export type Lookup = (
  host: string,
  done: (fault: Error | undefined, addresses: readonly string[]) => void,
) => void;

export interface AddressesOptions {
  readonly lookup: Lookup;
  readonly clock: Clock;
  readonly door?: KeyValueDoor;
  /** DNS began to fail for a name whose addresses are remembered (with the reason), or works again. */
  readonly told?: (host: string, reason: string | undefined) => void;
}

export type Resolved =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  | { readonly kind: 'fault'; readonly fault: Error };

interface Question {
  readonly waiting: Set<(answer: Resolved) => void>;
}

export const systemLookup: Lookup = (host, done) => {
  lookupName(host, { all: true, order: 'verbatim' }, (fault, found) => {
    done(
      fault ?? undefined,
      (found ?? []).map(({ address }) => address),
    );
  });
};

export class Addresses {
  readonly #options: AddressesOptions;
  readonly #asked = new Map<string, Question>();
  readonly #late = new Map<string, { readonly addresses: readonly string[]; readonly atMs: number }>();
  /** What DNS said last, as it said it. */
  readonly #answers = new Map<string, readonly string[]>();
  /** What worked last, by name, the best first: as on disk. */
  readonly #memory = new Map<string, readonly string[]>();
  /** Addresses that led to nothing, the latest last. */
  readonly #failed = new Set<string>();
  /** Why DNS fails, by name. */
  readonly #faults = new Map<string, string>();

  constructor(options: AddressesOptions) {
    this.#options = options;
  }

  /** Calls back once, perhaps at once; the function that it returns takes the question back. */
  resolve(host: string, done: (answer: Resolved) => void): () => void {
    if (isIP(host) !== 0) {
      done({ kind: 'addresses', addresses: [host] });
      return () => undefined;
    }
    const { clock } = this.#options;
    const late = this.#late.get(host);
    this.#late.delete(host);
    if (late !== undefined && clock.monotonicMs() - late.atMs <= LATE_ANSWER_MS_MAX) {
      done(this.#answered(host, late.addresses));
      return () => undefined;
    }
    let open = true;
    const finish = (answer: Resolved): void => {
      if (!open) return;
      open = false;
      timer.cancel();
      waiting.delete(finish);
      done(answer);
    };
    const timer = clock.at(clock.monotonicMs() + LOOKUP_MS_MAX, () =>
      finish(this.#failing(host, noAnswer(host))),
    );
    const { waiting } = this.#question(host);
    waiting.add(finish);
    return () => {
      open = false;
      timer.cancel();
      waiting.delete(finish);
    };
  }

  /** A server spoke MQTT there. */
  worked(host: string, address: string): void {
    this.#failed.delete(address);
    if (isIP(host) !== 0) return;
    const others = (this.#answers.get(host) ?? this.#remembered(host)).filter((one) => one !== address);
    const addresses = [address, ...others].slice(0, ADDRESSES_MAX);
    const { door } = this.#options;
    const text = JSON.stringify(addresses);
    if (text === JSON.stringify(this.#remembered(host))) return;
    this.#memory.set(host, addresses);
    if (door === undefined) return;
    const names = [...door.entries()].map(([name]) => name).filter((name) => name !== host);
    for (const name of names.slice(0, Math.max(0, names.length + 1 - NAMES_MAX))) door.remove(name);
    door.put(host, Buffer.from(text));
  }

  /** Something answered there, and it was no MQTT. */
  failed(address: string): void {
    this.#failed.delete(address);
    this.#failed.add(address);
    if (this.#failed.size > NAMES_MAX * ADDRESSES_MAX) {
      for (const oldest of this.#failed) {
        this.#failed.delete(oldest);
        break;
      }
    }
  }

  /** A sentence where the addresses of this name are remembered ones. */
  remark(host: string): string | undefined {
    const reason = this.#faults.get(host);
    return reason === undefined
      ? undefined
      : `DNS did not resolve ${host} (${reason}), and the addresses that it had last were used`;
  }

  #remembered(host: string): readonly string[] {
    const known = this.#memory.get(host);
    if (known !== undefined) return known;
    const bytes = this.#options.door?.get(host);
    const read = bytes === undefined ? [] : parseAddresses(bytes);
    this.#memory.set(host, read);
    return read;
  }

  #question(host: string): Question {
    const known = this.#asked.get(host);
    if (known !== undefined) return known;
    const question: Question = { waiting: new Set() };
    this.#asked.set(host, question);
    this.#options.lookup(host, (fault, addresses) => {
      this.#asked.delete(host);
      if (question.waiting.size === 0) {
        if (addresses.length === 0) return;
        this.#late.set(host, { addresses, atMs: this.#options.clock.monotonicMs() });
        return;
      }
      const answer =
        fault === undefined && addresses.length > 0
          ? this.#answered(host, addresses)
          : this.#failing(host, fault ?? noAnswer(host));
      for (const finish of [...question.waiting]) finish(answer);
    });
    return question;
  }

  #answered(host: string, addresses: readonly string[]): Resolved {
    this.#answers.set(host, addresses);
    if (this.#faults.delete(host)) this.#options.told?.(host, undefined);
    const [best] = this.#remembered(host);
    return { kind: 'addresses', addresses: inOrder(addresses, best, this.#failed) };
  }

  #failing(host: string, fault: Error): Resolved {
    const remembered = this.#remembered(host);
    if (remembered.length === 0) return { kind: 'fault', fault };
    const reason = 'code' in fault ? String(fault.code) : fault.message;
    const isNew = !this.#faults.has(host);
    this.#faults.set(host, reason);
    if (isNew) this.#options.told?.(host, reason);
    return { kind: 'addresses', addresses: inOrder(remembered, remembered[0], this.#failed) };
  }
}

/**
 * The families in turn, beginning with that of the first, as the system sorts by what can be reached [RFC 8305 §4];
 * before them the address that worked last (its server may have our session), after them those that failed, the
 * latest last: so each has its turn.
 */
export function inOrder(
  addresses: readonly string[],
  best: string | undefined,
  failed: ReadonlySet<string>,
): readonly string[] {
  const unique = [...new Set(addresses)];
  const first = isIP(unique[0] ?? '');
  const [one, other] = [
    unique.filter((address) => isIP(address) === first),
    unique.filter((address) => isIP(address) !== first),
  ];
  const turns = one.flatMap((address, index) => [address, ...other.slice(index, index + 1)]);
  const woven = [...turns, ...other.slice(one.length)];
  const places = new Map([...failed].map((address, index) => [address, index + 1]));
  const place = (address: string): number => places.get(address) ?? (address === best ? -1 : 0);
  return woven.sort((a, b) => place(a) - place(b)).slice(0, ADDRESSES_MAX);
}

function parseAddresses(bytes: Uint8Array): readonly string[] {
  try {
    const read: unknown = JSON.parse(Buffer.from(bytes).toString());
    return Array.isArray(read) ? read.filter((one): one is string => isIP(String(one)) !== 0) : [];
  } catch {
    // Written by nobody we know: the same as nothing remembered.
    return [];
  }
}

function noAnswer(host: string): Error {
  return Object.assign(new Error(`${host} was not resolved within ${LOOKUP_MS_MAX / 1000} s`), {
    code: 'ERR_DNS_TIMEOUT',
  });
}
