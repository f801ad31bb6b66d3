// What sealing costs: with one create in eight writes, as real traffic has it, and with nothing but creates, each of which
// brings a data key. Without it attachments are stored in clear.

import { changesToo, creates } from "../load.ts";
import type { ThroughputOptions } from "../throughput.ts";
import { type Cost, measureCost } from "./cost.ts";

export type SealingReport = Record<"changesToo" | "creates", Cost>;

export function measureSealing(pace: ThroughputOptions, say: (line: string) => void): Promise<SealingReport> {
  const hooks = new URL("./clearHooks.ts", import.meta.url);
  return measureCost(hooks, { changesToo, creates }, pace, say);
}
