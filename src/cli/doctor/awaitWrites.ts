// After alarms were acknowledged: whether the instance of this configuration takes writes again. It learns of the entry
// from the ledger, so that takes a moment; what it answers under /readyz tells. Only an instance that this machine can
// reach at the configured address is seen.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../../config/schema.ts";

/**
 * `taken`: nothing keeps it from writing to these ledgers. `refused`: an alarm of one of them still does. `unready`: no
 * alarm, but something else. `unseen`: no instance answered.
 */
export interface Seen {
  state: "taken" | "refused" | "unready" | "unseen";
  /** Where it was asked; undefined if the configuration does not say where. */
  url?: string;
  /** Why it is not ready, in its own words. */
  reasons?: readonly string[];
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
    const all = await readReasons(url);
    if (all === undefined) return { state: "unseen", url };
    const reasons = all.filter(({ ledger }) => ledger === undefined || ledgers.includes(ledger));
    if (reasons.length === 0) return { state: "taken", url };
    if (performance.now() >= deadline) {
      const state = reasons.some(({ reason }) => reason === "tampered") ? "refused" : "unready";
      return { state, url, reasons: reasons.map(({ reason }) => reason) };
    }
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

interface Reason {
  reason: string;
  /** Undefined: it is about all ledgers. */
  ledger?: string;
}

/** Why the instance is not ready; undefined if nobody answers as an instance does. */
async function readReasons(url: string): Promise<Reason[] | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "error" });
    const answer = (await response.json()) as { reasons?: unknown };
    if (!Array.isArray(answer.reasons)) return undefined;
    return answer.reasons.map((one: { reason?: unknown; ledger?: unknown } | null) => ({
      reason: String(one?.reason ?? "unknown"),
      ...(typeof one?.ledger === "string" ? { ledger: one.ledger } : {}),
    }));
  } catch {
    // Not there, not TLS that is trusted here, or not an instance: it makes no difference to what can be said.
    return undefined;
  }
}
