/** Node.js itself: below its minimum the native packages do not load. */
import { type Finding, findings } from './finding.js';

/** As package.json has it under engines. */
export const NODE_MIN = '20.19';

export function checkNode(version: string): readonly Finding[] {
  const { list, ok, fail } = findings('node');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor = 0, leastMinor = 0] = NODE_MIN.split('.').map(Number);
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) ok(`Node.js ${version}`);
  else
    fail(
      `Node.js ${version} is too old`,
      `install Node.js ${NODE_MIN} or later, then npm ci again in the folder of godwit`,
    );
  return list;
}
