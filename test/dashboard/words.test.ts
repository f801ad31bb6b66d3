// What the pages say of outcomes and events, where no browser is needed: whether something was done, and who did what.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeEvent } from "../../src/dashboard/pages/ledger/eventWords.ts";
import { readOperations, undoneOf } from "../../src/dashboard/pages/transaction/operations.ts";
import { explainVerdict, verdictOf } from "../../src/dashboard/parts/verdict.ts";
import { verdictOf as verdictOfState } from "../../src/scim/state/recordedWrite.ts";

describe("whether a change was done", () => {
  const OUTCOMES = [
    "answered",
    "early",
    "incomplete",
    "not_sent",
    "protocol_error",
    "redirected",
    "refused",
    "too_large",
    "unknown",
  ];

  test("is read as for an account's state, whatever the outcome and the status", () => {
    const status = fc.option(fc.integer({ min: 100, max: 599 }));
    fc.assert(
      fc.property(fc.constantFrom(...OUTCOMES), status, (outcome, status) => {
        expect(verdictOf({ outcome, status })).toBe(verdictOfState(outcome, status ?? undefined));
      }),
      { numRuns: 2_000 },
    );
    expect(verdictOf({ outcome: "open", status: null })).toBe("open");
  });

  test.each([
    [["answered", 201, 201], "applied", undefined],
    [["answered", 409, 409], "refused", "The target refused it with 409."],
    [["refused", null, 400], "refused", "This proxy refused it with 400 and sent nothing to the target."],
    [["not_sent", null, 502], "refused", "It was never sent to the target."],
    [["unknown", null, 504], "unknown", /^Something was sent, and nothing certain came back/],
    [["answered", 500, 500], "unknown", /^The target answered 500/],
    [["answered", 202, 202], "unknown", /^The target took it with 202, which promises nothing/],
    [["open", null, null], "open", /^The target has not answered/],
  ] as const)("%j is %s, and why", ([outcome, status, replied], verdict, why) => {
    expect(verdictOf({ outcome, status })).toBe(verdict);
    const said = explainVerdict({ outcome, status, replied });
    if (why instanceof RegExp) expect(said).toMatch(why);
    else expect(said).toBe(why);
  });
});

describe("a Bulk's operations", () => {
  const entry = (scim: object) => ({ seq: 1, leaf: "", leafHash: "", intact: true, entry: { scim } });
  const request = entry({
    operations: [
      { index: 0, action: "create", effects: ["create"], resourceType: "User" },
      { index: 1, action: "delete", effects: ["delete"], resourceType: "User", resourceId: "x" },
    ],
  });
  const verdictsOf = (results: object[], whole: Parameters<typeof readOperations>[2] = "applied") =>
    readOperations(request, entry({ operations: results }), whole);

  test("each have a verdict of their own, by index and not by place", () => {
    const operations = verdictsOf([
      { index: 1, status: 404 },
      { index: 0, status: 201, resourceId: "new" },
    ]);
    expect(operations.map(({ id, verdict }) => [id, verdict])).toEqual([
      ["new", "applied"],
      ["x", "refused"],
    ]);
    expect(undoneOf(operations)).toEqual({ words: "1 of 2 not done", verdict: "refused" });
  });

  test("of which nothing was said are not called undone, nor done", () => {
    const some = undoneOf(verdictsOf([{ index: 0, status: 201 }]));
    expect(some).toEqual({ words: "1 of 2 not known to be done", verdict: "unknown" });
    expect(verdictsOf([{ index: 0, status: 201 }], "unknown")[0]?.verdict).toBe("unknown");
    expect(readOperations(request, null, "open").map(({ verdict }) => verdict)).toEqual(["open", "open"]);
    expect(undoneOf([])).toBeUndefined();
  });
});

