/**
 * Bytes of a line to frames: pure, and bounded whatever the line carries.
 *
 *   push ──▶ buffer ──scan──▶ frame ──verify──▶ out            what no frame can begin with: discarded, counted
 *                      └─ more bytes needed        └─ wrong check sum: counted; where a start or a length made the
 *                                                     frame, the search goes on one byte later
 *
 * A frame is all its bytes, for check sums and binary points; its body is what stands between start and end, for text.
 */

export interface Frame {
  readonly bytes: Uint8Array;
  readonly body: Uint8Array;
}

export type Framing =
  | { readonly kind: 'delimiter'; readonly delimiter: Uint8Array; readonly start?: Uint8Array }
  | { readonly kind: 'fixed'; readonly length: number; readonly start?: Uint8Array }
  | {
      readonly kind: 'prefixed';
      readonly at: number;
      readonly size: 1 | 2;
      readonly littleEndian: boolean;
      readonly add: number;
      readonly start?: Uint8Array;
    }
  | {
      readonly kind: 'enclosed';
      readonly start: Uint8Array;
      readonly end: Uint8Array;
      readonly after: number;
    }
  | { readonly kind: 'idle' }
  | { readonly kind: 'regex'; readonly regex: RegExp };

export interface FramerRules {
  readonly framing: Framing;
  /** A pause that ends an idle frame, or throws away what is incomplete; Infinity: never. */
  readonly idleMs: number;
  readonly bytesMax: number;
  /** Whether the check sum is right; absent: there is none. */
  readonly verify?: (bytes: Uint8Array) => boolean;
}

type Scan =
  | { readonly kind: 'frame'; readonly frame: Frame; readonly used: number }
  | { readonly kind: 'discard'; readonly count: number }
  | { readonly kind: 'more' };

const MORE: Scan = { kind: 'more' };

export class Framer {
  readonly #rules: FramerRules;
  readonly #scan: (buffer: Buffer, ended: boolean) => Scan;
  #buffer: Buffer = Buffer.alloc(0);
  #lastByteMs = -Infinity;
  /** The rest of a line that was too long is no line. */
  #skippingLine = false;
  /** Bytes that became no frame. */
  discarded = 0;
  /** Frames whose check sum was wrong. */
  corrupt = 0;

  constructor(rules: FramerRules) {
    this.#rules = rules;
    this.#scan = scannerOf(rules);
  }

  /** When `tick` has something to do; Infinity: only with more bytes. */
  get deadlineMs(): number {
    return this.#buffer.length === 0 ? Infinity : this.#lastByteMs + this.#rules.idleMs;
  }

  push(bytes: Uint8Array, nowMs: number): Frame[] {
    const frames = this.tick(nowMs);
    this.#lastByteMs = nowMs;
    // In slices, so that one large read is no larger in here than many small ones.
    for (let at = 0; at < bytes.length; at += this.#rules.bytesMax) {
      this.#buffer = Buffer.concat([this.#buffer, bytes.subarray(at, at + this.#rules.bytesMax)]);
      this.#take(frames, false);
      this.#bound();
    }
    return frames;
  }

  /** The line has been quiet: what there is, is all there will be. */
  tick(nowMs: number): Frame[] {
    const frames: Frame[] = [];
    if (nowMs < this.deadlineMs) return frames;
    this.#take(frames, true);
    this.#discard(this.#buffer.length);
    this.#skippingLine = false;
    return frames;
  }

  /** A new connection: what came over the old one is thrown away. */
  reset(): void {
    this.#discard(this.#buffer.length);
    this.#skippingLine = false;
    this.#lastByteMs = -Infinity;
  }

  #take(into: Frame[], ended: boolean): void {
    while (this.#buffer.length > 0) {
      const scan = this.#scan(this.#buffer, ended);
      if (scan.kind === 'more') return;
      if (scan.kind === 'discard') {
        this.#discard(scan.count);
        continue;
      }
      const { frame, used } = scan;
      if (this.#skippingLine) {
        this.#skippingLine = false;
        this.#discard(used);
      } else if (frame.bytes.length > this.#rules.bytesMax) {
        this.#discard(used);
      } else if (this.#rules.verify === undefined || this.#rules.verify(frame.bytes)) {
        this.#buffer = this.#buffer.subarray(used);
        if (frame.body.length > 0) into.push(frame);
      } else {
        this.corrupt += 1;
        this.#discard(this.#resumesInside ? 1 : used);
      }
    }
  }

  /** Whether a frame that is none may hide the beginning of one. */
  get #resumesInside(): boolean {
    const { kind } = this.#rules.framing;
    return kind === 'fixed' || kind === 'prefixed' || kind === 'enclosed';
  }

  #bound(): void {
    const excess = this.#buffer.length - this.#rules.bytesMax;
    if (excess <= 0) return;
    const { kind } = this.#rules.framing;
    if (kind === 'delimiter' || kind === 'idle') {
      this.#skippingLine = true;
      this.#discard(this.#buffer.length);
    } else this.#discard(excess);
  }

  #discard(count: number): void {
    this.discarded += count;
    // A copy, so that a few bytes do not hold on to all that came with them.
    this.#buffer = Buffer.from(this.#buffer.subarray(count));
  }
}

