/** What a bridge is given: its configuration, and the doors to the rest of the gateway. */
import type { BridgeConfig } from '../config/schema.js';
import type { Clock } from '../core/clock.js';
import type { Log } from '../core/log.js';
import type { Message } from '../core/message.js';
import type { SampleSet } from '../core/sample.js';
import type { Storage } from '../storage/storage.js';
import type { Lookup } from './addresses.js';
import type { RunCommand } from './command.js';
import type { ReplayJobs } from './replay-job.js';
import type { Dial, TlsSecrets } from './transport.js';

export interface BridgeOptions {
  readonly name: string;
  readonly config: BridgeConfig;
  readonly secrets: {
    readonly password?: string;
    /** Where that password was read, absolute: it is read again at each attempt. */
    readonly passwordFile?: string;
    readonly tls?: TlsSecrets;
  };
  /** Where the commands of its configuration run; absent: where the gateway does. */
  readonly folder?: string;
  readonly gateway: {
    readonly id: string;
    readonly version: string;
    /** Milliseconds since the epoch. */
    readonly since: number;
    /** Rendered. */
    readonly statusTopic: string;
  };
  readonly storage: Storage;
  readonly encode?: (set: SampleSet) => Uint8Array;
  /** The broker's publish door, for what the receive rules bring. Acknowledged upstream only after `accepted(true)`. */
  readonly publish: (message: Message, accepted: (ok: boolean) => void) => void;
  readonly clock: Clock;
  readonly log: Log;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly dial?: Dial;
  readonly lookup?: Lookup;
  /** The machine's own addresses: a new one lets a bridge that waits try at once. Absent: they are not watched. */
  readonly network?: () => ReadonlySet<string>;
  readonly runCommand?: RunCommand;
  /** Replays of all bridges; absent: this one has none. */
  readonly replays?: ReplayJobs;
}
