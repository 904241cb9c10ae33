/**
 * A part of the gateway with a beginning and an end. `start()` resolves when the part is useful; `stop()` may
 * be called twice, is bounded in time, and leaves nothing running.
 */
export interface Part {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the parts in order. If one fails, those already started are stopped, last first, and the
 * fault is thrown. What comes back stops them all, last first; every part gets its chance.
 */
export async function startAll(parts: readonly Part[]): Promise<() => Promise<void>> {
  const started: Part[] = [];
  const stop = async (): Promise<void> => {
    const faults: unknown[] = [];
    for (let part = started.pop(); part !== undefined; part = started.pop()) {
      await part.stop().catch((fault: unknown) => faults.push(fault));
    }
    if (faults.length > 0) throw faults[0];
  };
  for (const part of parts) {
    try {
      await part.start();
      started.push(part);
    } catch (fault) {
      await part.stop().catch(() => undefined);
      await stop().catch(() => undefined);
      throw fault;
    }
  }
  return stop;
}
