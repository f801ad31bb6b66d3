// What authentik, JumpCloud, OneLogin, SailPoint and Ping send where they differ from the big two, Bulk and search of RFC 7644,
// and requests that a proxy must refuse: duplicate keys (RFC 8259 §4 leaves their meaning open), a body that names another
// resource than its path, a method hidden in a header.

import type { DayLine, Player } from "./player.ts";
import type { IdpShape } from "./shape.ts";

const JSON_TYPE = { Accept: "application/scim+json", "Content-Type": "application/scim+json" };
const PATCH_OP = '"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]';
const USER = '"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]';
const GROUP = '"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]';
const BULK = '"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]';
const SEARCH = '"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]';
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

const authentik = { idp: "authentik", headers: { ...JSON_TYPE, "User-Agent": "authentik" } } as const;
const jumpCloud = { idp: "JumpCloud", headers: { ...JSON_TYPE, "User-Agent": "JumpCloud" } } as const;
const oneLogin = { idp: "OneLogin", headers: { ...JSON_TYPE, "User-Agent": "OneLogin" } } as const;
const sailPoint = { idp: "SailPoint", headers: { ...JSON_TYPE, "User-Agent": "SailPoint" } } as const;
const ping = { idp: "Ping", headers: { ...JSON_TYPE, "User-Agent": "PingFederate" } } as const;
const scim = { idp: "SCIM", headers: JSON_TYPE } as const;

/** The shapes of the smaller providers, of Bulk and search, and those to refuse. */
export const otherShapes: readonly IdpShape[] = [
  { ...authentik, name: "authentik-discovery", method: "GET", path: "/ServiceProviderConfig" },
  {
    ...authentik,
    name: "authentik-put-user",
    method: "PUT",
    path: "/Users/{id}",
    body:
      `{${USER}, "id": "{id}", "userName": "lin.case.{run}@example.com", "name": {"formatted": "Lin Case", "givenName": "Lin",` +
      ' "familyName": "Case"}, "displayName": "Lin Case", "active": true, "externalId": "lin{run}"}',
  },
  {
    ...authentik,
    name: "authentik-create-group",
    method: "POST",
    path: "/Groups",
    body: `{${GROUP}, "externalId": "crew{run}", "displayName": "Crew {run}"}`,
  },
  {
    ...authentik,
    name: "authentik-add-members",
    method: "PATCH",
    path: "/Groups/{groupId}",
    body:
      `{${PATCH_OP}, "Operations": [{"op": "add", "path": "members", "value": [{"value": "{id}"}]},` +
      ' {"op": "add", "path": "members", "value": [{"value": "{otherId}"}]}]}',
  },
  {
    ...authentik,
    name: "authentik-remove-member",
    method: "PATCH",
    path: "/Groups/{groupId}",
    body: `{${PATCH_OP}, "Operations": [{"op": "remove", "path": "members", "value": [{"value": "{otherId}"}]}]}`,
  },
  {
    ...jumpCloud,
    name: "jumpcloud-create-user",
    method: "POST",
    path: "/Users",
    body:
      `{"schemas":["${ENTERPRISE}","urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"lin.case.{run}@example.com",` +
      '"name":{"givenName":"Lin","familyName":"Case"},"active":true,"password":"{password}"}',
  },
  {
    ...jumpCloud,
    name: "jumpcloud-put-user",
    method: "PUT",
    path: "/Users/{id}",
    body:
      `{"${ENTERPRISE}":{"department":"Examples","costCenter":"E-1"},"schemas":["${ENTERPRISE}",` +
      '"urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{id}","userName":"lin.case.{run}@example.com",' +
      '"name":{"givenName":"Lin","familyName":"Case"},"photos":[{"value":"https://example.com/lin.png","type":"photo"}],' +
      '"password":"{password}","active":true}',
  },
  {
    ...jumpCloud,
    name: "jumpcloud-patch-user",
    method: "PATCH",
    path: "/Users/{id}",
    body:
      `{${PATCH_OP},"Operations":[{"op":"replace","path":"name.givenName","value":"Linn"},` +
      '{"op":"replace","path":"title","value":"Tester"},{"op":"replace","path":"active","value":true}]}',
  },
  {
    ...jumpCloud,
    name: "jumpcloud-remove-all-members",
    method: "PATCH",
    path: "/Groups/{groupId}",
    body: `{${PATCH_OP},"Operations":[{"op":"remove","path":"members"}]}`,
  },
  {
    ...oneLogin,
    name: "onelogin-create-user",
    method: "POST",
    path: "/Users",
    body:
      `{${USER},"userName":"ivo.trial.{run}@example.com","externalId":"91{run}","name":{"givenName":"Ivo","familyName":"Trial",` +
      '"middleName":null,"formatted":"Ivo Trial"},"title":null,"phoneNumbers":null,"manager":null,"nickName":null,"active":true}',
  },
  {
    ...oneLogin,
    name: "onelogin-add-member",
    method: "PATCH",
    path: "/Groups/{groupId}",
    body:
      `{${PATCH_OP},"Operations":[{"op":"add","path":"members[value eq \\"{otherId}\\"]",` +
      '"value":[{"value":"{otherId}"}]}]}',
  },
  {
    ...sailPoint,
    name: "sailpoint-disable",
    method: "PATCH",
    path: "/Users/{id}",
    body: `{${PATCH_OP},"Operations":[{"op":"add","value":{"active":false}}]}`,
  },
  {
    ...scim,
    name: "scim-search",
    method: "POST",
    path: "/Users/.search",
    body: `{${SEARCH},"filter":"userName sw \\"lin.case.\\"","startIndex":1,"count":10}`,
  },
  {
    ...scim,
    name: "scim-bulk",
    method: "POST",
    path: "/Bulk",
    body:
      `{${BULK},"failOnErrors":2,"Operations":[` +
      `{"method":"POST","path":"/Groups","bulkId":"crew","data":{${GROUP},"displayName":"Bulk crew {run}",` +
      '"members":[{"type":"User","value":"bulkId:uma"}]}},' +
      `{"method":"POST","path":"/Users","bulkId":"uma","data":{${USER},"userName":"uma.bulk.{run}@example.com","password":"{password}"}},` +
      `{"method":"PATCH","path":"/Users/{id}","data":{${PATCH_OP},"Operations":[{"op":"replace","path":"password","value":"{password}"}]}},` +
      '{"method":"DELETE","path":"/Users/does-not-exist"}]}',
  },
  {
    ...ping,
    name: "ping-override-put",
    method: "POST",
    path: "/Users/{id}",
    headers: { ...ping.headers, "X-HTTP-Method-Override": "PUT" },
    body: `{${USER},"userName":"override.{run}@example.com","active":true}`,
    refused: true,
  },
  {
    ...ping,
    name: "ping-override-delete",
    method: "POST",
    path: "/Users/{id}",
    headers: { ...ping.headers, "X-HTTP-Method-Override": "DELETE" },
    body: "{}",
    refused: true,
  },
  {
    ...scim,
    name: "refused-duplicate-key",
    method: "POST",
    path: "/Users",
    body: `{${USER},"userName":"two.faced.{run}@example.com","active":true,"active":false,"password":"{password}"}`,
    refused: true,
  },
  {
    ...scim,
    name: "refused-put-other-id",
    method: "PUT",
    path: "/Users/{id}",
    body: `{${USER},"id":"{otherId}","userName":"somebody.else.{run}@example.com","active":true}`,
    refused: true,
  },
  {
    ...scim,
    name: "refused-media-type",
    method: "POST",
    path: "/Users",
    headers: { ...JSON_TYPE, "Content-Type": "text/plain" },
    body: `{${USER},"userName":"plain.text.{run}@example.com"}`,
    refused: true,
  },
];

