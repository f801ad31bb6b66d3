// Every shape of the catalogue does at the target what its provider means by it.

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { idpShapes } from "../../src/demo/day.ts";
import { fillShape, type ShapeValues } from "../../src/demo/shape.ts";
import { type Answer, ask, openTarget, user } from "./scim.ts";

const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

async function prepared(): Promise<{
  url: string;
  values: ShapeValues & { id: string; groupId: string; otherId: string };
}> {
  const target = await openTarget();
  const emails = [{ type: "work", value: "first@example.com", primary: true }];
  const one = await ask(target.url, "POST", "/Users", user("first@example.com", { active: true, emails }));
  const other = await ask(target.url, "POST", "/Users", user("second@example.com", { active: true }));
  const id = String(one.body.id);
  const otherId = String(other.body.id);
  const group = await ask(target.url, "POST", "/Groups", {
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"],
    displayName: "Before",
    members: [{ value: otherId }],
  });
  return {
    url: target.url,
    values: { id, otherId, groupId: String(group.body.id), password: "canary-pw", run: "1" },
  };
}

async function send(url: string, name: string, values: ShapeValues): Promise<Answer> {
  const shape = idpShapes.find((candidate) => candidate.name === name);
  if (shape === undefined) throw new Error(`no shape is called ${name}`);
  const filled = fillShape(shape, values);
  return ask(url, filled.method, filled.target, filled.body, { ...filled.headers });
}

async function readUser(url: string, id: string): Promise<Record<string, unknown>> {
  return (await ask(url, "GET", `/Users/${id}`)).body;
}

async function memberIds(url: string, groupId: string): Promise<unknown[]> {
  const { members } = (await ask(url, "GET", `/Groups/${groupId}`)).body;
  return Array.isArray(members) ? members.map((member: { value: string }) => member.value) : [];
}

describe("every shape that a proxy lets through", () => {
  const passing = idpShapes.filter((shape) => shape.refused !== true);
  test.each(passing.map((shape) => [shape.name]))(
    "%s is accepted, its bytes journaled, its password gone",
    async (name) => {
      const target = await openTarget();
      const made = await ask(target.url, "POST", "/Users", user("first@example.com", { active: true }));
      const group = await ask(target.url, "POST", "/Groups", {
        schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        displayName: "Before",
      });
      const values = { id: String(made.body.id), groupId: String(group.body.id), password: "canary-pw" };
      const answer = await send(target.url, name, values);
      expect(answer.status, answer.text).toBeLessThan(300);
      expect(answer.text).not.toContain("canary-pw");
      const shape = passing.find((candidate) => candidate.name === name);
      if (shape === undefined || shape.method === "GET" || shape.path.endsWith("/.search")) return;
      const body = fillShape(shape, values).body ?? Buffer.alloc(0);
      expect(target.journal().at(-1)?.sha256).toBe(createHash("sha256").update(body).digest("hex"));
    },
  );
});

describe("what a shape means", () => {
  let idp: Awaited<ReturnType<typeof prepared>>;
  const play = (name: string) => send(idp.url, name, idp.values);

  test.each([
    "okta-patch-deactivate",
    "okta-put-deactivate",
    "entra-disable",
    "entra-flag-disable",
    "sailpoint-disable",
  ])("%s deactivates", async (name) => {
    idp = await prepared();
    await play(name);
    expect((await readUser(idp.url, idp.values.id)).active).toBe(false);
    const undo = name.startsWith("entra") ? "entra-enable" : "okta-patch-activate";
    await play(undo);
    expect((await readUser(idp.url, idp.values.id)).active).toBe(true);
  });

  test.each([
    ["okta-push-members", ["id"]],
    ["okta-push-all-members", ["id", "otherId"]],
    ["okta-push-no-members", []],
    ["okta-push-no-members-pathless", []],
    ["okta-put-group", ["id"]],
    ["entra-remove-member", []],
    ["entra-flag-remove-member", []],
    ["authentik-remove-member", []],
    ["jumpcloud-remove-all-members", []],
    ["onelogin-add-member", ["otherId"]],
  ] as const)("%s leaves %j as the members", async (name, expected) => {
    idp = await prepared();
    await play(name);
    expect(await memberIds(idp.url, idp.values.groupId)).toEqual(expected.map((key) => idp.values[key]));
  });

  test("onelogin-add-member makes the member that its filter names", async () => {
    idp = await prepared();
    await play("okta-push-no-members");
    await play("onelogin-add-member");
    expect(await memberIds(idp.url, idp.values.groupId)).toEqual([idp.values.otherId]);
  });

  test("okta-push-name renames and leaves the members alone", async () => {
    idp = await prepared();
    await play("okta-push-name");
    const { body } = await ask(idp.url, "GET", `/Groups/${idp.values.groupId}`);
    expect(body.displayName).toBe("Examples and more 1");
    expect(body.members).toMatchObject([{ $ref: `${idp.url}/Users/${idp.values.otherId}`, type: "User" }]);
  });

  test("entra's paths and keys land where they point", async () => {
    idp = await prepared();
    await play("entra-update-user");
    await play("entra-manager-array");
    await play("entra-role");
    expect(await readUser(idp.url, idp.values.id)).toMatchObject({
      displayName: "Bo Sample-Case",
      name: { familyName: "Sample-Case" },
      emails: [{ type: "work", value: "bo.case.1@example.com" }],
      roles: [{ primary: true, value: "approver" }],
      [ENTERPRISE]: { employeeNumber: "4712", manager: { value: idp.values.otherId } },
    });
    await play("entra-flag-update-user");
    await play("entra-manager-remove");
    const after = await readUser(idp.url, idp.values.id);
    expect(after).toMatchObject({
      name: { givenName: "Bo", familyName: "Sample" },
      emails: [{ type: "work", value: "bo.sample.1@example.com" }],
      [ENTERPRISE]: { employeeNumber: "4713", department: "Examples" },
    });
    expect(after[ENTERPRISE]).not.toHaveProperty("manager");
  });

  test.each(["entra-manager-string", "entra-flag-manager"])("%s sets the manager", async (name) => {
    idp = await prepared();
    await play(name);
    const { body } = await ask(idp.url, "GET", `/Users/${idp.values.id}`);
    expect(body[ENTERPRISE]).toMatchObject({ manager: { value: idp.values.otherId } });
  });

  test("scim-bulk resolves its reference, and one failure stays one", async () => {
    idp = await prepared();
    const answer = await play("scim-bulk");
    const operations = answer.body.Operations as { status: string; bulkId?: string; location?: string }[];
    expect(operations.map((operation) => operation.status)).toEqual(["201", "201", "204", "404"]);
    const location = (bulkId: string) => operations.find((one) => one.bulkId === bulkId)?.location ?? "";
    const groupId = location("crew").slice(`${idp.url}/Groups/`.length);
    expect(await memberIds(idp.url, groupId)).toEqual([location("uma").slice(`${idp.url}/Users/`.length)]);
  });
});

test("the target does not share the proxy's reasons to refuse, so that a proxy that lets one through is seen", async () => {
  const { url, values } = await prepared();
  expect((await send(url, "refused-duplicate-key", values)).status).toBe(201);
  expect((await send(url, "refused-put-other-id", values)).status).toBe(200);
});
