/** Power cuts played on the record of a real gateway's writes; `scripts/prove-power-cut` plays many more. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NO_SHIM } from '../support/disk-shim.js';
import { ROOT, Running } from '../support/process.js';

interface Proof {
  readonly seed: number;
  readonly cuts: number;
  readonly missing: number;
  readonly twice: number;
  readonly differences: number;
  readonly setAside: number;
  readonly examples?: readonly unknown[];
}

async function prove(...args: string[]): Promise<{ code: number | null; proof: Proof }> {
  const script = new Running('prove-power-cut', process.execPath, [
    join(ROOT, 'scripts', 'prove-power-cut'),
    ...['--messages', '160', '--cuts', '60'],
    ...args,
  ]);
  const code = await script.exit();
  const last = script.lines.at(-1);
  if (last === undefined) throw new Error(`prove-power-cut said nothing:\n${script.errors}`);
  return { code, proof: JSON.parse(last) as Proof };
}

// Skipped where there is no C compiler: writes are recorded by a library that is preloaded into the gateway.
test.skipIf(NO_SHIM !== undefined)(
  'whenever the power goes, all that was acknowledged is there, once, and the audit adds up',
  async () => {
    const { code, proof } = await prove();
    expect(proof, JSON.stringify(proof)).toMatchObject({ missing: 0, twice: 0, differences: 0, setAside: 0 });
    expect(proof.cuts).toBeGreaterThan(100);
    expect(code).toBe(0);
  },
  60_000,
);

test.skipIf(NO_SHIM !== undefined)(
  'with durability process-crash a power cut loses what was acknowledged, and the proof finds it',
  async () => {
    const { code, proof } = await prove('--durability', 'process-crash');
    expect(proof.missing).toBeGreaterThan(0);
    // What is lost is lost from the end: the rest is whole, and adds up.
    expect(proof, JSON.stringify(proof)).toMatchObject({ twice: 0, differences: 0, setAside: 0 });
    expect(code).toBe(1);
  },
  60_000,
);
