// What rows a transaction becomes: which resources it touches, under which names, and what it does not say.

import { describe, expect, test } from "vitest";
import { extractTransaction, type TransactionRow } from "../../../src/scim/extract/extract.ts";

const TXN = "01900000-0000-7000-8000-000000000000";
const TIME = "2026-01-02T03:04:05.678Z";

interface Said {
  scim?: object;
  facts?: unknown;
  body?: unknown;
  operations?: unknown;
}
interface Answered extends Said {
  outcome?: string;
  status?: number;
}

function attachmentsOf({ facts, body, operations }: Said): Map<string, Uint8Array> {
  const given = Object.entries({ facts, body, operations }).filter(([, value]) => value !== undefined);
  return new Map(given.map(([name, value]) => [name, new TextEncoder().encode(JSON.stringify(value))]));
}

function extract(asked: Said, answered?: Answered): TransactionRow {
  const request = {
    type: "request",
    txn: TXN,
    time: TIME,
    connector: "okta",
    actor: { client: "c", method: "bearer" },
    http: { method: "POST", path: "/Users" },
    scim: asked.scim,
  };
  const { scim, outcome = "answered", status } = answered ?? {};
  const response = { type: "response", outcome, ...(status === undefined ? {} : { status }), scim };
  const row = extractTransaction(
    { seq: 7, claims: request, attachments: attachmentsOf(asked) },
    answered && { seq: 9, claims: response, attachments: attachmentsOf(answered) },
    (connector, id) => `${connector}:${id}`,
  );
  if (!row) throw new Error("no row");
  return row;
}

const create = { action: "create", resourceType: "User", effects: ["create"], paths: [] };
const update = { action: "update", resourceType: "User", resourceId: "u-1", effects: ["update"], paths: [] };
const names = (row: TransactionRow) =>
  row.touched.map(({ role, type, ref, names }) => [
    `${role} ${type} ${ref}`,
    ...names.map(({ attribute, value }) => `${attribute}=${value}`),
  ]);

test("names that UTF-8 cannot tell apart are one", () => {
  const row = extract(
    { scim: create, facts: { userName: "x\ud800", emails: ["a\ud800", "a\ud801", "a\u{1f600}"] } },
    { status: 201, scim: { resourceId: "u-1" }, facts: { userName: "x\ufffd", emails: ["a\udc00"] } },
  );
  expect(names(row)).toEqual([["s User u-1", "userName=x\ufffd", "email=a\ufffd", "email=a\u{1f600}"]]);
});

describe("a create", () => {
  test("gives its names to the new id, with what the target says of it", () => {
    const row = extract(
      { scim: create, facts: { userName: "ada", emails: ["a@x", "a@x"] } },
      { status: 201, scim: { resourceId: "u-1" }, facts: { userName: "ada", displayName: "Ada" } },
    );
    expect(names(row)).toEqual([["s User u-1", "userName=ada", "email=a@x", "displayName=Ada"]]);
    expect(row).toMatchObject({ resourceId: "u-1", closedSeq: 9, about: { ref: "u-1", isChange: true } });
  });

  test.each<[string, Answered | undefined]>([
    ["open", undefined],
    ["refused", { status: 409 }],
    ["not sent", { outcome: "not_sent" }],
    ["without an id in the answer", { status: 201 }],
    ["unknown", { outcome: "unknown" }],
  ])("that is %s keeps its names to itself", (_, answered) => {
    const row = extract({ scim: create, facts: { userName: "ada" } }, answered);
    expect(names(row)).toEqual([[`s User ?${TXN}`, "userName=ada"]]);
    expect(row.about?.ref).toBe(`?${TXN}`);
    expect(row.resourceId).toBeUndefined();
  });

  test("without names touches nothing", () => {
    expect(extract({ scim: create }, { status: 400 }).touched).toEqual([]);
  });
});

describe("an update", () => {
  test.each<[string, Answered, boolean]>([
    ["answered", { status: 204 }, true],
    ["unknown", { outcome: "unknown" }, true],
    ["with a lost answer", { outcome: "incomplete", status: 200 }, true],
    ["refused", { status: 404 }, false],
    ["not sent", { outcome: "not_sent" }, false],
  ])("%s", (_, answered, isTaken) => {
    const row = extract({ scim: update, facts: { displayName: "New" } }, answered);
    expect(names(row)).toEqual(
      isTaken ? [["s User u-1", "displayName=New"]] : [["s User u-1"], [`s User ?${TXN}`, "displayName=New"]],
    );
    expect(row.about).toMatchObject({ ref: "u-1", isChange: isTaken });
  });

  test("of /Me is one of a user", () => {
    const scim = { action: "update", resourceType: "Me", effects: [], paths: [] };
    const row = extract({ scim }, { status: 200, scim: { resourceId: "u-1" } });
    expect(names(row)).toEqual([["s User u-1"]]);
    expect(row.resourceType).toBe("Me");
  });

  test("names members once each, added, removed or put in place", () => {
    const facts = { members: { added: ["a", "b"], removed: ["c", "a"], replaced: ["d", "", 7] } };
    const row = extract({ scim: { ...update, resourceType: "Group" }, facts }, { status: 204 });
    expect(row.touched.map(({ role, ref }) => `${role} ${ref}`)).toEqual([
      "s u-1",
      "m okta:a",
      "m okta:b",
      "m okta:c",
      "m okta:d",
    ]);
  });
});

