// Extraction reads what nobody has verified: whatever stands in a leaf and its attachments, it answers with rows that the
// tables can hold, or with nothing.

import fc from "fast-check";
import { expect, test } from "vitest";
import { extractEvent, extractTransaction } from "../../../src/scim/extract/extract.ts";

const TXN = "01900000-0000-7000-8000-000000000000";
const TIME = "2026-01-02T03:04:05.678Z";
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const recordedId = (connector: string, id: string) => `${connector}:${id}`;

const NAMES = [
  "action",
  "resourceType",
  "resourceId",
  "effects",
  "operations",
  "operationCount",
  "outcome",
  "status",
  "durationMs",
  "facts",
  "index",
  "userName",
  "emails",
  "members",
  "added",
  "truncated",
  "response",
  "id",
  "__proto__",
  "constructor",
];
const WORDS = [
  "bulk",
  "create",
  "read",
  "update",
  "User",
  "Group",
  "answered",
  "a\0b",
  "\ud800",
  "bulkId:1",
  "x".repeat(9_999),
];
const anything = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(...WORDS),
    fc.constantFrom(0, -1, 1.5, 201, 409, 1e300, 1e-300, null, true),
    fc.string({ maxLength: 8 }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...NAMES), tie("value"), { maxKeys: 6 }),
  ),
})).value;
const attachment = fc.oneof(anything.map(encode), fc.uint8Array({ maxLength: 20 }));
const attachments = fc
  .dictionary(fc.constantFrom("facts", "body", "operations"), attachment)
  .map((given) => new Map(Object.entries(given)));

test("whatever the entries say, the rows can be stored", () => {
  fc.assert(
    fc.property(
      anything,
      anything,
      anything,
      attachments,
      attachments,
      fc.boolean(),
      (scim, http, closed, first, second, isOpen) => {
        const claims = { type: "request", txn: TXN, time: TIME, connector: "c", actor: {}, http, scim };
        const answer = typeof closed === "object" && closed !== null ? closed : {};
        const row = extractTransaction(
          { seq: 1, claims, attachments: first },
          isOpen
            ? undefined
            : { seq: 2, claims: { outcome: "answered", ...answer, scim: closed }, attachments: second },
          recordedId,
        );
        expect(row).toMatchObject({ seq: 1, txn: TXN, timeMs: Date.parse(TIME) });
        for (const [name, value] of Object.entries(row ?? {})) {
          if (typeof value === "string") expectStorable(value);
          if (typeof value === "number" && name !== "durationMs")
            expect(Number.isSafeInteger(value)).toBe(true);
        }
        const keys = (row?.touched ?? []).map(({ type, ref, role }) => {
          expectStorable(type);
          expectStorable(ref);
          return `${role} ${type} ${ref}`;
        });
        expect(new Set(keys).size).toBe(keys.length);
        if (row?.about) expect(row.touched).toContain(row.about);
      },
    ),
    { numRuns: 500 },
  );
});

test("an event's detail is JSON that can be stored", () => {
  fc.assert(
    fc.property(anything, (detail) => {
      const row = extractEvent({
        seq: 1,
        claims: { time: TIME, event: { name: "recovery", detail } },
        attachments: new Map(),
      });
      const text = JSON.stringify(row?.detail);
      expect(text).not.toContain("\\u0000");
      expect(text).not.toMatch(/\\ud[89a-f]/);
    }),
  );
});

test("claims that no proxy wrote give no row", () => {
  const part = (claims: object) => ({ seq: 1, claims, attachments: new Map<string, Uint8Array>() });
  const sound = { txn: TXN, time: TIME, connector: "c" };
  expect(extractTransaction(part(sound), undefined, recordedId)).toMatchObject({ txn: TXN });
  for (const wrong of [
    { txn: "1" },
    { txn: 1 },
    { time: "now" },
    { time: "2026-13-41T00:00:00.000Z" },
    { connector: 7 },
  ]) {
    expect(extractTransaction(part({ ...sound, ...wrong }), undefined, recordedId)).toBeUndefined();
  }
  expect(extractEvent(part({ time: TIME, event: {} }))).toBeUndefined();
  expect(extractEvent(part({ time: "then", event: { name: "recovery" } }))).toBeUndefined();
});

function expectStorable(text: string): void {
  expect(text).not.toContain("\0");
  expect(text.isWellFormed()).toBe(true);
  expect(text.length).toBeLessThanOrEqual(1_100);
}
