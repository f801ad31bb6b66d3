// What the pages make of what they are given, where no browser is needed: addresses, bodies, lists.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diffLists } from "../../src/dashboard/parts/value/listChange.ts";
import { withNames } from "../../src/dashboard/parts/value/named.ts";
import { prettify } from "../../src/dashboard/parts/value/prettify.ts";
import { formatRoute, parseRoute } from "../../src/dashboard/routing/route.ts";

describe("addresses", () => {
  test("of every page, and back", () => {
    for (const page of ["overview", "activity", "accounts", "ledger", "connectors"] as const)
      expect(parseRoute(formatRoute({ page }))).toEqual({ page });
    const segment = fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => !/^\.{1,2}$/.test(text));
    fc.assert(
      fc.property(segment, segment, (a, b) => {
        const account = { page: "account", type: a, id: b } as const;
        expect(parseRoute(formatRoute(account))).toEqual(account);
        const transaction = { page: "transaction", ledger: a, txn: b } as const;
        expect(parseRoute(formatRoute(transaction))).toEqual(transaction);
      }),
    );
  });

  test("what leads nowhere is a page of its own", () => {
    for (const path of ["/x", "/accounts/User", "/activity/more", "/transactions/main", "/%zz", "/session"])
      expect(parseRoute(path)).toEqual({ page: "nothing" });
    expect(parseRoute("/activity/")).toEqual({ page: "activity" });
  });
});

describe("bodies", () => {
  test("get line ends; nothing else changes", () => {
    expect(prettify('{"a":[],"b":{"c":1e400,"c":"\\u0041"},"d":[1,{}]}')).toBe(
      '{\n  "a": [],\n  "b": {\n    "c": 1e400,\n    "c": "\\u0041"\n  },\n  "d": [\n    1,\n    {}\n  ]\n}',
    );
    expect(prettify("no JSON: {")).toBe("no JSON: {");
  });

  test("whatever JSON it is, it means the same", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (value) => {
        expect(JSON.parse(prettify(JSON.stringify(value)))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe("names", () => {
  const names = { "u-1": "ada", "u-2": "bob" };
  test("stand beside the ids of members and managers, in every shape that clients send", () => {
    expect(withNames("members", "u-1", names)).toEqual({ display: "ada", value: "u-1" });
    expect(withNames("members", [{ value: "u-1", type: "User" }, "u-2", { value: "u-9" }], names)).toEqual([
      { display: "ada", value: "u-1", type: "User" },
      { display: "bob", value: "u-2" },
      { value: "u-9" },
    ]);
    for (const path of ["manager", "urn:x:2.0:User:manager", "urn:x:2.0:User:manager.value", "MEMBERS[1]"])
      expect(withNames(path, "u-1", names)).toEqual({ display: "ada", value: "u-1" });
  });

  test("stand beside nothing else, and not in place of what the target said", () => {
    const said = { value: "u-1", display: "Ada L." };
    expect(withNames("members", [said], names)).toEqual([said]);
    expect(withNames("userName", "u-1", names)).toBe("u-1");
    for (const value of [null, undefined, 7, "toString", { value: 7 }])
      expect(withNames("members", value, names)).toEqual(value);
  });
});

describe("lists", () => {
  test("items are matched by value, not by place", () => {
    const ada = { value: "1", display: "Ada" };
    const bo = { value: "2", display: "Bo" };
    expect(diffLists([ada, bo], [bo, { ...ada, display: "Ada L." }, { value: "3" }])).toEqual({
      changes: [
        { kind: "changed", old: ada, new: { value: "1", display: "Ada L." } },
        { kind: "added", new: { value: "3" } },
      ],
      stayed: 1,
    });
    expect(diffLists(["a", "b"], ["b"])).toEqual({ changes: [{ kind: "removed", old: "a" }], stayed: 1 });
  });
});