test("a read gives no names and changes nothing", () => {
  const scim = { action: "read", resourceType: "User", resourceId: "u-1", effects: [], paths: [] };
  const row = extract({ scim, facts: { filter: "x" } }, { status: 200 });
  expect(row.touched).toEqual([
    { type: "User", ref: "u-1", role: "s", isChange: false, isMet: true, names: [] },
  ]);
});

test("what was redacted is nobody's name, and no word hides a name", () => {
  const facts = {
    userName: "[redacted]",
    formattedName: "Ada [redacted]",
    displayName: " ",
    emails: ["a@x", "[redacted]"],
  };
  expect(names(extract({ scim: { ...update }, facts }, { status: 204 }))).toEqual([
    ["s User u-1", "formattedName=Ada [redacted]", "email=a@x"],
  ]);
});

describe("somebody was there, as far as an answer tells", () => {
  const ofUser = (answered?: Answered) => extract({ scim: update }, answered).about?.isMet;
  test.each<[boolean, string, Answered | undefined]>([
    [true, "done", { status: 204 }],
    [true, "not known to be done", { outcome: "unknown" }],
    [true, "refused as it was asked", { status: 400 }],
    [false, "not found", { status: 404 }],
    [false, "gone", { status: 410 }],
    [false, "never sent", { outcome: "not_sent" }],
    [false, "still open", undefined],
  ])("%s: %s", (isMet, _, answered) => {
    expect(ofUser(answered)).toBe(isMet);
  });

  test("or if he was made a member, and not if that was refused", () => {
    const facts = { members: { added: ["a"], removed: [] } };
    const member = (answered: Answered) =>
      extract({ scim: { ...update, resourceType: "Group" }, facts }, answered).touched.find(
        ({ role }) => role === "m",
      )?.isMet;
    expect([member({ status: 204 }), member({ status: 404 })]).toEqual([true, false]);
  });
});

