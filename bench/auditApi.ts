// The audit API of the stage's scimseal, as far as the benchmarks ask it.

import { setTimeout as sleep } from "node:timers/promises";
import type { Stage } from "./stage.ts";

const POLL_MS = 500;

export function fetchFrom({ adminUrl, auditorToken }: Stage, path: string): Promise<Response> {
  const headers = { authorization: `Bearer ${auditorToken}` };
  return fetch(`${adminUrl}/audit/v1/${path}`, { headers });
}

/** Resolves when the index has every entry. */
export async function indexCaughtUp(stage: Stage, say: (line: string) => void): Promise<void> {
  for (let last = 0; ; await sleep(POLL_MS)) {
    const response = await fetchFrom(stage, "transactions?limit=1");
    // A directory of another version: its index is made anew.
    if (response.status === 503) continue;
    const { covers } = (await response.json()) as { covers: { to: number; size: number } };
    if (covers.to >= covers.size) return;
    if (covers.to - last > 200_000) {
      last = covers.to;
      say(`indexed ${covers.to} of ${covers.size} entries`);
    }
  }
}
