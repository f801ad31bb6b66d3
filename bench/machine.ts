// What else happens to this machine while it measures. A virtual one is given its cores by a host that may give them to
// somebody else for a while: then every figure is worse, and of two that are compared only one.

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Of the processor time of all cores. */
const MAX_STOLEN_SHARE = 0.03;
const TRIES = 3;
/** /proc/stat counts in hundredths of a second (proc_stat(5): USER_HZ). */
const MS_PER_TICK = 10;

/** What `run` gives in a stretch of which the host took next to nothing; the last of three tries if there was none. */
export async function undisturbed<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const before = readStolenMs();
    const at = performance.now();
    const result = await run();
    const share = (readStolenMs() - before) / (performance.now() - at) / availableParallelism();
    if (share <= MAX_STOLEN_SHARE || tries === TRIES) return result;
  }
}

/** Processor time that the host gave to others since the start, all cores (Linux; elsewhere 0, so that nothing is repeated). */
function readStolenMs(): number {
  if (process.platform !== "linux") return 0;
  const [all = ""] = readFileSync("/proc/stat", "latin1").split("\n");
  return Number(all.split(/\s+/)[8] ?? 0) * MS_PER_TICK;
}
