// `scimseal demo tamper`: does to a running demonstration what nobody should, and shows that it does not stay unseen.
// As the database's superuser it switches the append-only trigger off, changes one letter of an old entry, in the name of
// who asked for it, and switches the trigger on again, all in one transaction that leaves no other trace; then it waits for the alarm, which comes
// from the monitor of the running instance and is read from the ledger itself.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { hashLeaf } from "../../ledger/hash.ts";
import { parseAlarmEvent } from "../../monitor/alarm/alarmEvent.ts";
import { nodeSha256 } from "../../nodeCrypto.ts";
import { connect } from "../../storage/postgres.ts";
import { partitionName, schemaOf } from "../../storage/schema.ts";
import { shellWord } from "../printable.ts";
import type { DemoFile } from "./demo.ts";

const WAIT_MS = 10_000;
const LOOK_EVERY_MS = 100;
const TIMEOUT_MS = 5_000;

type Needed = Pick<DemoFile, "adminUrl" | "auditorToken" | "ledger" | "databaseSuperuserUrl">;

/** The alarm as the ledger has it. */
export interface SeenAlarm {
  seq: number;
  alarm: string;
  code: string;
  at: number | undefined;
  afterMs: number;
}

/** Edits, waits, and tells. False if no alarm came in time. Throws if no demonstration runs there. */
export async function tamperDemo(dataDir: string, say: (text: string) => void): Promise<boolean> {
  const demo = await readDemoFile(dataDir);
  const { edit, head } = await editOldEntry(demo);
  const { seq, before, after } = edit;
  say(
    `Entry ${seq} of ledger ${demo.ledger} was edited by the database's superuser: who asked for that change was "${before}", and reads "${after}" now. One letter, the trigger off and on again.`,
  );
  const seen = await waitForAlarm(demo, head, seq);
  if (!seen) {
    say(`No alarm within ${WAIT_MS / 1000} s. That should not be: see the log of the demonstration.`);
    return false;
  }
  const place = seen.at === undefined ? "" : ` at entry ${seen.at}`;
  say(
    `ALARM after ${(seen.afterMs / 1000).toFixed(1)} s: ${seen.code}${place}. It is entry ${seen.seq} of the ledger.`,
  );
  say(`
Writes are refused (503) from now on, until somebody takes note, which is an entry too:
  npx scimseal doctor --acknowledge --data-dir ${shellWord(dataDir)}

What is found can be checked by anyone who has the public key:
  npx scimseal verify --data-dir ${shellWord(dataDir)}`);
  return true;
}

/** Reads `demo.json`, which stands there while the demonstration is ready. */
async function readDemoFile(dataDir: string): Promise<Needed> {
  const file = join(dataDir, "demo.json");
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new Error(`no demonstration is ready on ${dataDir}: start one with npm start, or say --data-dir`, {
      cause,
    });
  }
  // Written by `scimseal demo` of this very program.
  return JSON.parse(text) as Needed;
}

/** What was done: `before` stood in entry `seq`, and `after` does now. */
export interface Edit {
  seq: number;
  before: string;
  after: string;
}

/** Changes who asked for a change of the older half, by one letter; also the newest seq before that. */
export async function editOldEntry(
  demo: Pick<Needed, "databaseSuperuserUrl" | "ledger">,
): Promise<{ edit: Edit; head: number }> {
  const schema = schemaOf(demo.ledger);
  const address = { connectionString: demo.databaseSuperuserUrl, requireSync: [] };
  const client = await connect(address, "scimseal demo tamper", TIMEOUT_MS);
  try {
    const { rows } = await client.query<{ seq: string; leaf: string; head: string }>(
      `SELECT seq, leaf, head FROM ${schema}.entry, (SELECT max(seq) AS head FROM ${schema}.entry) newest
        WHERE type = 'request' AND seq <= head / 2 ORDER BY random() LIMIT 1`,
    );
    const [row] = rows;
    if (!row)
      throw new Error("the ledger has no old request entry yet: let the demonstration play its day first");
    const { leaf, before, after } = renameClient(row.leaf);
    const partition = `${schema}.${partitionName("entry", Number(row.seq))}`;
    await client.query("BEGIN");
    await client.query(`ALTER TABLE ${partition} DISABLE TRIGGER append_only_rows`);
    // The hash beside the leaf is made to fit: who covers his traces would not forget it.
    const hash = hashLeaf(Buffer.from(leaf), nodeSha256);
    await client.query(`UPDATE ${partition} SET leaf = $1, leaf_hash = $2 WHERE seq = $3`, [
      leaf,
      hash,
      row.seq,
    ]);
    await client.query(`ALTER TABLE ${partition} ENABLE ALWAYS TRIGGER append_only_rows`);
    await client.query("COMMIT");
    return { edit: { seq: Number(row.seq), before, after }, head: Number(row.head) };
  } finally {
    await client.end();
  }
}

/** The leaf of a request with another last letter in the name of its client; all else, and the signature, as it was. */
export function renameClient(leaf: string): { leaf: string; before: string; after: string } {
  const [header, payload = "", signature] = leaf.split(".");
  const text = Buffer.from(payload, "base64url").toString();
  const before = /"actor":\{"client":"([^"\\]*[a-z0-9])"/.exec(text)?.[1];
  if (before === undefined)
    throw new Error("the entry names no client whose letter could be changed: try again");
  const after = before.replace(/.$/, (last) => (last === "a" ? "e" : "a"));
  const edited = text.replace(`"actor":{"client":"${before}"`, `"actor":{"client":"${after}"`);
  return { leaf: `${header}.${Buffer.from(edited).toString("base64url")}.${signature}`, before, after };
}

async function waitForAlarm(demo: Needed, head: number, edited: number): Promise<SeenAlarm | undefined> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < WAIT_MS) {
    for (const { seq, entry } of await readEntriesAfter(demo, head)) {
      const event = entry?.type === "event" && entry.event ? parseAlarmEvent(entry.event) : undefined;
      if (event?.name !== "alarm-raised" || event.at !== edited) continue;
      const { alarm, code, at } = event;
      return { seq, alarm, code, at, afterMs: performance.now() - startedAt };
    }
    await sleep(LOOK_EVERY_MS);
  }
  return undefined;
}

interface ListedEntry {
  seq: number;
  entry?: { type: string; event?: Record<string, unknown> };
}

async function readEntriesAfter(
  { adminUrl, auditorToken, ledger }: Needed,
  after: number,
): Promise<ListedEntry[]> {
  const response = await fetch(`${adminUrl}/audit/v1/entries?ledger=${ledger}&after=${after}&limit=1000`, {
    headers: { authorization: `Bearer ${auditorToken}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok)
    throw new Error(`the admin listener answers ${response.status} to the auditor's question`);
  // The shape of our own API; each event is parsed before it is believed.
  const { entries } = (await response.json()) as { entries: ListedEntry[] };
  return entries;
}
