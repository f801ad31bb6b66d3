// In place of src/watchThread.ts and src/indexThread.ts: nobody watches, and nothing is indexed.

import { type IndexerPosition, NOTHING_INDEXED } from "../../src/indexer/indexer.ts";
import { NOTHING_WATCHED, type WatchState } from "../../src/ledgerWatch.ts";

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
