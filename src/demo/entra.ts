// What Microsoft Entra ID sends, in its default dialect (`Replace`, "False" as a string, `$ref: null`) and in the one that the
// tenant URL's flag `aadOptscim062020` turns on (lower case, real booleans, dotted and URN keys). The flag is a query on every
// request. Some bodies are indented here, since bytes that a parser would tidy up are what the catalogue is for.

import type { DayLine, Player } from "./player.ts";
import type { IdpShape } from "./shape.ts";

const READ = { Accept: "application/scim+json", "User-Agent": "Microsoft-AzureAD-Provisioning" };
const WRITE = { ...READ, "Content-Type": "application/scim+json; charset=utf-8" };
const PATCH_OP = '"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]';
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const FLAG = "aadOptscim062020";

const ENTRA = { idp: "Entra" } as const;
const toUser = { ...ENTRA, method: "PATCH", path: "/Users/{id}", headers: WRITE } as const;
const toGroup = { ...ENTRA, method: "PATCH", path: "/Groups/{groupId}", headers: WRITE } as const;

function operations(list: string): string {
  return `{${PATCH_OP},"Operations":[${list}]}`;
}

function createUser(who: string, given: string, family: string): string {
  return `{
  "schemas": [
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "${ENTERPRISE}"
  ],
  "externalId": "${who}{run}",
  "userName": "${who}.{run}@example.com",
  "active": true,
  "displayName": "${given} ${family}",
  "emails": [
    { "primary": true, "type": "work", "value": "${who}.{run}@example.com" }
  ],
  "meta": { "resourceType": "User" },
  "name": { "formatted": "${given} ${family}", "familyName": "${family}", "givenName": "${given}" },
  "roles": [],
  "${ENTERPRISE}": { "employeeNumber": "4711" }
}
`;
}

/** Every shape of Entra's, in both dialects. */
export const entraShapes: readonly IdpShape[] = [
  {
    ...ENTRA,
    name: "entra-test-connection",
    method: "GET",
    path: "/Users",
    query: "filter=userName+eq+%228f6e6f0a-7c1b-4f0e-9d51-0d7f4a3c2b19%22",
    headers: READ,
  },
  {
    ...ENTRA,
    name: "entra-match-group",
    method: "GET",
    path: "/Groups",
    query: "excludedAttributes=members&filter=displayName%20eq%20%22Testers%20{run}%22",
    headers: READ,
  },
  {
    ...ENTRA,
    name: "entra-create-user",
    method: "POST",
    path: "/Users",
    headers: WRITE,
    body: createUser("bo.sample", "Bo", "Sample"),
  },
  {
    ...ENTRA,
    name: "entra-create-manager",
    method: "POST",
    path: "/Users",
    query: FLAG,
    headers: WRITE,
    body: createUser("mia.boss", "Mia", "Boss"),
  },
  {
    // With a password mapping, which an administrator can add.
    ...ENTRA,
    name: "entra-create-user-with-password",
    method: "POST",
    path: "/Users",
    headers: WRITE,
    body:
      '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim.probe.{run}@example.com",' +
      '"externalId":"kim{run}","active":true,"password":"{password}"}',
  },
  { ...ENTRA, name: "entra-get-user", method: "GET", path: "/Users/{id}", headers: READ },
  {
    ...toUser,
    name: "entra-update-user",
    body: operations(
      '{"op":"Replace","path":"displayName","value":"Bo Sample-Case"},' +
        '{"op":"Add","path":"emails[type eq \\"work\\"].value","value":"bo.case.{run}@example.com"},' +
        '{"op":"Add","path":"name.familyName","value":"Sample-Case"},' +
        `{"op":"Replace","path":"${ENTERPRISE}:employeeNumber","value":"4712"}`,
    ),
  },
  {
    ...toUser,
    name: "entra-manager-array",
    body: operations(
      `{"op":"Add","path":"${ENTERPRISE}:manager","value":[{"$ref":"../Users/{otherId}","value":"{otherId}"}]}`,
    ),
  },
  {
    ...toUser,
    name: "entra-manager-string",
    body: operations(`{"op":"Replace","path":"${ENTERPRISE}:manager","value":"{otherId}"}`),
  },
  {
    ...toUser,
    name: "entra-manager-remove",
    body: operations(`{"op":"Remove","path":"${ENTERPRISE}:manager"}`),
  },
  {
    ...toUser,
    name: "entra-role",
    body: operations('{"op":"Add","path":"roles[primary eq \\"True\\"].value","value":"approver"}'),
  },
  {
    ...toUser,
    name: "entra-password",
    body: operations('{"op":"Replace","path":"password","value":"{password}"}'),
  },
  {
    ...toUser,
    name: "entra-disable",
    body: operations('{"op":"Replace","path":"active","value":"False"}'),
  },
  {
    ...toUser,
    name: "entra-enable",
    body: operations('{"op":"Replace","path":"active","value":"True"}'),
  },
  { ...ENTRA, name: "entra-delete-user", method: "DELETE", path: "/Users/{id}", headers: READ },
  {
    ...toUser,
    name: "entra-flag-update-user",
    query: FLAG,
    body: operations(
      '{"op":"replace","value":{"displayName":"Bo Sample","name.givenName":"Bo","name.familyName":"Sample",' +
        `"emails[type eq \\"work\\"].value":"bo.sample.{run}@example.com","${ENTERPRISE}:employeeNumber":"4713",` +
        `"${ENTERPRISE}:department":"Examples"}}`,
    ),
  },
  {
    ...toUser,
    name: "entra-flag-manager",
    query: FLAG,
    body: operations(`{"op":"replace","path":"${ENTERPRISE}:manager","value":"{otherId}"}`),
  },
  {
    ...toUser,
    name: "entra-flag-password",
    query: FLAG,
    body: operations(
      '{"op":"replace","value":{"urn:ietf:params:scim:schemas:core:2.0:User:password":"{password}","active":true}}',
    ),
  },
  {
    ...toUser,
    name: "entra-flag-disable",
    query: FLAG,
    body: operations('{"op":"replace","path":"active","value":false}'),
  },
  {
    ...ENTRA,
    name: "entra-flag-delete-user",
    method: "DELETE",
    path: "/Users/{id}",
    query: FLAG,
    headers: READ,
  },
  {
    ...ENTRA,
    name: "entra-create-group",
    method: "POST",
    path: "/Groups",
    headers: WRITE,
    body: `{
  "schemas": [
    "urn:ietf:params:scim:schemas:core:2.0:Group",
    "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
  ],
  "externalId": "testers{run}",
  "displayName": "Testers {run}",
  "meta": { "resourceType": "Group" }
}
`,
  },
  {
    ...ENTRA,
    name: "entra-get-group",
    method: "GET",
    path: "/Groups/{groupId}",
    query: "excludedAttributes=members",
    headers: READ,
  },
  {
    ...toGroup,
    name: "entra-add-members",
    body: operations(
      '{"op":"Add","path":"members","value":[{"$ref":null,"value":"{id}"},{"$ref":null,"value":"{otherId}"}]}',
    ),
  },
  {
    ...toGroup,
    name: "entra-remove-member",
    body: operations('{"op":"Remove","path":"members","value":[{"$ref":null,"value":"{otherId}"}]}'),
  },
  {
    ...toGroup,
    name: "entra-rename-group",
    body: operations('{"op":"Replace","path":"displayName","value":"Testers of {run}"}'),
  },
  {
    ...toGroup,
    name: "entra-flag-add-member",
    query: FLAG,
    body: operations('{"op":"add","path":"members","value":[{"value":"{otherId}"}]}'),
  },
  {
    ...toGroup,
    name: "entra-flag-remove-member",
    query: FLAG,
    body: operations('{"op":"remove","path":"members[value eq \\"{otherId}\\"]"}'),
  },
  { ...ENTRA, name: "entra-delete-group", method: "DELETE", path: "/Groups/{groupId}", headers: READ },
];