function scannerOf({ framing, verify }: FramerRules): (buffer: Buffer, ended: boolean) => Scan {
  switch (framing.kind) {
    case 'delimiter':
      return (buffer) => scanLine(buffer, framing.delimiter, framing.start);
    case 'fixed':
      return (buffer) => scanStarted(buffer, framing.start, () => framing.length);
    case 'prefixed':
      return (buffer) => scanStarted(buffer, framing.start, (rest) => lengthIn(rest, framing));
    case 'enclosed':
      return (buffer) => scanEnclosed(buffer, framing, verify !== undefined);
    case 'idle':
      return (buffer, ended) => (ended ? whole(buffer) : MORE);
    case 'regex':
      return (buffer, ended) => scanRegex(buffer, framing.regex, ended);
  }
}

function whole(bytes: Buffer): Scan {
  return { kind: 'frame', frame: { bytes, body: bytes }, used: bytes.length };
}

function scanLine(buffer: Buffer, delimiter: Uint8Array, start: Uint8Array | undefined): Scan {
  const end = buffer.indexOf(delimiter);
  if (end === -1) return MORE;
  let line = buffer.subarray(0, end);
  // Lines end with \r\n as often as with \n, whatever the manual says.
  if (delimiter.length === 1 && delimiter[0] === 0x0a && line.at(-1) === 0x0d) line = line.subarray(0, -1);
  const used = end + delimiter.length;
  if (start === undefined) return { kind: 'frame', frame: { bytes: line, body: line }, used };
  const begin = line.lastIndexOf(start);
  if (begin === -1) return { kind: 'discard', count: used };
  if (begin > 0) return { kind: 'discard', count: begin };
  return { kind: 'frame', frame: { bytes: line, body: line.subarray(start.length) }, used };
}

/** Frames whose length is known; undefined: not yet; 0: this is no frame. */
function scanStarted(
  buffer: Buffer,
  start: Uint8Array | undefined,
  lengthOf: (rest: Buffer) => number | undefined,
): Scan {
  const begin = start === undefined ? 0 : beginOf(buffer, start);
  if (begin > 0) return { kind: 'discard', count: begin };
  if (start !== undefined && buffer.length < start.length) return MORE;
  const length = lengthOf(buffer);
  if (length === 0) return { kind: 'discard', count: 1 };
  if (length === undefined || buffer.length < length) return MORE;
  const bytes = buffer.subarray(0, length);
  return { kind: 'frame', frame: { bytes, body: bytes.subarray(start?.length ?? 0) }, used: length };
}

/** Where `start` begins, or the first place where it may once more bytes are there. */
function beginOf(buffer: Buffer, start: Uint8Array): number {
  const found = buffer.indexOf(start);
  if (found !== -1) return found;
  for (let length = Math.min(start.length - 1, buffer.length); length > 0; length -= 1) {
    if (buffer.subarray(buffer.length - length).equals(start.subarray(0, length)))
      return buffer.length - length;
  }
  return buffer.length;
}

function lengthIn(buffer: Buffer, framing: Framing & { readonly kind: 'prefixed' }): number | undefined {
  const { at, size, littleEndian, add } = framing;
  if (buffer.length < at + size) return undefined;
  const said =
    size === 1 ? buffer.readUInt8(at) : littleEndian ? buffer.readUInt16LE(at) : buffer.readUInt16BE(at);
  // A frame that ends before its own length is none.
  return said + add < at + size ? 0 : said + add;
}

function scanEnclosed(
  buffer: Buffer,
  framing: Framing & { readonly kind: 'enclosed' },
  verified: boolean,
): Scan {
  const { start, end, after } = framing;
  const begin = beginOf(buffer, start);
  if (begin > 0) return { kind: 'discard', count: begin };
  const closes = buffer.indexOf(end, start.length);
  if (closes === -1) return MORE;
  // Without a check sum that would tell, the last start before the end is that of the frame.
  const last = verified || closes === 0 ? 0 : buffer.lastIndexOf(start, closes - start.length);
  if (last > 0) return { kind: 'discard', count: last };
  const used = closes + end.length + after;
  if (buffer.length < used) return MORE;
  const bytes = buffer.subarray(0, used);
  return { kind: 'frame', frame: { bytes, body: bytes.subarray(start.length, closes) }, used };
}

/** A match that ends where the bytes end may grow with the next. */
function scanRegex(buffer: Buffer, regex: RegExp, ended: boolean): Scan {
  const match = regex.exec(buffer.toString('latin1'));
  if (match === null || match[0] === '') return MORE;
  const end = match.index + match[0].length;
  if (end === buffer.length && !ended) return MORE;
  if (match.index > 0) return { kind: 'discard', count: match.index };
  return whole(buffer.subarray(0, end) as Buffer);
}
