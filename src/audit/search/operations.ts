// Every search there is, in the order of the documentation.

import type { Operation } from "../http/operation.ts";
import { listOperations } from "./listEntries.ts";
import { liveOperations } from "./live.ts";
import { summaryOperations } from "./summary.ts";
import { transactionOperations } from "./transactions.ts";

export const searchOperations: readonly Operation[] = [
  ...transactionOperations,
  ...listOperations,
  ...summaryOperations,
  ...liveOperations,
];
