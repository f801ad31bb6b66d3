// Verification on demand: a range of a ledger, and what someone brings. A report is an answer, good or bad; only a request
// that cannot be understood is a problem. Signatures cost a tenth of a millisecond each in the process that also passes
// writes on, so what one request may ask for is bounded, and how many run at one time is too.

import { z } from "zod";
import { ledgersOf, openLedger } from "../access.ts";
import { anchoringSchema, describeAnchoring, findingSchema } from "../answers.ts";
import type { AuditContext, Auditor, NamedLedger } from "../context.ts";
import { Turns } from "../desk/turns.ts";
import { readEntry } from "../entries.ts";
import { mediaTypeOf, readChunks, readText } from "../http/body.ts";
import { auditorOperation, ledgerOperation, type Operation } from "../http/operation.ts";
import { LEDGER_PATH, NO_PARAMETERS, parseGiven } from "../http/parameter.ts";
import { Problem } from "../http/problem.ts";
import { type Verdict, verifyBroughtPack, verifyLeaf } from "./verifyBrought.ts";
import { verifyRange } from "./verifyRange.ts";

/** Entries that one request may have verified. */
export const MAX_RANGE = 10_000;
/** The largest JSON or text body: a leaf and a proof file are far smaller. */
export const MAX_TEXT_BODY_BYTES = 2 * 1024 * 1024;
/** The largest evidence pack; `scimseal verify --pack` takes any. */
export const MAX_PACK_BODY_BYTES = 64 * 1024 * 1024;
const MAX_RUNNING = 2;
const turns = new Turns({
  inAll: MAX_RUNNING,
  each: MAX_RUNNING,
  waiting: 0,
  detail: "Other verifications are at work; ask again in a few seconds.",
});

const TAG = "Verification";
const count = z.int().min(0);

const rangeBody = z.strictObject({
  from: count.describe("seq of the first entry."),
  to: count.describe(`seq of the last entry, itself included; at most ${MAX_RANGE} entries in all.`),
});

const rangeAnswer = z.strictObject({
  ledger: z.string(),
  origin: z.string(),
  from: count,
  to: count,
  ok: z.boolean().describe("Nothing was found, and a checkpoint covers the whole range."),
  checked: count.describe("Entries that were there."),
  covered: count.describe("Size of the tree of the latest checkpoint, which the entries were compared with."),
  limit: count.describe("Entries that one request may ask for; ask for the next ones by another."),
  findings: z.array(findingSchema),
  anchored: anchoringSchema,
});

const postVerifyRange = ledgerOperation(
  {
    method: "post",
    path: "/audit/v1/ledgers/{ledger}/verify-range",
    id: "verifyRange",
    tag: TAG,
    summary: `Verify up to ${MAX_RANGE} entries: signatures, links, attachments, outcomes, and the tree`,
    params: LEDGER_PATH,
    query: NO_PARAMETERS,
    body: { "application/json": { description: "The range.", schema: rangeBody } },
    answer: rangeAnswer,
    problems: ["entry_unknown", "ledger_inconsistent"],
  },
  async ({ context, auditor, ledger, request }) => {
    requireType(mediaTypeOf(request), ["application/json"]);
    const { from, to } = parseBody(rangeBody, await readText(request, MAX_TEXT_BODY_BYTES));
    if (from > to) throw new Problem("invalid_parameter", `from: ${from} is above to, which is ${to}`);
    if (to - from >= MAX_RANGE) {
      const problem = `to: one request verifies at most ${MAX_RANGE} entries; ask for ${from} to ${from + MAX_RANGE - 1} first`;
      throw new Problem("invalid_parameter", problem);
    }
    await requireWritten(ledger, to);
    const { all } = await ledger.keys();
    const report = await turns.run(context, auditor, () => verifyRange(ledger, all, from, to));
    const { checked, covered, findings } = report;
    const anchored = describeAnchoring(to + 1, ledger.anchored());
    const ok = findings.length === 0 && covered > to;
    const { name, origin } = ledger;
    return {
      kind: "json",
      body: {
        ledger: name,
        origin,
        from,
        to,
        ok,
        checked,
        covered,
        limit: MAX_RANGE,
        findings: [...findings],
        anchored,
      },
    };
  },
);

const broughtBody = z.strictObject({
  leaf: z.string().describe("The exact leaf, a compact JWS."),
  proof: z.string().describe("A proof file (C2SP tlog-proof) of that leaf.").optional(),
});

