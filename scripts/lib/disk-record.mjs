/**
 * What disk-shim.c wrote down, and what a disk may hold of it if the power goes at a moment: everything up to each file's
 * last sync, and of the writes since then any subset, whole or torn.
 *
 *   record ──▶ Disk.apply, one by one ──▶ Disk.afterPowerCut(random) ──▶ files
 *
 * A sync of a folder makes the names in it durable, one of a file that file's own name. Names that are not durable yet
 * come and go in the order in which they were changed, as file systems with a journal keep it.
 */

const HEAD_BYTES = 17;

export function readRecord(bytes) {
  const operations = [];
  for (let at = 0; at < bytes.length; ) {
    const kind = String.fromCharCode(bytes[at]);
    const offset = Number(bytes.readBigUInt64LE(at + 1));
    const pathBytes = bytes.readUInt32LE(at + 9);
    const dataBytes = bytes.readUInt32LE(at + 13);
    const path = bytes.toString('utf8', at + HEAD_BYTES, at + HEAD_BYTES + pathBytes);
    const start = at + HEAD_BYTES + pathBytes;
    operations.push({ kind, offset, path, data: bytes.subarray(start, start + dataBytes) });
    at = start + dataBytes;
  }
  return operations;
}

/** A file's bytes as they are on the disk for certain, and what was written since. */
class DiskFile {
  #durable = Buffer.alloc(0);
  #bytes = 0;
  pending = [];

  sync() {
    for (const operation of this.pending) this.#write(operation);
    this.pending = [];
  }

  #write({ kind, offset, data }) {
    if (kind === 'T') {
      // What is cut off does not come back when the file grows again.
      if (offset < this.#bytes) this.#durable.fill(0, offset, this.#bytes);
      this.#grow(offset);
      this.#bytes = offset;
      return;
    }
    this.#grow(offset + data.length);
    data.copy(this.#durable, offset);
    this.#bytes = Math.max(this.#bytes, offset + data.length);
  }

  #grow(bytes) {
    if (bytes <= this.#durable.length) return;
    const larger = Buffer.alloc(Math.max(bytes, this.#durable.length * 2));
    this.#durable.copy(larger, 0, 0, this.#bytes);
    this.#durable = larger;
  }

  /** One of the many things that may be there after a power cut. */
  afterPowerCut(random) {
    const survivor = new DiskFile();
    survivor.#durable = Buffer.from(this.#durable.subarray(0, this.#bytes));
    survivor.#bytes = this.#bytes;
    const kept = keptShare(random);
    for (const operation of this.pending) {
      if (random() >= kept) continue;
      if (operation.kind === 'W' && random() < 0.3) for (const piece of torn(operation, random)) survivor.#write(piece);
      else survivor.#write(operation);
    }
    return survivor.#durable.subarray(0, survivor.#bytes);
  }
}

/** Often all or nothing: it is at the edges that things go wrong. */
function keptShare(random) {
  const kind = random();
  if (kind < 0.2) return 0;
  if (kind < 0.4) return 1;
  return random();
}

/** Sectors of 512 bytes, or pages of 4 KiB, each of them written or not. */
function torn({ kind, offset, data }, random) {
  const unit = random() < 0.5 ? 512 : 4096;
  const pieces = [];
  for (let from = 0; from < data.length; ) {
    const to = Math.min(data.length, (Math.floor((offset + from) / unit) + 1) * unit - offset);
    if (random() < 0.5) pieces.push({ kind, offset: offset + from, data: data.subarray(from, to) });
    from = to;
  }
  return pieces;
}

export class Disk {
  /** As whoever uses the files sees them. */
  #names = new Map();
  #durableNames = new Map();
  /** Changes of names that are not durable yet, oldest first. */
  #pendingNames = [];

  apply({ kind, path, offset, data }) {
    switch (kind) {
      case 'C': {
        const file = new DiskFile();
        this.#changeName(path, (names) => names.set(path, file));
        return;
      }
      case 'U':
        this.#changeName(path, (names) => names.delete(path));
        return;
      case 'R': {
        const to = data.toString();
        const file = this.#file(path);
        this.#changeName(to, (names) => names.delete(path) && names.set(to, file));
        return;
      }
      case 'W':
      case 'T':
        this.#file(path).pending.push({ kind, offset, data });
        return;
      case 'S':
        this.#sync(path);
        return;
    }
  }

  afterPowerCut(random) {
    const names = new Map(this.#durableNames);
    const kept = Math.floor(random() * (this.#pendingNames.length + 1));
    for (const { change } of this.#pendingNames.slice(0, kept)) change(names);
    return new Map([...names].map(([path, file]) => [path, file.afterPowerCut(random)]));
  }

  #file(path) {
    let file = this.#names.get(path);
    if (file === undefined) {
      // It was there before anything was written down.
      file = new DiskFile();
      this.#names.set(path, file);
      this.#durableNames.set(path, file);
    }
    return file;
  }

  #changeName(path, change) {
    change(this.#names);
    this.#pendingNames.push({ path, change });
  }

  #sync(path) {
    const file = this.#names.get(path);
    file?.sync();
    const isFolder = file === undefined;
    // All changes before the last one that this sync is about go with it: a journal keeps their order.
    const last = this.#pendingNames.findLastIndex((one) => (isFolder ? one.path.startsWith(`${path}/`) : one.path === path));
    for (const { change } of this.#pendingNames.splice(0, last + 1)) change(this.#durableNames);
  }
}
