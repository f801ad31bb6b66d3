// The heart, end to end: what passes is recorded, what is recorded is what passed.

import { afterAll, beforeAll, expect, test } from "vitest";
import { ALL_WELL, checkInvariants, ofType, type System, sha256Hex, startSystem } from "../support/system.ts";

let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(async () => {
  expect(await checkInvariants({ ...system, journal: system.journal() })).toEqual(ALL_WELL);
  await system.stop();
});

const user = (name: string, more = "") =>
  `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"${name}"${more}}`;

test("a create is forwarded byte for byte and leaves an intent and an outcome", async () => {
  const body = user("ada@example.com", ' , "active" : true');
  const answer = await system.request("POST", "/Users", { body });
  expect(answer.status).toBe(201);
  const created = (await answer.json()) as { id: string; meta: { location: string } };
  expect(created.meta.location).toBe(`${system.baseUrl}/Users/${created.id}`);
  expect(answer.headers.get("location")).toBe(created.meta.location);

  expect(system.journal().at(-1)?.sha256).toBe(sha256Hex(body));
  const entries = await system.entries();
  const intent = ofType(entries, "request").at(-1);
  const outcome = ofType(entries, "response").at(-1);
  expect(intent?.facts).toMatchObject({ sha256: sha256Hex(body), userName: "ada@example.com" });
  expect(intent?.claims).toMatchObject({
    connector: "okta",
    actor: { client: "okta-test", method: "bearer" },
    http: { method: "POST", path: "/Users", mediaType: "application/scim+json" },
    scim: { action: "create", resourceType: "User", effects: ["create"] },
  });
  expect(outcome?.claims).toMatchObject({
    txn: intent?.claims.txn,
    requestSeq: intent?.row.seq,
    outcome: "answered",
    status: 201,
    replied: 201,
    scim: { resourceId: created.id },
  });
  expect(intent?.row.leaf).not.toContain("ada");
});

test("reads stream through, rewritten and unrecorded", async () => {
  const before = (await system.entries()).length;
  const answer = await system.request("GET", "/Users?filter=userName%20eq%20%22ada@example.com%22");
  expect(answer.status).toBe(200);
  const list = (await answer.json()) as { Resources: { meta: { location: string } }[] };
  expect(list.Resources[0]?.meta.location.startsWith(system.baseUrl)).toBe(true);
  expect((await system.entries()).length).toBe(before);
});

test("without a valid token nothing is forwarded and nothing is recorded", async () => {
  const before = (await system.entries()).length;
  const answer = await system.request("POST", "/Users", { body: user("eve@example.com"), token: "wrong" });
  expect(answer.status).toBe(401);
  expect(await answer.json()).toMatchObject({ status: "401" });
  expect((await system.entries()).length).toBe(before);
});

test("another connector's token is a 404, like a connector that is not there", async () => {
  const foreign = await system.request("POST", "/Users", {
    body: user("eve@example.com"),
    token: system.otherToken,
  });
  const missing = await fetch(system.baseUrl.replace("/okta/", "/nowhere/"), {
    headers: { authorization: `Bearer ${system.token}` },
  });
  expect([foreign.status, missing.status]).toEqual([404, 404]);
  expect(await foreign.text()).toBe(await missing.text());
});

test("a body that two readers could read differently is refused and recorded as refused", async () => {
  const forwarded = system.journal().length;
  const answer = await system.request("POST", "/Users", {
    body: user("bob@example.com", ',"active":true,"ACTIVE":false'),
  });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ scimType: "invalidSyntax" });
  expect(system.journal().length).toBe(forwarded);
  const refusal = ofType(await system.entries(), "refusal").at(-1);
  expect(refusal?.claims.refusal).toEqual({ code: "body_invalid", status: 400 });
  expect(refusal?.row.attachments?.map((attachment) => attachment.name)).toEqual(["facts"]);
});

test("a password is forwarded and kept nowhere", async () => {
  const body = user("pia@example.com", ',"password":"canary-Sw0rd!fish"');
  const answer = await system.request("POST", "/Users", { body });
  expect(answer.status).toBe(201);
  expect(system.journal().at(-1)?.sha256).toBe(sha256Hex(body));
  const entries = await system.entries();
  const stored = entries
    .flatMap(({ row }) => row.attachments ?? [])
    .map(({ content }) => Buffer.from(content).toString("latin1"));
  expect(stored.filter((text) => text.includes("canary-Sw0rd"))).toEqual([]);
  expect(system.logs()).not.toContain("canary-Sw0rd");
  const intent = ofType(entries, "request").at(-1);
  expect(intent?.facts?.sha256).toBeUndefined();
  expect(intent?.claims.attachments.find(({ name }) => name === "body")?.redacted).toEqual(["password"]);
  expect(intent?.claims.scim.effects).toContain("password");
});
