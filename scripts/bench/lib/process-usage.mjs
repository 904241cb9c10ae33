/** CPU time and memory of another process, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * CPU time of all its threads, from the scheduler's own count in ns: /proc/PID/stat counts in ticks of 10 ms.
 * A thread that has ended is no longer in it; no broker here ends threads while it serves.
 */
export function processUsage(pid) {
  let cpuNs = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    cpuNs += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0]);
  }
  const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return { cpuMs: cpuNs / 1e6, rssKiB: Number(rss?.[1] ?? 0) };
}
