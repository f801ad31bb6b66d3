// Leaves are looked through by the thousand; whatever stands in a changed row, nothing is thrown and nothing is believed
// that has another shape.

import { expect, test } from "vitest";
import { peekClaims } from "../../../src/storage/accounts/peekLeaf.ts";

const leafOf = (claims: unknown) =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2lnbmF0dXJl`;
const placed = { seq: 7, time: "2026-03-01T00:00:00.000Z", txn: "t", connector: "okta", attachments: [] };
const request = {
  ...placed,
  type: "request",
  actor: { client: "okta-1", method: "bearer" },
  http: { method: "PATCH", path: "/Users/1" },
  scim: { action: "update", resourceType: "User", resourceId: "1", effects: ["update"], paths: [] },
};
const response = { ...placed, type: "response", outcome: "answered", status: 200 };

test("requests, refusals and outcomes are read", () => {
  expect(peekClaims(leafOf(request))).toEqual(request);
  expect(peekClaims(leafOf(response))).toEqual(response);
  const { scim: _, ...refusal } = { ...request, type: "refusal" };
  expect(peekClaims(leafOf(refusal))).toEqual(refusal);
});

test.each([
  ["nothing", ""],
  ["no parts", "abc"],
  ["no JSON", "e30.!!!.x"],
  ["null", leafOf(null)],
  ["a list", leafOf([request])],
  ["an event", leafOf({ ...placed, type: "event" })],
  ["a seq that is none", leafOf({ ...request, seq: "7" })],
  ["no attachments", leafOf({ ...request, attachments: undefined })],
  ["an attachment that is none", leafOf({ ...request, attachments: [null] })],
  ["no actor", leafOf({ ...request, actor: null })],
  ["effects that are none", leafOf({ ...request, scim: { ...request.scim, effects: [1] } })],
  ["a status that is none", leafOf({ ...response, status: "200" })],
])("%s is no transaction", (_name, leaf) => {
  expect(peekClaims(leaf)).toBeUndefined();
});
