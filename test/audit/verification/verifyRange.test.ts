// A range far from the beginning: the verifier is brought there without reading what lies before, and then holds the range
// to the same rules. Over rows in memory: a ledger of that length takes too long to write.

import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { NamedLedger } from "../../../src/audit/context.ts";
import { verifyRange } from "../../../src/audit/verification/verifyRange.ts";
import type { EntryBody } from "../../../src/ledger/entry.ts";
import { makeLogKey } from "../../../src/ledger/note/verifierKey.ts";
import type { StoredEntry } from "../../../src/ledger/verify.ts";
import { newUuid, nodeSha256, toBase64url } from "../../../src/nodeCrypto.ts";
import { type Head, headOf, signEntry } from "../../../src/storage/writer/batch.ts";
import { INSTANCE, newSigner, ORIGIN } from "../../ledger/chain.ts";
import { publicKeyOf } from "../harness.ts";

const FIRST = 120_000;
const signer = newSigner();
const keys = [makeLogKey(ORIGIN, publicKeyOf(signer).bytes)];

/** Transactions of which each outcome stands two entries behind its request, beginning at FIRST. */
function makeRows(count: number): StoredEntry[] {
  let head: Head = { seq: FIRST - 1, leafHash: randomBytes(32), timeMs: 0 };
  const txns = Array.from({ length: count }, () => newUuid());
  const frame = {
    origin: ORIGIN,
    instance: INSTANCE,
    signer,
    digest: nodeSha256,
    base64url: toBase64url,
    randomBytes,
    uuid: newUuid,
    now: () => 1_750_000_000_000,
  };
  const add = (body: EntryBody): StoredEntry => {
    const entry = signEntry({ body, attachments: [] }, head, frame);
    head = headOf(entry);
    return { seq: entry.seq, leaf: entry.leaf.toString("latin1"), attachments: [] };
  };
  return txns.flatMap((txn, i) => {
    const earlier = txns[i - 1];
    const request = add({
      type: "request",
      txn,
      connector: "okta",
      actor: { client: "c", method: "bearer" },
      http: { method: "POST", path: "/Users" },
      scim: { action: "create", resourceType: "User", effects: ["create"], paths: [] },
    });
    if (earlier === undefined) return [request];
    const requestSeq = i === 1 ? FIRST : FIRST + 2 * i - 3;
    const response = add({
      type: "response",
      txn: earlier,
      connector: "okta",
      requestSeq,
      outcome: "answered",
    });
    return [request, response];
  });
}

function ledgerOf(rows: readonly StoredEntry[]): NamedLedger {
  const page: NamedLedger["reader"]["page"] = async (after, limit) => {
    const entries = rows.filter(({ seq }) => seq > after).slice(0, limit);
    return { entries, next: entries.length === limit ? entries.at(-1)?.seq : undefined };
  };
  const unused = () => Promise.reject(new Error("not asked for here"));
  return {
    name: "far",
    origin: ORIGIN,
    reader: { page },
    tree: {
      latestCheckpoint: async () => undefined,
      readTiles: unused,
      checkpointOf: unused,
      checkpointCovering: unused,
      checkpoints: unused,
    },
    evidence: {
      origin: ORIGIN,
      keys: [],
      readTiles: unused,
      entries: unused,
      entriesAt: unused,
      attachments: () => {
        throw new Error("not asked for here");
      },
      seqsOfTransaction: unused,
      events: () => {
        throw new Error("not asked for here");
      },
      latestCheckpoint: unused,
      checkpointCovering: unused,
    },
    search: {
      covers: unused,
      transactions: unused,
      allTransactions: () => {
        throw new Error("not asked for here");
      },
      entries: unused,
      check: unused,
      changes: () => {
        throw new Error("not asked for here");
      },
      whenBeyond: unused,
      facets: unused,
      overview: unused,
    },
    accounts: {
      find: unused,
      byId: unused,
      byUserName: unused,
      isIdOf: () => false,
      transactionsOf: unused,
      entriesAt: unused,
      groupsOf: unused,
      membershipTransactions: unused,
      namesOfIds: unused,
      namesOf: unused,
      firstSeqOf: unused,
    },
    publish: { tiles: "auditors", entries: "auditors" },
    keys: unused,
    anchored: () => ({ size: 0 }),
    health: () => ({ size: 0, verified: 0, published: 0, isWritable: true, alarms: [] }),
    acknowledge: async () => false,
  };
}

const rows = makeRows(12);
const last = FIRST + rows.length - 1;

test.each([1, 2, 3, 4, 5, 10])("a sound range from the %i. entry on has no finding", async (skipped) => {
  const report = await verifyRange(ledgerOf(rows), keys, FIRST + skipped, last);
  expect(report).toEqual({ checked: rows.length - skipped, covered: 0, findings: [] });
});

test("a hole is named, and what follows it is held to its own rules", async () => {
  const report = await verifyRange(
    ledgerOf(rows.filter(({ seq }) => seq !== FIRST + 9)),
    keys,
    FIRST + 2,
    last,
  );
  expect(report.findings).toMatchObject([
    { seq: FIRST + 9, code: "missing" },
    { seq: FIRST + 12, code: "outcome_orphan" },
  ]);
});

test("an outcome whose request is not what stands before the range is an orphan", async () => {
  const lost = rows.filter(({ seq }) => seq !== FIRST + 1);
  const report = await verifyRange(ledgerOf(lost), keys, FIRST + 3, last);
  expect(report.findings).toMatchObject([{ seq: FIRST + 4, code: "outcome_orphan" }]);
});

test("another key's entries are not trusted", async () => {
  const foreign = [makeLogKey(ORIGIN, publicKeyOf(newSigner()).bytes)];
  const report = await verifyRange(ledgerOf(rows), foreign, FIRST + 1, FIRST + 2);
  expect(report.findings.map(({ code }) => code)).toEqual(["key_not_trusted", "key_not_trusted"]);
});
