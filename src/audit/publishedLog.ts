// The published log of a ledger (C2SP tlog-tiles): checkpoint, tiles of hashes, bundles of entries, and the keys. Only what
// the latest checkpoint covers is there; a tile has one path and no other is served, so that no cache holds two names
// for one thing. What a full tile holds never changes, so it is cached for good.

import { z } from "zod";
import { HASH_BYTES } from "../ledger/hash.ts";
import { formatPublicJwk, thumbprint } from "../ledger/key.ts";
import { formatVerifierKey, type LogKey } from "../ledger/note/verifierKey.ts";
import { TILE_WIDTH, tileWidthAt } from "../ledger/tree/tile.ts";
import { formatBundle } from "../ledger/tree/tileBundle.ts";
import { parseBundlePath, parseTilePath } from "../ledger/tree/tilePath.ts";
import { TileError } from "../ledger/tree/tileProof.ts";
import { jwksAnswer } from "./answers.ts";
import type { Audience, NamedLedger } from "./context.ts";
import { type Operation, publishedOperation } from "./http/operation.ts";
import { LEDGER_PATH, ledgerName, NO_PARAMETERS } from "./http/parameter.ts";
import { Problem } from "./http/problem.ts";
import { bytesOf } from "./storedLeaf.ts";

const TAG = "Published log";
const YEAR_SECONDS = 31_536_000;
/** A full tile will take a partial one's place; until then its hashes stay the same. */
const PARTIAL_SECONDS = 300;
/** As often as a checkpoint may be published. */
const CHECKPOINT_SECONDS = 1;
const KEYS_SECONDS = 60;

const getCheckpointFile = publishedOperation(
  "tiles",
  {
    method: "get",
    path: "/ledgers/{ledger}/checkpoint",
    id: "getPublishedCheckpoint",
    tag: TAG,
    summary: "The latest checkpoint, a signed note",
    scope: "connectors",
    params: LEDGER_PATH,
    query: NO_PARAMETERS,
    raw: {
      "text/plain":
        "A signed note (C2SP tlog-checkpoint), with the cosignatures of the ledger's witnesses once enough of them have signed.",
    },
    problems: ["checkpoint_unknown"],
  },
  async ({ ledger, audience }) => {
    const latest = await ledger.tree.latestCheckpoint();
    if (!latest) throw new Problem("checkpoint_unknown", "No checkpoint was signed yet.");
    const cacheControl = cacheFor(audience, CHECKPOINT_SECONDS);
    // The witnesses' signatures are added to the log's own as soon as there are enough of them.
    const { cosigned } = ledger.anchored();
    const body = cosigned?.size === latest.size ? cosigned.note : latest.note;
    return { kind: "raw", mediaType: "text/plain", body, cacheControl };
  },
);

const place = z
  .string()
  .describe(
    "Index in groups of three digits such as `x001/x234/067`, with `.p/W` for a partial one of width W.",
  );

const getBundle = publishedOperation(
  "entries",
  {
    method: "get",
    path: "/ledgers/{ledger}/tile/entries/{place}",
    wildcard: "place",
    id: "getEntryBundle",
    tag: TAG,
    summary: "A bundle of entries: the leaves under one tile of level 0",
    params: z.strictObject({ ledger: ledgerName, place }),
    query: NO_PARAMETERS,
    raw: { "application/octet-stream": "Each leaf after its length as a big-endian uint16." },
    problems: ["tile_unknown", "ledger_inconsistent"],
  },
  async ({ ledger, audience, request }) => {
    const bundle = parseBundlePath(logPath(request.path));
    if (!bundle) throw noTile();
    const { index, width } = bundle;
    await requireCovered(ledger, 0, index, width);
    const first = index * TILE_WIDTH;
    const { entries } = await ledger.reader.page(first - 1, width, false);
    const gap = Array.from({ length: width }, (_, i) => first + i).find((seq, i) => entries[i]?.seq !== seq);
    if (gap !== undefined)
      throw new Problem(
        "ledger_inconsistent",
        `Entry ${gap} is missing: a checkpoint covers it and it is not there.`,
      );
    return octets(formatBundle(entries.map(bytesOf)), cacheForTile(audience, width));
  },
);