const broughtAnswer = z.strictObject({
  kind: z.enum(["leaf", "tlog-proof", "evidence-pack"]),
  ok: z.boolean().describe("Nothing was found: it is in order, and the ledger still says the same."),
  ledger: z
    .string()
    .nullable()
    .describe("The ledger that it is of; null if it is of none that the token may read."),
  origin: z.string().nullable().describe("The origin that it names; only a claim while `ledger` is null."),
  firstSeq: count.nullable(),
  lastSeq: count.nullable(),
  entries: count,
  findings: z.array(findingSchema),
  anchored: anchoringSchema
    .nullable()
    .describe("How far the ledger is anchored up to the last of these entries."),
});

const postVerify = auditorOperation(
  {
    method: "post",
    path: "/audit/v1/verify",
    id: "verify",
    tag: TAG,
    summary: "Verify something brought: a leaf, a leaf with its proof file, or an evidence pack",
    description: "By the keys of the ledger that it names, and against what that ledger holds now.",
    params: NO_PARAMETERS,
    query: z.strictObject({
      ledger: z
        .string()
        .describe("Which ledger it is of. Needed for a pack if the token may read several.")
        .optional(),
    }),
    body: {
      "application/json": { description: "A leaf, and its proof if there is one.", schema: broughtBody },
      "application/jose": { description: "A leaf." },
      "application/x-tar": { description: `An evidence pack of at most ${MAX_PACK_BODY_BYTES} bytes.` },
    },
    answer: broughtAnswer,
    problems: ["ledger_unknown"],
  },
  async ({ context, auditor, request, query: { ledger: wanted } }) => {
    const mediaType = mediaTypeOf(request);
    requireType(mediaType, ["application/json", "application/jose", "application/x-tar"]);
    const ledgers = chooseLedgers(context, auditor, wanted);
    if (mediaType === "application/x-tar") {
      const [ledger, another] = ledgers;
      if (!ledger) throw new Problem("ledger_unknown", "There is no ledger for this token.");
      if (another) throw new Problem("invalid_parameter", "ledger: say which one the pack is of");
      const chunks = readChunks(request, MAX_PACK_BODY_BYTES);
      const verdict = await turns.run(context, auditor, () => verifyBroughtPack(ledger, chunks));
      return { kind: "json", body: showVerdict("evidence-pack", verdict) };
    }
    const text = await readText(request, MAX_TEXT_BODY_BYTES);
    const { leaf, proof } =
      mediaType === "application/jose" ? { leaf: text.trim() } : parseBody(broughtBody, text);
    const verdict = await verifyLeaf(ledgers, leaf, proof);
    return { kind: "json", body: showVerdict(proof === undefined ? "leaf" : "tlog-proof", verdict) };
  },
);

function showVerdict(
  kind: z.input<typeof broughtAnswer>["kind"],
  { ledger, origin, firstSeq, lastSeq, entries, findings }: Verdict,
): z.input<typeof broughtAnswer> {
  return {
    kind,
    ok: findings.length === 0,
    ledger: ledger?.name ?? null,
    origin: origin ?? null,
    firstSeq: firstSeq ?? null,
    lastSeq: lastSeq ?? null,
    entries,
    findings: [...findings],
    anchored: ledger && lastSeq !== undefined ? describeAnchoring(lastSeq + 1, ledger.anchored()) : null,
  };
}

function chooseLedgers(context: AuditContext, auditor: Auditor, wanted: string | undefined): NamedLedger[] {
  return wanted === undefined ? ledgersOf(context, auditor) : [openLedger(context, auditor, wanted)];
}

/** A range may have holes, which are findings; it must not reach beyond what was ever written. */
async function requireWritten(ledger: NamedLedger, seq: number): Promise<void> {
  const latest = await ledger.tree.latestCheckpoint();
  if (!latest || latest.size <= seq) await readEntry(ledger, seq, false);
}

function requireType(mediaType: string, accepted: readonly string[]): void {
  if (accepted.includes(mediaType)) return;
  throw new Problem("media_type_unsupported", `Content-Type must be ${accepted.join(" or ")}.`);
}

function parseBody<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Problem("invalid_parameter", "The body is not JSON.", { cause });
  }
  return parseGiven(schema, value, "body");
}

export const verifyOperations: readonly Operation[] = [postVerifyRange, postVerify];
