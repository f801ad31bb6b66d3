// In place of src/monitor/publisher/publisher.ts: nothing is published.

import type { PublisherStatus } from "../../src/monitor/publisher/publisher.ts";

export class Publisher {
  readonly status: PublisherStatus = { state: "waiting", size: 0, publishedAt: undefined };

  async start(): Promise<void> {}

  async stop(): Promise<void> {}
}
