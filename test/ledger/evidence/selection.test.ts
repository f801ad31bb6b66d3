// Which entries are an account's: by the leaf's own words, with the other half of each transaction.

import { expect, test } from "vitest";
import type { EntryBody, OperationFacts } from "../../../src/ledger/entry.ts";
import { formatMemberName, limitMember, parseMemberName } from "../../../src/ledger/evidence/layout.ts";
import { findOfAccount } from "../../../src/ledger/evidence/selection.ts";
import { Chain, newSigner } from "../chain.ts";

const ADA = { resourceType: "User", resourceId: "ada" };

function ask(chain: Chain, scim: Partial<Extract<EntryBody, { type: "request" }>["scim"]>) {
  const txn = chain.request().txn ?? "";
  return chain.add({
    type: "request",
    txn: txn.replace(/^./, "f"),
    connector: "okta",
    actor: { client: "c", method: "bearer" },
    http: { method: "POST", path: "/Users" },
    scim: { action: "create", resourceType: "User", effects: [], paths: [], ...scim },
  });
}

async function find(chain: Chain) {
  return findOfAccount(
    (async function* () {
      yield* chain.rows;
    })(),
    ADA,
  );
}

test("a create is known by its outcome, an update by its request, both with their other half", async () => {
  const chain = new Chain(newSigner());
  const create = ask(chain, {});
  const created = chain.add({ ...answer(create), scim: { resourceId: "ada" } });
  const update = ask(chain, { resourceId: "ada" });
  const updated = chain.add(answer(update));
  const group = ask(chain, { resourceType: "Group", resourceId: "ada" });
  chain.add({ ...answer(group), scim: { resourceId: "ada" } });
  expect(await find(chain)).toEqual({
    seqs: [create.seq, created.seq, update.seq, updated.seq],
    notSearched: 0,
  });
});

test("in Bulk, by an operation or by its outcome; operations outside the leaf are counted", async () => {
  const chain = new Chain(newSigner());
  const operations: OperationFacts[] = [
    { index: 0, action: "delete", resourceType: "User", resourceId: "ada", effects: ["delete"] },
    { index: 1, action: "create", resourceType: "User", effects: ["create"] },
  ];
  const one = ask(chain, { resourceType: "Bulk", operations: operations.slice(0, 1) });
  const two = ask(chain, { resourceType: "Bulk", operations: operations.slice(1) });
  const done = chain.add({
    ...answer(two),
    scim: { operations: [{ index: 1, resourceId: "ada", status: 201 }] },
  });
  ask(chain, { resourceType: "Bulk", operationCount: 5_000 });
  expect(await find(chain)).toEqual({ seqs: [one.seq, two.seq, done.seq], notSearched: 1 });
});

test("leaves that lie about their shape select nothing and break nothing", async () => {
  const chain = new Chain(newSigner());
  ask(chain, { operations: "ada" as unknown as OperationFacts[] });
  chain.rows.push({ seq: 2, leaf: "no leaf" });
  expect(await find(chain)).toEqual({ seqs: [], notSearched: 0 });
});

test("each member has one name", () => {
  const names = [
    "README.txt",
    "checkpoints/last.txt",
    "rotations/0000000000000007.jws",
    "rotations/0000000000000007.tlog-proof",
    "entries/0000000000000256.jws",
    "proofs/9007199254740991.tlog-proof",
    "attachments/0000000000000001/body",
    "attachments/0000000000000001/body.salt",
  ];
  for (const name of names) {
    const place = parseMemberName(name);
    expect(place && formatMemberName(place)).toBe(name);
    expect(limitMember(name)).toBeGreaterThan(0);
  }
  for (const name of [
    "readme.txt",
    "entries/256.jws",
    "entries/0000000000000256.tlog-proof",
    "proofs/9007199254740992.tlog-proof",
    "proofs/0000000000000001.jws",
    "attachments/0000000000000001/BODY",
    "attachments/0000000000000001/body.salt.salt",
    "attachments/0000000000000001/x/body",
    "other/0000000000000001.jws",
  ])
    expect([name, parseMemberName(name), limitMember(name)]).toEqual([name, undefined, undefined]);
});

function answer({ txn, seq }: { txn: string | null; seq: number }) {
  return {
    type: "response",
    txn: txn ?? "",
    connector: "okta",
    requestSeq: seq,
    outcome: "answered",
    status: 201,
  } as const;
}