/** Entra's day: one user and one group in each dialect, from the connection test to the deletion of the leaver. */
export async function* entraDay(entra: Player): AsyncGenerator<DayLine, void> {
  yield* entra.step("connection test · looked for a random user", "entra-test-connection");
  const boss = yield* entra.step("joiner · created Mia Boss", "entra-create-manager", {}, [201]);
  const bo = yield* entra.step("joiner · created Bo Sample", "entra-create-user", {}, [201]);
  const kim = yield* entra.step(
    "joiner · created Kim Probe, with a password",
    "entra-create-user-with-password",
    {},
    [201],
  );
  yield* entra.step("cycle · read Bo Sample", "entra-get-user", { id: bo });
  yield* entra.step("mover · new family name, e-mail and number for Bo Sample", "entra-update-user", {
    id: bo,
  });
  yield* entra.step("mover · Mia Boss manages Bo Sample", "entra-manager-array", { id: bo, otherId: boss });
  yield* entra.step("mover · the manager as a bare string", "entra-manager-string", {
    id: bo,
    otherId: boss,
  });
  yield* entra.step("mover · made Bo Sample an approver", "entra-role", { id: bo });
  yield* entra.step("mover · set Kim Probe's password", "entra-password", { id: kim });
  yield* entra.step("mover · dotted and URN keys in one replace", "entra-flag-update-user", { id: bo });
  yield* entra.step("mover · the manager again, with the flag", "entra-flag-manager", {
    id: bo,
    otherId: boss,
  });
  yield* entra.step("mover · took the manager away", "entra-manager-remove", { id: bo });

  yield* entra.step("groups · looked for Testers", "entra-match-group");
  const groupId = yield* entra.step("groups · created Testers", "entra-create-group", {}, [201]);
  const both = { id: bo, otherId: boss, groupId };
  yield* entra.step("groups · Bo Sample and Mia Boss in", "entra-add-members", both);
  yield* entra.step("groups · Mia Boss out", "entra-remove-member", both);
  yield* entra.step("groups · Mia Boss in again, with the flag", "entra-flag-add-member", both);
  yield* entra.step("groups · Mia Boss out again, by path filter", "entra-flag-remove-member", both);
  yield* entra.step("groups · renamed Testers", "entra-rename-group", both);
  yield* entra.step("groups · read Testers", "entra-get-group", both);
  yield* entra.step("groups · deleted Testers", "entra-delete-group", both);

  yield* entra.step("leaver · disabled Bo Sample with the string False", "entra-disable", { id: bo });
  yield* entra.step("leaver · enabled Bo Sample", "entra-enable", { id: bo });
  yield* entra.step("leaver · disabled Bo Sample, with the flag", "entra-flag-disable", { id: bo });
  yield* entra.step("leaver · deleted Bo Sample", "entra-delete-user", { id: bo });
  yield* entra.step("leaver · deleted Kim Probe, with the flag", "entra-flag-delete-user", { id: kim });
}
