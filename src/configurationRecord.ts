// What a start records of the configuration: its digest, a keyed digest of each part that concerns the ledger, and, if it
// is another than at the newest start, an event that names the parts that differ. Never a value: a leaf can never be
// erased, and the key keeps those who read it from trying values out. If we crash between the two entries, the next start
// compares with the same old one and names the change again.

import type { ConfigurationParts } from "./config/parts.ts";
import type { Config } from "./config/schema.ts";
import { fastVerify } from "./keys/fastVerify.ts";
import type { TokenKey } from "./keys/tokenKey.ts";
import type { EventName } from "./ledger/entry.ts";
import type { PublicKey } from "./ledger/key.ts";
import { parseLeaf } from "./ledger/leaf.ts";
import type { DatabaseEvidence } from "./storage/evidenceSource.ts";
import type { TreeStore } from "./storage/tree/treeStore.ts";

/** The members of one event. */
export type EventMembers = { name: EventName } & Readonly<Record<string, unknown>>;

/** What is needed of the ledger that the start is recorded in. */
export interface StartedLedger {
  name: string;
  config: { origin: string };
  pinned: readonly PublicKey[];
  tokenKey: Pick<TokenKey, "digest">;
  evidence: Pick<DatabaseEvidence, "eventsBefore">;
  tree: Pick<TreeStore, "keys">;
}

/** Parts as the newest start left them: their names and keyed digests. */
type Digests = Readonly<Record<string, string>>;

const DIGEST_LENGTH = 16;
/** Digests of more parts than this do not belong into one leaf: then connectors are one part. */
const MAX_PARTS = 500;
const EVENTS_A_PAGE = 200;
/** Events that are looked through for the newest start; beyond, nothing can be compared and nothing is named. */
const MAX_EVENTS = 20_000;
const SHA256_HEX = /^[0-9a-f]{64}$/;

/** The events that a start appends to a ledger, in order: `configuration-changed` if it is, then `instance-started`. */
export async function startEvents(
  ledger: StartedLedger,
  config: Config,
  configuration: ConfigurationParts,
): Promise<EventMembers[]> {
  const parts = digestParts(ledger, config, configuration.parts);
  const { sha256 } = configuration;
  const started: EventMembers = {
    name: "instance-started",
    runtime: process.version,
    configuration: sha256,
    parts,
  };
  const before = await newestStart(ledger);
  if (!before) return [started];
  const differences = before.parts ? compare(before.parts, parts) : {};
  if (before.configuration === sha256 && Object.keys(differences).length === 0) return [started];
  const changed = { configuration: sha256, before: before.configuration, ...differences };
  return [{ name: "configuration-changed", ...changed }, started];
}

/** What concerns this ledger: the keys for all, its own part, and its connectors'. */
function digestParts(
  { name, tokenKey }: StartedLedger,
  { connectors }: Config,
  parts: ReadonlyMap<string, string>,
): Digests {
  const own = [...parts].filter(([part]) => {
    const [key, ...rest] = part.split(".");
    if (key === "ledgers") return rest.join(".") === name;
    return key !== "connectors" || connectors[rest.join(".")]?.ledger === name;
  });
  const digestOf = (part: string, text: string) =>
    tokenKey.digest(Buffer.from(`configuration\0${part}\0${text}`)).slice(0, DIGEST_LENGTH);
  if (own.length <= MAX_PARTS)
    return Object.fromEntries(own.map(([part, text]) => [part, digestOf(part, text)]));
  const isConnector = ([part]: readonly [string, string]) => part.startsWith("connectors.");
  const folded = own
    .filter(isConnector)
    .map(([part, text]) => `${part}\0${text}`)
    .join("\0");
  return {
    ...Object.fromEntries(
      own.filter((one) => !isConnector(one)).map(([part, text]) => [part, digestOf(part, text)]),
    ),
    connectors: digestOf("connectors", folded),
  };
}

/** Names of parts, sorted; what there is none of is left out. */
function compare(
  before: Digests,
  now: Digests,
): { added?: string[]; removed?: string[]; changed?: string[] } {
  const names = (of: Digests, fits: (part: string) => boolean) => Object.keys(of).filter(fits).sort();
  const added = names(now, (part) => !Object.hasOwn(before, part));
  const removed = names(before, (part) => !Object.hasOwn(now, part));
  const changed = names(now, (part) => Object.hasOwn(before, part) && before[part] !== now[part]);
  return {
    ...(added.length > 0 && { added }),
    ...(removed.length > 0 && { removed }),
    ...(changed.length > 0 && { changed }),
  };
}

/** What the newest start recorded; only a signed entry counts, wherever somebody may have planted another. */
async function newestStart({
  evidence,
  tree,
  pinned,
  config: { origin },
}: StartedLedger): Promise<{ configuration: string; parts: Digests | undefined } | undefined> {
  const { all: keys } = await tree.keys(pinned, fastVerify);
  let seen = 0;
  for (let before = Number.MAX_SAFE_INTEGER; seen < MAX_EVENTS; ) {
    const page = await evidence.eventsBefore(before, EVENTS_A_PAGE);
    for (const { seq, leaf } of page) {
      const parsed = parseLeaf(leaf);
      if (typeof parsed === "string") continue;
      const { claims, kid, signingInput, signature } = parsed;
      if (claims.type !== "event" || claims.event.name !== "instance-started") continue;
      const key = keys.find((one) => one.kid === kid);
      if (claims.seq !== seq || claims.log !== origin || !key) continue;
      if (!fastVerify(key.bytes, signingInput, signature)) continue;
      const { configuration, parts } = claims.event;
      if (typeof configuration !== "string" || !SHA256_HEX.test(configuration)) return undefined;
      return { configuration, parts: readDigests(parts) };
    }
    seen += page.length;
    const last = page.at(-1);
    if (!last || page.length < EVENTS_A_PAGE) return undefined;
    before = last.seq;
  }
  return undefined;
}

/** Undefined for a start of before there were parts. */
function readDigests(value: unknown): Digests | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const entries = Object.entries(value);
  return entries.every((one): one is [string, string] => typeof one[1] === "string")
    ? Object.fromEntries(entries)
    : undefined;
}
