// For `node --import`: durable, signed entries and nothing else. No tree, no monitor, no index, attachments in clear. Only the
// benchmark of throughput does this.

import { exchange } from "./exchange.ts";

exchange(/\/(?:watch|index)Thread\.ts$/, new URL("./alone.ts", import.meta.url));
await import("./clearHooks.ts");
