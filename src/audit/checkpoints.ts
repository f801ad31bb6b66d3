// Signed checkpoints, the latest and every past one, each with how far it is anchored: "anchored up to N", "not anchored
// since N", never a bare OK.

import { z } from "zod";
import type { StoredCheckpoint } from "../storage/tree/treeStore.ts";
import { checkpointAnswer, checkpointsAnswer, showCheckpoint } from "./answers.ts";
import type { NamedLedger } from "./context.ts";
import { ledgerOperation, type Operation } from "./http/operation.ts";
import { formatOf, integer, LEDGER_PATH, ledgerName, wantsText } from "./http/parameter.ts";
import { Problem } from "./http/problem.ts";

const TAG = "Checkpoints";
const NOTE = { "text/plain": "The signed note, verbatim." };

const listCheckpoints = ledgerOperation(
  {
    method: "get",
    path: "/audit/v1/ledgers/{ledger}/checkpoints",
    id: "listCheckpoints",
    tag: TAG,
    summary: "Pages of the checkpoints, by size",
    scope: "connectors",
    description: "Of several of one size (a heartbeat signs the same tree again) the newest.",
    params: LEDGER_PATH,
    query: z.strictObject({
      after: integer("Checkpoints of sizes above this one; -1: from the first on.", -1).default(-1),
      limit: integer("Checkpoints in the page.", 1, 1000).default(100),
    }),
    answer: checkpointsAnswer,
  },
  async ({ ledger, query: { after, limit } }) => {
    const found = await ledger.tree.checkpoints(after, limit);
    const next = found.length === limit ? (found.at(-1)?.size ?? null) : null;
    const checkpoints = found.map((checkpoint) => showCheckpoint(checkpoint, ledger));
    return { kind: "json", body: { ledger: ledger.name, origin: ledger.origin, checkpoints, next } };
  },
);

const getLatestCheckpoint = ledgerOperation(
  {
    method: "get",
    path: "/audit/v1/ledgers/{ledger}/checkpoints/latest",
    id: "getLatestCheckpoint",
    tag: TAG,
    summary: "The latest checkpoint",
    scope: "connectors",
    params: LEDGER_PATH,
    query: z.strictObject({ format: formatOf("note") }),
    answer: checkpointAnswer,
    raw: NOTE,
    problems: ["checkpoint_unknown"],
  },
  async ({ ledger, request, query: { format } }) =>
    reply(
      ledger,
      await ledger.tree.latestCheckpoint(),
      wantsText(request, format),
      "No checkpoint was signed yet.",
    ),
);

const getCheckpoint = ledgerOperation(
  {
    method: "get",
    path: "/audit/v1/ledgers/{ledger}/checkpoints/{size}",
    id: "getCheckpoint",
    tag: TAG,
    summary: "The newest checkpoint of exactly this size",
    scope: "connectors",
    params: z.strictObject({ ledger: ledgerName, size: integer("Size of the tree.") }),
    query: z.strictObject({ format: formatOf("note") }),
    answer: checkpointAnswer,
    raw: NOTE,
    problems: ["checkpoint_unknown"],
  },
  async ({ ledger, request, params: { size }, query: { format } }) =>
    reply(
      ledger,
      await ledger.tree.checkpointOf(size),
      wantsText(request, format),
      `No checkpoint of size ${size} was signed; /checkpoints lists those there are.`,
    ),
);

function reply(
  ledger: NamedLedger,
  checkpoint: StoredCheckpoint | undefined,
  isText: boolean,
  otherwise: string,
) {
  if (!checkpoint) throw new Problem("checkpoint_unknown", otherwise);
  if (isText) return { kind: "raw" as const, mediaType: "text/plain", body: checkpoint.note };
  const shown = showCheckpoint(checkpoint, ledger);
  return { kind: "json" as const, body: { ledger: ledger.name, origin: ledger.origin, checkpoint: shown } };
}

/** In the order in which they are matched. */
export const checkpointOperations: readonly Operation[] = [
  listCheckpoints,
  getLatestCheckpoint,
  getCheckpoint,
];
