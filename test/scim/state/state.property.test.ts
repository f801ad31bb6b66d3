// Whatever stands in the bodies: a state comes out, soon, and it never claims to know what it names as unknown.

import fc from "fast-check";
import { expect, test } from "vitest";
import { describeState } from "../../../src/scim/state/describe.ts";
import { diffStates } from "../../../src/scim/state/diff.ts";
import { isSame, join } from "../../../src/scim/state/knowledge.ts";
import { presencesOf } from "../../../src/scim/state/membership.ts";
import { lastState } from "../../../src/scim/state/replay.ts";
import { growth } from "../documents.ts";
import { create, patch, stepsOf, type Told } from "./read.ts";

const names = fc.constantFrom(
  "userName",
  "active",
  "emails",
  "members",
  "name",
  "__proto__",
  "constructor",
  "password",
  "",
  "a.b",
  "a.b.c",
  'emails[type eq "work"].value',
  "emails[",
  "members[value eq ",
  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
  "urn:x:2.0:User:y",
  ":::",
  "$ref",
  "value",
  "schemas",
  "id",
);
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom(null, true, "True", 1, "x", "", "bulkId:a", "[redacted]"),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(names, tie("value"), { maxKeys: 3 }),
  ),
})).value;
const told: fc.Arbitrary<Told> = fc.record(
  {
    action: fc.constantFrom("create", "replace", "update", "delete", "bulk", "other"),
    type: fc.constantFrom("User", "Group"),
    body: fc.oneof(
      json,
      fc
        .array(
          fc.record(
            {
              op: fc.constantFrom("add", "Replace", "remove", "x"),
              path: fc.oneof(names, json),
              value: json,
            },
            { requiredKeys: [] },
          ),
          { maxLength: 4 },
        )
        .map((Operations) => ({ Operations })),
    ),
    answer: fc.oneof(
      json,
      fc.dictionary(names, json, { maxKeys: 4 }).map((more) => ({ schemas: ["s"], ...more, id: "u1" })),
    ),
    status: fc.constantFrom(200, 201, 204, 400, 500),
    outcome: fc.constantFrom("answered", "answered", "unknown", "not_sent"),
    isRedacted: fc.boolean(),
    query: fc.constantFrom("attributes=name.givenName,x", "excludedAttributes=members", "attributes=%zz,["),
  },
  { requiredKeys: ["action", "body"] },
);

test("total: every history has a state, its differences and its members", () => {
  fc.assert(
    fc.property(fc.array(told, { maxLength: 6 }), (tolds) => {
      const steps = stepsOf(tolds);
      for (const { before, after } of steps) {
        const differences = diffStates(before, after);
        // What is told to be new stands in the state.
        if (before === after) expect(differences).toEqual([]);
        expect(isSame(after.attributes, join(after.attributes, after.attributes))).toBe(true);
      }
      presencesOf(steps);
      const { state, unknown, uncertain } = describeState(lastState(steps));
      const shown = new Set(Object.keys(state ?? {}));
      expect([...unknown, ...uncertain].filter((path) => shown.has(path))).toEqual([]);
    }),
    { numRuns: 400 },
  );
});

test("doubt is never more than the two possibilities leave", () => {
  fc.assert(
    fc.property(fc.array(told, { maxLength: 3 }), told, (tolds, change) => {
      const before = lastState(stepsOf(tolds));
      const done = lastState(stepsOf([...tolds, { ...change, outcome: "answered", status: 204 }]));
      const lost = lastState(stepsOf([...tolds, { ...change, outcome: "unknown" }]));
      const { uncertain } = describeState(lost);
      if (before === done) expect(uncertain).toEqual(describeState(before).uncertain);
    }),
    { numRuns: 200 },
  );
});

test("a history takes time in proportion to its length, and a long one little", () => {
  const history = (length: number) => {
    const tolds = [
      create({ userName: "ada", emails: [] }),
      ...Array.from({ length }, (_, i) =>
        patch({ op: "replace", value: { displayName: `n${i}`, "name.givenName": `g${i}` } }),
      ),
    ];
    return () => stepsOf(tolds);
  };
  expect(growth(60, history)).toBeLessThan(1.5);
  const members = (length: number) => () =>
    stepsOf([
      { ...create({ displayName: "Crew" }), type: "Group" },
      {
        ...patch({
          op: "add",
          path: "members",
          value: Array.from({ length }, (_, i) => ({ value: `m${i}` })),
        }),
        type: "Group",
      },
    ]);
  expect(growth(200, members)).toBeLessThan(1.5);
});
