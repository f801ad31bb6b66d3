// In place of src/watchThread.ts and src/indexThread.ts: nobody watches, and nothing is indexed.

import type { IndexerPosition } from "../../src/indexer/indexer.ts";
import { NOTHING_WATCHED, type WatchState } from "../../src/ledgerWatch.ts";

export const NOTHING_INDEXED: IndexerPosition = { next: 0, skipped: 0, state: "starting" };

export class WatchThread {
  stateOf(): WatchState {
    return NOTHING_WATCHED;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}
}

export class IndexThread {
  positionOf(): IndexerPosition {
    return NOTHING_INDEXED;
  }

  start(): void {}

  async stop(): Promise<void> {}
}
