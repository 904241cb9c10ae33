/** What the gateway and the thread of a driver of the user's own say to each other. */
import type { UserDevice } from './user-driver.js';

export interface HostStart {
  readonly url: string;
  readonly name: string;
  readonly options: unknown;
  readonly devices: Readonly<Record<string, UserDevice>>;
}

export type ToHost =
  | {
      readonly kind: 'read';
      readonly id: number;
      readonly device: string;
      readonly points: readonly string[];
    }
  | {
      readonly kind: 'write';
      readonly id: number;
      readonly device: string;
      readonly point: string;
      readonly value: number | boolean | string | bigint;
    }
  | { readonly kind: 'close'; readonly id: number };

export type FromHost =
  | { readonly kind: 'opened' }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly why: string }
  | { readonly kind: 'published'; readonly device: string; readonly values: unknown }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly text: string };
