/** What the main thread and the storage worker say to each other. Buffers are transferred, not copied. */
import type { Batch } from './batch.js';
import type { OpeningOptions } from './opening.js';
import type {
  CommitOutcome,
  InspectAnswer,
  InspectRequest,
  News,
  Opened,
  ReadAnswer,
  ReadRequest,
  SpoolAnswer,
  SpoolRequest,
} from './transport.js';

export type WorkerData = OpeningOptions;

export type ToWorker =
  | { readonly kind: 'commit'; readonly batch: Batch; readonly wallMs: number }
  | { readonly kind: 'read'; readonly id: number; readonly request: ReadRequest }
  | { readonly kind: 'inspect'; readonly id: number; readonly request: InspectRequest }
  | { readonly kind: 'readSpool'; readonly id: number; readonly request: SpoolRequest }
  | { readonly kind: 'close' };

export type FromWorker =
  | { readonly kind: 'opened'; readonly opened: Opened }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string; readonly fields: object }
  | { readonly kind: 'outcome'; readonly outcome: CommitOutcome }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: ReadAnswer }
  | { readonly kind: 'inspected'; readonly id: number; readonly answer: InspectAnswer }
  | { readonly kind: 'spoolAnswer'; readonly id: number; readonly answer: SpoolAnswer }
  | { readonly kind: 'news'; readonly news: News }
  | { readonly kind: 'closed' };
