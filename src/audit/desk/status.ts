// How every ledger is: how far it is verified, published and anchored, and which alarms are open. Four states and no
// bare OK: "verified", with up to where; "acknowledged", when somebody took note of what is still altered; "verifying",
// while the monitor is behind for more than some seconds (every look at a ledger adds to it, and must not look like trouble);
// "broken", with what and where. And the one thing that a person may change here: that he has taken note of an alarm, which
// is an entry of the ledger and mends nothing.

import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { parseLeaf } from "../../ledger/leaf.ts";
import { readEntry } from "../../storage/reader.ts";
import { ledgersOf } from "../access.ts";
import { findingSchema } from "../answers.ts";
import type { LedgerHealth, NamedLedger } from "../context.ts";
import { auditorOperation, ledgerOperation, type Operation } from "../http/operation.ts";
import { ledgerName, NO_PARAMETERS, uuid } from "../http/parameter.ts";
import { Problem } from "../http/problem.ts";

const TAG = "Status";
const count = z.int().min(0);
const KNOWN_WITHIN_MS = 300;
/** What is younger need not be verified yet. */
const CALM_MS = 10_000;

const statusSchema = z
  .strictObject({
    name: z.string(),
    origin: z.string(),
    size: count.describe("Entries there are."),
    verified: count.describe("Entries that this instance verified as they came."),
    state: z
      .enum(["verified", "acknowledged", "verifying", "broken"])
      .describe("`verifying`: entries under the newest checkpoint wait for it for ten seconds and more."),
    brokenAt: count
      .nullable()
      .describe("Lowest seq that an open alarm about tampering names; null if none does."),
    acknowledged: count.describe(
      "Findings about tampering that somebody took note of, and that are not known to be mended.",
    ),
    isWritable: z.boolean().describe("Whether writes are taken now."),
    findings: z.array(findingSchema).describe("What the open alarms are about."),
    anchoredUpTo: count.describe("The tree of this size is kept outside the database; 0: none is."),
    published: count.describe("Leaves under the newest checkpoint."),
    skipped: count
      .nullable()
      .describe(
        "Entries that the search index could not take, so no search finds them; null: not known now.",
      ),
    alarms: z.array(
      z.strictObject({
        id: z.uuid(),
        code: z.string(),
        seq: count.nullable(),
        raised: z
          .string()
          .describe("RFC 3339; empty if another instance raised it and the time is not known."),
        isTamper: z.boolean().describe("It says that records were, or may have been, altered."),
      }),
    ),
  })
  .meta({ id: "LedgerStatus", description: "How a ledger is now." });

const statusAnswer = z.strictObject({ ledgers: z.array(statusSchema) });

const getStatus = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/status",
    id: "getStatus",
    tag: TAG,
    summary: "How every readable ledger is",
    role: "operator",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: NO_PARAMETERS,
    answer: statusAnswer,
  },
  async ({ context, auditor }) => {
    const ledgers = await Promise.all(
      ledgersOf(context, auditor).map(async (ledger) => {
        const health = ledger.health();
        const [skipped, isBehind] = await Promise.all([
          withinMoment(async () => (await ledger.search.covers()).skipped ?? 0, null),
          withinMoment(() => isLate(ledger, health), true),
        ]);
        return { ...describe(ledger, health, isBehind), skipped };
      }),
    );
    const body: z.input<typeof statusAnswer> = { ledgers };
    return { kind: "json", body };
  },
);

/** Never in the way of the rest: while the database is busy or away it is not known. */
async function withinMoment<Known, Unknown>(
  ask: () => Promise<Known>,
  otherwise: Unknown,
): Promise<Known | Unknown> {
  const unknown = new AbortController();
  const late = sleep(KNOWN_WITHIN_MS, otherwise, { signal: unknown.signal });
  try {
    return await Promise.race([ask(), late]);
  } catch {
    // Searches say why; here it is only not known.
    return otherwise;
  } finally {
    late.catch(() => {});
    unknown.abort();
  }
}

/** Whether the oldest entry that waits to be verified does so for long; by its own time, which nobody has checked yet. */
async function isLate({ reader }: NamedLedger, { verified, published }: LedgerHealth): Promise<boolean> {
  if (verified >= published) return false;
  if (verified === 0) return true;
  const entry = await readEntry(reader, verified);
  const leaf = entry && parseLeaf(entry.leaf);
  if (!leaf || typeof leaf === "string") return true;
  // A time that is still to come says nothing.
  const ageMs = Date.now() - Date.parse(leaf.claims.time);
  return !(ageMs > -CALM_MS && ageMs < CALM_MS);
}

function describe(
  ledger: NamedLedger,
  { size, verified, published, isWritable, alarms, acknowledged = 0 }: LedgerHealth,
  isBehind: boolean,
): Omit<z.input<typeof statusSchema>, "skipped"> {
  const broken = alarms.filter(({ isTamper }) => isTamper);
  const seqs = broken.flatMap(({ seq }) => seq ?? []);
  return {
    name: ledger.name,
    origin: ledger.origin,
    size,
    verified,
    state: stateOf(broken.length > 0, isBehind, acknowledged > 0),
    brokenAt: seqs.length > 0 ? Math.min(...seqs) : null,
    acknowledged,
    isWritable,
    findings: alarms.map(({ code, seq, detail }) => ({ code, detail, ...(seq !== undefined && { seq }) })),
    anchoredUpTo: ledger.anchored().size,
    published,
    alarms: alarms.map(({ id, code, seq, raisedAt, isTamper }) => ({
      id,
      code,
      seq: seq ?? null,
      raised: raisedAt,
      isTamper,
    })),
  };
}

function stateOf(isBroken: boolean, isBehind: boolean, isAcknowledged: boolean) {
  if (isBroken) return "broken";
  if (isBehind) return "verifying";
  return isAcknowledged ? "acknowledged" : "verified";
}

const acknowledgedAnswer = z.strictObject({ ledger: z.string(), alarm: z.uuid(), by: z.string() });

const acknowledge = ledgerOperation(
  {
    method: "post",
    path: "/audit/v1/ledgers/{ledger}/alarms/{id}/acknowledge",
    id: "acknowledgeAlarm",
    tag: TAG,
    summary: "Take note of an alarm",
    description:
      "Recorded in the ledger with the name of the token or session. Running instances take writes again within seconds.",
    role: "admin",
    params: z.strictObject({ ledger: ledgerName, id: uuid("The alarm's id, as the status has it.") }),
    query: NO_PARAMETERS,
    answer: acknowledgedAnswer,
    problems: ["alarm_unknown", "not_recorded"],
  },
  async ({ ledger, auditor, params: { id } }) => {
    const by = auditor.auditor;
    let isDone: boolean;
    try {
      isDone = await ledger.acknowledge(id, by);
    } catch (cause) {
      throw new Problem("not_recorded", "The ledger takes no entries now; the alarm stays open.", { cause });
    }
    if (!isDone) throw new Problem("alarm_unknown", "No alarm of this id is open in this ledger.");
    return { kind: "json", body: { ledger: ledger.name, alarm: id, by } };
  },
);

export const statusOperations: readonly Operation[] = [getStatus, acknowledge];