describe("a Bulk", () => {
  const scim = (operations: object[]) => ({
    action: "bulk",
    resourceType: "Bulk",
    effects: [],
    paths: [],
    operations,
  });
  const operation = (index: number, action: string, more: object = {}) => ({
    index,
    action,
    resourceType: "User",
    effects: [],
    ...more,
  });

  test("touches each operation's resource by its own outcome", () => {
    const row = extract(
      {
        scim: scim([
          operation(0, "create"),
          operation(1, "create"),
          operation(2, "delete", { resourceId: "u-3" }),
        ]),
        facts: {
          operations: [
            { index: 0, facts: { userName: "ada" } },
            { index: 1, facts: { userName: "bob" } },
          ],
        },
      },
      {
        status: 200,
        scim: {
          operations: [
            { index: 1, status: 409 },
            { index: 0, status: 201, resourceId: "u-1" },
          ],
        },
      },
    );
    expect(names(row)).toEqual([
      ["s User u-1", "userName=ada"],
      [`s User ?${TXN}/1`, "userName=bob"],
      ["s User u-3"],
    ]);
    expect(row.operations).toBe(3);
    expect(row.about).toBeUndefined();
  });

  test("that the target refused as a whole changed nothing", () => {
    const row = extract(
      {
        scim: scim([operation(0, "update", { resourceId: "u-1" })]),
        facts: { operations: [{ index: 0, facts: { userName: "ada" } }] },
      },
      { status: 413 },
    );
    expect(names(row)).toEqual([["s User u-1"], [`s User ?${TXN}/0`, "userName=ada"]]);
    expect(row.touched.some(({ isChange }) => isChange)).toBe(false);
  });

  test("to /Me is about a user", () => {
    const row = extract(
      { scim: scim([{ ...operation(0, "update"), resourceType: "Me" }]) },
      { status: 200, scim: { operations: [{ index: 0, status: 200, resourceId: "u-1" }] } },
    );
    expect(names(row)).toEqual([["s User u-1"]]);
  });

  test("resolves bulkId references by the outcomes", () => {
    const row = extract(
      {
        scim: scim([operation(0, "create"), operation(1, "create", { resourceType: "Group" })]),
        facts: { operations: [{ index: 1, facts: { members: { added: ["bulkId:b", "bulkId:gone"] } } }] },
        body: {
          Operations: [
            { method: "POST", path: "/Users", bulkId: "b" },
            { method: "POST", path: "/Groups" },
          ],
        },
      },
      {
        status: 200,
        scim: {
          operations: [
            { index: 0, status: 201, resourceId: "u-1" },
            { index: 1, status: 201, resourceId: "g-1" },
          ],
        },
      },
    );
    expect(row.touched.map(({ role, ref }) => `${role} ${ref}`)).toEqual(["s u-1", "s g-1", "m u-1"]);
  });

  test("of several changes to one resource has it once", () => {
    const row = extract(
      {
        scim: scim([
          operation(0, "update", { resourceId: "u-1" }),
          operation(1, "update", { resourceId: "u-1" }),
        ]),
      },
      {
        status: 200,
        scim: {
          operations: [
            { index: 0, status: 200 },
            { index: 1, status: 400 },
          ],
        },
      },
    );
    expect(row.touched).toEqual([
      { type: "User", ref: "u-1", role: "s", isChange: true, isMet: true, names: [] },
    ]);
  });

  describe("says of its operations", () => {
    const asked = scim([
      operation(0, "create", { effects: ["create", "password"] }),
      operation(1, "delete", { effects: ["delete"], resourceId: "u-2" }),
      operation(2, "update", { effects: ["password", "update"], resourceId: "u-3" }),
    ]);
    const effects = ["create", "delete", "password", "update"];
    const counts = (answered?: Answered, given: Said = {}) => {
      const row = extract({ scim: { ...asked, effects }, ...given }, answered);
      return [row.operations, row.operationsRefused, row.operationsUnknown, row.effectsUndone];
    };
    const told = (...operations: object[]): Answered => ({ status: 200, scim: { operations } });

    test.each<[string, unknown[], Answered | undefined]>([
      ["nothing while it is open", [3, undefined, undefined, undefined], undefined],
      ["nothing if it was refused as a whole", [3, undefined, undefined, undefined], { status: 413 }],
      [
        "that all were done",
        [3, 0, 0, []],
        told({ index: 0, status: 201 }, { index: 1, status: 204 }, { index: 2, status: 200 }),
      ],
      [
        "which effects none of them had, though another was asked for the same",
        [3, 2, 0, ["delete", "update"]],
        told({ index: 0, status: 201 }, { index: 1, status: 404 }, { index: 2, status: 412 }),
      ],
      [
        "of how many nobody knows: not said, only accepted, or failed half-way",
        [3, 0, 3, effects],
        told({ index: 0, status: 202 }, { index: 2, status: 500 }),
      ],
    ])("%s", (_, expected, answered) => {
      expect(counts(answered)).toEqual(expected);
    });

    test("that none is known to be done, where they cannot be read", () => {
      const { operations: _, ...rest } = asked;
      const given = { scim: { ...rest, effects, operationCount: 3 } };
      expect(counts(told({ index: 0, status: 201 }), given)).toEqual([3, 0, 3, effects]);
    });

    test("as much when they are in an attachment", () => {
      const { operations, ...rest } = asked;
      const given = { scim: { ...rest, effects, operationCount: 3 }, operations };
      const answered = { status: 200, operations: [{ index: 1, status: 204 }] };
      expect(counts(answered, given)).toEqual([3, 0, 2, ["create", "password", "update"]]);
    });
  });
});

describe("what is too much is cut, and said to be", () => {
  test("members", () => {
    const added = Array.from({ length: 10_050 }, (_, index) => `m-${index}`);
    const row = extract(
      { scim: { ...update, resourceType: "Group" }, facts: { members: { added } } },
      { status: 204 },
    );
    expect(row.touched.length).toBe(10_000);
    expect(row.isCut).toBe(true);
  });

  test("names", () => {
    const row = extract(
      { scim: update, facts: { emails: Array.from({ length: 80 }, (_, i) => `a${i}@x`) } },
      { status: 204 },
    );
    expect(row.touched[0]?.names.length).toBe(64);
    expect(row.isCut).toBe(true);
  });

  test("a long value, and facts that were cut before", () => {
    expect(extract({ scim: update, facts: { userName: "x".repeat(257) } }, { status: 204 }).isCut).toBe(true);
    const long = `${"\ufdfa".repeat(20)}bob`;
    expect(extract({ scim: update, facts: { userName: long } }, { status: 204 }).isCut).toBe(true);
    expect(extract({ scim: update, facts: { userName: "x", truncated: true } }, { status: 204 }).isCut).toBe(
      true,
    );
    expect(extract({ scim: update, facts: { userName: "x" } }, { status: 204 }).isCut).toBe(false);
  });
});
