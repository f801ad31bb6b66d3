// Names that look alike, from the identity provider to the auditor: forwarded and recorded as they were written, flagged,
// and told apart in a search: letters of another script are another name; two forms of the same letters (UAX #15) are
// found together, since nobody can see which one he types, as two accounts, each under the name it has.

import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../storage/writerHarness.ts";
import { ALL_WELL, checkInvariants, ofType, type System, startSystem } from "../support/system.ts";

const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
const NAMES = {
  latin: "admin@example.com",
  cyrillic: "\u0430dmin@example.com",
  composed: "zo\u00eb@example.com",
  decomposed: "zoe\u0308@example.com",
};
const FLAGS = {
  latin: undefined,
  cyrillic: ["mixed_script"],
  composed: undefined,
  decomposed: ["not_nfc"],
};
const KINDS = ["latin", "cyrillic", "composed", "decomposed"] as const;

let system: System;
const ids = new Map<string, string>();
beforeAll(async () => {
  system = await startSystem();
});
afterAll(async () => {
  expect(await checkInvariants({ ...system, journal: system.journal() })).toEqual(ALL_WELL);
  await system.stop();
});

async function ask<T>(path: string): Promise<T> {
  const response = await fetch(`${system.app.adminUrl}/audit/v1${path}`, {
    headers: { authorization: `Bearer ${system.auditorToken}` },
  });
  expect([response.status, path]).toEqual([200, path]);
  return (await response.json()) as T;
}

interface Found {
  transactions: { resourceId: string | null; name: string | null }[];
}

/** The accounts that a filter finds, as id and name. */
async function found(filter: string): Promise<(string | null)[][]> {
  const { transactions } = await ask<Found>(
    `/transactions?order=oldest&filter=${encodeURIComponent(filter)}`,
  );
  return transactions.map(({ resourceId, name }) => [resourceId, name]);
}

const accountOf = (kind: (typeof KINDS)[number]) => [ids.get(kind) ?? "", NAMES[kind]];

// case 54
test("look-alikes reach the target and the ledger as they were written, and are flagged", async () => {
  for (const kind of KINDS) {
    const body = JSON.stringify({ schemas: [USER], userName: NAMES[kind] });
    const response = await system.request("POST", "/Users", { body });
    const created = (await response.json()) as { id: string; userName: string };
    expect([response.status, created.userName]).toEqual([201, NAMES[kind]]);
    ids.set(kind, created.id);
  }
  expect(new Set(ids.values()).size).toBe(KINDS.length);
  const facts = ofType(await system.entries(), "request").map((entry) => entry.facts);
  expect(facts.map((one) => [one?.userName, one?.unicode])).toEqual(
    KINDS.map((kind) => [NAMES[kind], FLAGS[kind]]),
  );
});

// case 54
test("a search tells them apart, and shows each under its own name", async () => {
  await until(
    async () => (await found('userName co "example.com"')).length === KINDS.length,
    "all in the index",
    20_000,
  );
  expect(await found('userName co "example.com"')).toEqual(KINDS.map(accountOf));
  const forms = ["composed", "decomposed"] as const;
  for (const [kind, expected] of [
    ["latin", [accountOf("latin")]],
    ["cyrillic", [accountOf("cyrillic")]],
    ["composed", forms.map(accountOf)],
    ["decomposed", forms.map(accountOf)],
  ] as const) {
    const beginning = NAMES[kind].split("@")[0];
    expect([kind, await found(`userName eq "${NAMES[kind]}"`)]).toEqual([kind, expected]);
    expect([kind, await found(`userName sw "${beginning}"`)]).toEqual([kind, expected]);
  }
});