describe("an event in words", () => {
  const KID = "FtIu-VbGrfe_KB6CH7GNwODB72MNxj_ml11dEvO-7kk";
  const ALARM = "019cad8f-ac00-7000-8000-000000000000";
  const DIGEST = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
  test.each([
    [{ name: "ledger-opened", kid: KID }, "the first key is FtIu-VbGrfe_…"],
    [
      {
        name: "instance-started",
        runtime: "v24.21.0",
        configuration: DIGEST,
        parts: { scim: "a", "connectors.okta": "b" },
      },
      "Node.js v24.21.0; configuration 5f70bf18a086… of 2 parts",
    ],
    [
      {
        name: "configuration-changed",
        configuration: DIGEST,
        before: DIGEST.toUpperCase(),
        added: ["connectors.entra"],
        changed: ["connectors.okta", "scim"],
      },
      "changed connectors.okta, scim; added connectors.entra; configuration 5f70bf18a086…, before 5F70BF18A086…",
    ],
    [{ name: "instance-stopped" }, ""],
    [
      { name: "recovery", reason: "instance_lost", of: ALARM, closes: 1 },
      "instance 019cad8f-ac0… was lost; 1 open transaction closed as unknown",
    ],
    [
      { name: "recovery", reason: "append_unproved", doubtful: 2 },
      "writing again after an insert that failed; 2 entries were in doubt",
    ],
    [
      { name: "recovery", reason: "append_refused", doubtful: 0 },
      "writing again after an insert that failed; no entry was in doubt",
    ],
    [{ name: "clock-anomaly", kind: "stepped", byMs: -61_500 }, "the clock was set back by 61.5 s"],
    [
      { name: "clock-anomaly", kind: "behind_ledger", byMs: -7_000 },
      "the clock is 7 s behind the newest entry",
    ],
    [
      { name: "key-rotated", kid: KID, jwk: { kty: "OKP" } },
      "from the next entry on the key is FtIu-VbGrfe_…",
    ],
    [
      { name: "alarm-raised", alarm: ALARM, code: "leaf_hash", at: 1_006 },
      "leaf_hash at #1,006; alarm 019cad8f-ac0…",
    ],
    [
      { name: "alarm-acknowledged", alarm: ALARM, code: "anchor_ahead", by: "operator" },
      "anchor_ahead; alarm 019cad8f-ac0…; by operator",
    ],
    [
      {
        name: "entries-viewed",
        auditor: "ada",
        role: "auditor",
        kinds: { overview: 2, search: 1 },
        entries: 57,
        from: 0,
        to: 1_250,
      },
      "ada (auditor): 2 overviews, 1 search; 57 rows shown from #0 to #1,250",
    ],
    [
      {
        name: "entries-viewed",
        auditor: "ada",
        role: "operator",
        kinds: { counts: 1, later: 3 },
        entries: 0,
      },
      "ada (operator): 1 count of matches, 3 × later",
    ],
    [
      { name: "export-made", auditor: "ada", role: "auditor", kind: "evidence", from: 7, to: 7 },
      "ada (auditor): an evidence pack; #7",
    ],
    [{ name: "export-made", auditor: "ada", role: "auditor", kind: "csv" }, "ada (auditor): a search as CSV"],
    [{ name: "signed-in", auditor: "ada", role: "admin", by: "link" }, "ada (admin), by a one-time link"],
    [{ name: "access-denied", reasons: { forbidden: 2 } }, "somebody unknown: 2 × forbidden"],
  ])("%j", (event, words) => {
    expect(describeEvent(event)).toBe(words);
  });

  test("loses nothing that it does not know, and shows no marks of JSON", () => {
    expect(describeEvent({ name: "entries-viewed", kinds: { search: 1 }, why: { a: [1, { b: "c" }] } })).toBe(
      "somebody unknown: 1 search; why a 1, b c",
    );
    expect(describeEvent({ name: "constructor", x: 1 })).toBe("x 1");
    expect(describeEvent({ name: "alarm-raised", code: 7 })).toBe("?; alarm not known; code 7");
    fc.assert(
      fc.property(fc.constantFrom("recovery", "entries-viewed", "later"), fc.object(), (name, members) => {
        expect(describeEvent({ ...members, name })).toEqual(expect.any(String));
      }),
    );
    for (const nothing of [undefined, null, "text", 7]) expect(describeEvent(nothing)).toBe("");
  });
});