/** The smaller providers' part of the day, each with what only it does. */
export async function* otherDay(play: (idp: string) => Player): AsyncGenerator<DayLine, void> {
  yield* play("authentik").step("discovery · read the service provider's limits", "authentik-discovery");
  const lin = yield* play("JumpCloud").step(
    "joiner · created Lin Case, with a password",
    "jumpcloud-create-user",
    {},
    [201],
  );
  const ivo = yield* play("OneLogin").step(
    "joiner · created Ivo Trial, with explicit nulls",
    "onelogin-create-user",
    {},
    [201],
  );
  yield* play("JumpCloud").step("mover · the whole of Lin Case, with a photo", "jumpcloud-put-user", {
    id: lin,
  });
  yield* play("JumpCloud").step("mover · one operation an attribute", "jumpcloud-patch-user", { id: lin });
  yield* play("authentik").step("mover · the whole of Lin Case", "authentik-put-user", { id: lin });
  const groupId = yield* play("authentik").step("groups · created Crew", "authentik-create-group", {}, [201]);
  const both = { id: lin, otherId: ivo, groupId };
  yield* play("authentik").step("groups · one operation a member", "authentik-add-members", both);
  yield* play("authentik").step("groups · Ivo Trial out", "authentik-remove-member", both);
  yield* play("OneLogin").step("groups · Ivo Trial in, by path filter", "onelogin-add-member", both);
  yield* play("JumpCloud").step("groups · everybody out", "jumpcloud-remove-all-members", both);
  yield* play("SCIM").step(
    "Bulk · a group, its member, a password and a miss",
    "scim-bulk",
    { id: lin },
    [200],
  );
  yield* play("SCIM").step("search · by POST", "scim-search", {}, [200]);
  yield* play("SailPoint").step("leaver · disabled Ivo Trial", "sailpoint-disable", { id: ivo });
}

/** Requests that only a proxy that reads closely refuses; a SCIM server alone may well accept some of them. */
export async function* refusedDay(play: (idp: string) => Player): AsyncGenerator<DayLine, void> {
  yield* play("SCIM").step("refused · active is both true and false", "refused-duplicate-key", {}, [400]);
  yield* play("SCIM").step(
    "refused · the body names another user than the path",
    "refused-put-other-id",
    {},
    [400],
  );
  yield* play("SCIM").step("refused · not a SCIM media type", "refused-media-type", {}, [415]);
  yield* play("Ping").step("refused · a DELETE hidden in a header", "ping-override-delete", {}, [400, 405]);
}
