// After alarms were acknowledged: whether the instance of this configuration takes writes again. It learns of the entry
// from the ledger, so that takes a moment; what it answers under /readyz tells. Only an instance that this machine can
// reach at the configured address is seen.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../../config/schema.ts";

/** `taken`: no alarm of these ledgers blocks it. `refused`: one still does. `unseen`: no instance answered. */
export interface Seen {
  state: "taken" | "refused" | "unseen";
  /** Where it was asked; undefined if the configuration does not say where. */
  url?: string;
}

/** An instance reads new entries every second; a ledger with many of them keeps it longer. */
export const USUAL_SECONDS = 5;
const LOOK_EVERY_MS = 200;
const TIMEOUT_MS = 2_000;

/** Waits until writes are taken, or for so long. Never rejects. */
export async function awaitWrites(config: Config, ledgers: readonly string[], waitMs: number): Promise<Seen> {
  const base = await adminUrl(config);
  if (base === undefined) return { state: "unseen" };
  const url = new URL("/readyz", base).href;
  const deadline = performance.now() + waitMs;
  for (;;) {
    const blocked = await readBlocked(url);
    if (blocked === undefined) return { state: "unseen", url };
    if (!ledgers.some((ledger) => blocked.includes(ledger))) return { state: "taken", url };
    if (performance.now() >= deadline) return { state: "refused", url };
    await sleep(LOOK_EVERY_MS);
  }
}

/** Where the admin listener is. A demonstration on free ports says so in its own file. */
async function adminUrl({ admin, dataDir }: Config): Promise<string | undefined> {
  const { listen, tls, publicUrl } = admin;
  // A certificate is for the public name.
  if (tls !== undefined && publicUrl !== undefined) return publicUrl;
  if (listen.port === 0) return readDemoUrl(dataDir);
  const host = ["0.0.0.0", "::"].includes(listen.host) ? "localhost" : listen.host;
  return `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${listen.port}`;
}

async function readDemoUrl(dataDir: string): Promise<string | undefined> {
  try {
    const { adminUrl: url } = JSON.parse(await readFile(join(dataDir, "demo.json"), "utf8")) as {
      adminUrl?: unknown;
    };
    return typeof url === "string" && URL.canParse(url) ? url : undefined;
  } catch {
    // No demonstration is ready there.
    return undefined;
  }
}

/** The ledgers that an alarm blocks; undefined if nobody answers as an instance does. */
async function readBlocked(url: string): Promise<string[] | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "error" });
    const answer = (await response.json()) as { reasons?: unknown };
    if (!Array.isArray(answer.reasons)) return undefined;
    return answer.reasons.flatMap((one: { reason?: unknown; ledger?: unknown } | null) =>
      one?.reason === "tampered" && typeof one.ledger === "string" ? [one.ledger] : [],
    );
  } catch {
    // Not there, not TLS that is trusted here, or not an instance: it makes no difference to what can be said.
    return undefined;
  }
}