const getTile = publishedOperation(
  "tiles",
  {
    method: "get",
    path: "/ledgers/{ledger}/tile/{level}/{place}",
    wildcard: "place",
    id: "getTile",
    tag: TAG,
    summary: "A tile of up to 256 hashes of the tree",
    params: z.strictObject({
      ledger: ledgerName,
      level: z.string().describe("0 for leaf hashes; a hash of level L stands for 256^L leaves."),
      place,
    }),
    query: NO_PARAMETERS,
    raw: { "application/octet-stream": "Hashes of 32 bytes, one after another." },
    problems: ["tile_unknown", "ledger_inconsistent"],
  },
  async ({ ledger, audience, request }) => {
    const tile = parseTilePath(logPath(request.path));
    if (!tile) throw noTile();
    await requireCovered(ledger, tile.level, tile.index, tile.width);
    const [bytes] = await ledger.tree.readTiles([tile]);
    if (bytes?.length !== tile.width * HASH_BYTES) throw new TileError(tile, "not as many hashes as it has");
    return octets(bytes, cacheForTile(audience, tile.width));
  },
);

const getJwks = publishedOperation(
  "tiles",
  {
    method: "get",
    path: "/ledgers/{ledger}/jwks.json",
    id: "getKeys",
    tag: TAG,
    summary: "Every public key of the ledger as a JWK set, those that sign now first",
    scope: "connectors",
    description:
      "To compare with keys that were pinned by another way. A key that arrives with the evidence proves nothing.",
    params: LEDGER_PATH,
    query: NO_PARAMETERS,
    answer: jwksAnswer,
  },
  async ({ ledger, audience }) => {
    const keys = (await keysOf(ledger)).map(({ publicKey }) => ({
      ...formatPublicJwk(publicKey),
      kid: thumbprint(publicKey),
      alg: "EdDSA" as const,
      use: "sig" as const,
    }));
    return { kind: "json", body: { keys }, cacheControl: cacheFor(audience, KEYS_SECONDS) };
  },
);

const getVerifierKeys = publishedOperation(
  "tiles",
  {
    method: "get",
    path: "/ledgers/{ledger}/vkey",
    id: "getVerifierKeys",
    tag: TAG,
    summary: "The same keys as C2SP verifier keys, one a line",
    scope: "connectors",
    params: LEDGER_PATH,
    query: NO_PARAMETERS,
    raw: { "text/plain": "Lines of the form name+id+base64." },
  },
  async ({ ledger, audience }) => ({
    kind: "raw",
    mediaType: "text/plain",
    body: (await keysOf(ledger)).map((key) => `${formatVerifierKey(key)}\n`).join(""),
    cacheControl: cacheFor(audience, KEYS_SECONDS),
  }),
);

async function keysOf(ledger: NamedLedger): Promise<readonly LogKey[]> {
  const { current, all } = await ledger.keys();
  const ids = new Set(current.map(({ id }) => id));
  return [...current, ...all.filter(({ id }) => !ids.has(id)).reverse()];
}

/** A partial tile of any width that the tree once had is there, not only the widest: whoever holds an older checkpoint asks for it. */
async function requireCovered(
  { tree }: NamedLedger,
  level: number,
  index: number,
  width: number,
): Promise<void> {
  const latest = await tree.latestCheckpoint();
  if (!latest || tileWidthAt(level, index, latest.size) < width) throw noTile();
}

/** The path below the ledger's prefix as it was sent: decoding would give one tile many names. */
function logPath(path: string): string {
  return path.split("/").slice(3).join("/");
}

function noTile(): Problem {
  return new Problem("tile_unknown", "The latest checkpoint's tree has no such tile or bundle.");
}

function octets(body: Uint8Array, cacheControl: string) {
  return { kind: "raw" as const, mediaType: "application/octet-stream", body, cacheControl };
}

function cacheForTile(audience: Audience, width: number): string {
  return width === TILE_WIDTH
    ? `${cacheFor(audience, YEAR_SECONDS)}, immutable`
    : cacheFor(audience, PARTIAL_SECONDS);
}

/** What only auditors may read must not lie in a cache that others share. */
function cacheFor(audience: Audience, seconds: number): string {
  return `${audience === "public" ? "public" : "private"}, max-age=${seconds}`;
}

/** In the order in which they are matched. */
export const publishedOperations: readonly Operation[] = [
  getCheckpointFile,
  getBundle,
  getTile,
  getJwks,
  getVerifierKeys,
];
