// Provisioning that does not stop while things break: several clients that create users one after the other, each with
// a body of its own, and a look at reads and readiness beside them. Everything that was answered is kept.

import { setTimeout as sleep } from "node:timers/promises";
import { sha256Hex } from "../support/system.ts";

/** How one write was answered. `status` 0: the connection broke. */
export interface Answered {
  sha256: string;
  sentAt: number;
  durationMs: number;
  status: number;
  /** The stable code that begins a SCIM error's detail. */
  code: string;
  retryAfter: string | null;
}

export interface Traffic {
  readonly answers: readonly Answered[];
  /** Lets every client finish its write, then resolves. */
  stop(): Promise<void>;
}

let count = 0;

/** Bodies that no two writes of this process share. */
export function newUser(): string {
  const name = `user${++count}.${process.pid}@example.com`;
  return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"${name}","active":true}`;
}

/** Sends one write and tells how it was answered. */
export async function sendOne(baseUrl: string, token: string, body = newUser()): Promise<Answered> {
  const sentAt = performance.now();
  const answered = { sha256: sha256Hex(body), sentAt };
  try {
    const response = await fetch(`${baseUrl}/Users`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/scim+json" },
      body,
    });
    const { detail } = (await response.json()) as { detail?: string };
    return {
      ...answered,
      durationMs: performance.now() - sentAt,
      status: response.status,
      code: detail?.split(":")[0] ?? "",
      retryAfter: response.headers.get("retry-after"),
    };
  } catch {
    // The proxy was killed under it: the client knows nothing, which is what the test is about.
    return { ...answered, durationMs: performance.now() - sentAt, status: 0, code: "", retryAfter: null };
  }
}

/** Starts `clients` clients; each waits `pauseMs` between its writes. */
export function startTraffic(baseUrl: string, token: string, clients: number, pauseMs = 5): Traffic {
  const answers: Answered[] = [];
  let running = true;
  const loops = Array.from({ length: clients }, async () => {
    while (running) {
      answers.push(await sendOne(baseUrl, token));
      await sleep(pauseMs);
    }
  });
  return {
    answers,
    stop: async () => {
      running = false;
      await Promise.all(loops);
    },
  };
}

/** Writes that were refused before they were forwarded, but reached the target: must be empty for ever. */
export function forwardedThoughRefused(
  answers: readonly Answered[],
  journal: readonly { sha256: string }[],
): Answered[] {
  const arrived = new Set(journal.map(({ sha256 }) => sha256));
  return answers.filter(({ code, sha256 }) => code === "ledger_unavailable" && arrived.has(sha256));
}

/** Writes that were answered 2xx without having reached the target. */
export function promisedInVain(
  answers: readonly Answered[],
  journal: readonly { sha256: string }[],
): Answered[] {
  const arrived = new Set(journal.map(({ sha256 }) => sha256));
  return answers.filter(({ status, sha256 }) => status >= 200 && status < 300 && !arrived.has(sha256));
}
