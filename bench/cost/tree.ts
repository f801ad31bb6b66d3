// What the tree costs: hashes, tiles and signed checkpoints of the publisher. Without it the ledger is a chain only.

import { creates } from "../load.ts";
import type { ThroughputOptions } from "../throughput.ts";
import { type Cost, measureCost } from "./cost.ts";

export type TreeCostReport = Record<"creates", Cost>;

export function measureTree(pace: ThroughputOptions, say: (line: string) => void): Promise<TreeCostReport> {
  return measureCost(new URL("./noTreeHooks.ts", import.meta.url), { creates }, pace, say);
}
