// Leaves are looked through by the thousand; whatever stands in a changed row, nothing is thrown and nothing is believed
// that has another shape.

import { expect, test } from "vitest";
import { peekBinding, peekClaims } from "../../src/storage/peekLeaf.ts";

const leafOf = (claims: unknown) =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2lnbmF0dXJl`;
const placed = {
  id: "e-7",
  seq: 7,
  time: "2026-03-01T00:00:00.000Z",
  txn: "t",
  connector: "okta",
  attachments: [],
};
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
  ["an id that is none", leafOf({ ...request, id: 7 })],
  ["no attachments", leafOf({ ...request, attachments: undefined })],
  ["an attachment that is none", leafOf({ ...request, attachments: [null] })],
  ["an attachment without a commitment", leafOf({ ...request, attachments: [{ name: "body" }] })],
  ["no actor", leafOf({ ...request, actor: null })],
  ["effects that are none", leafOf({ ...request, scim: { ...request.scim, effects: [1] } })],
  ["a status that is none", leafOf({ ...response, status: "200" })],
])("%s is no transaction", (_name, leaf) => {
  expect(peekClaims(leaf)).toBeUndefined();
});

test("what attachments are bound to is read of every kind of entry, and only that", () => {
  const attachments = [{ name: "body", size: 2, commitment: "abc" }];
  const event = { id: "e-8", type: "event", attachments };
  expect(peekBinding(leafOf(event))).toEqual(event);
  expect(peekBinding(leafOf({ ...event, id: null }))).toBeUndefined();
  expect(
    peekBinding(leafOf({ ...event, attachments: [{ name: 1, size: 2, commitment: "abc" }] })),
  ).toBeUndefined();
  expect(
    peekBinding(leafOf({ ...event, attachments: [{ name: "body", commitment: "abc" }] })),
  ).toBeUndefined();
  expect(peekBinding("e30.!!!.x")).toBeUndefined();
});
