/** Runs once before all tests: end-to-end tests start the compiled program, as a user would. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

export function setup(): void {
  const root = join(import.meta.dirname, '..', '..');
  const built = join(root, 'dist', '.built');
  if (existsSync(built) && newest(join(root, 'src')) < statSync(built).mtimeMs) return;
  execFileSync('bash', ['-c', '. scripts/lib/prepare.sh && build'], { cwd: root, stdio: 'inherit' });
}

function newest(folder: string): number {
  return Math.max(
    ...readdirSync(folder, { recursive: true, withFileTypes: true }).map(
      (entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs,
    ),
  );
}
