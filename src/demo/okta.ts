// What Okta sends, for custom applications (always PUT) and for catalogue applications (PATCH): see Okta's SCIM 2.0 protocol
// reference. It creates with a clear-text password and never DELETEs a user. Then one working day of it.

import type { DayLine, Player } from "./player.ts";
import type { IdpShape } from "./shape.ts";

const READ = {
  "User-Agent": "Okta SCIM Client 1.0.0",
  Accept: "application/scim+json",
  "Accept-Encoding": "gzip",
};
const WRITE = { ...READ, "Content-Type": "application/scim+json; charset=utf-8" };
const PATCH_OP = '"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]';
const USER = '"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]';
const GROUP = '"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]';
const OKTA = { idp: "Okta" } as const;

const ADA =
  '"userName":"ada.example.{run}@example.com","name":{"givenName":"Ada","familyName":"Example"},' +
  '"emails":[{"primary":true,"value":"ada.example.{run}@example.com","type":"work"}],"displayName":"Ada Example","locale":"en-US",' +
  '"externalId":"00u1ada{run}","groups":[]';
const STORED_META = '"id":"{id}","meta":{"resourceType":"User"}';

/** Every shape of Okta's, in the order in which a new connection meets them. */
export const oktaShapes: readonly IdpShape[] = [
  {
    ...OKTA,
    name: "okta-test-users",
    method: "GET",
    path: "/Users",
    query: "startIndex=1&count=2",
    headers: READ,
  },
  {
    ...OKTA,
    name: "okta-test-groups",
    method: "GET",
    path: "/Groups",
    query: "startIndex=1&count=100",
    headers: READ,
  },
  {
    ...OKTA,
    name: "okta-match-user",
    method: "GET",
    path: "/Users",
    query: "filter=userName%20eq%20%22ada.example.{run}%40example.com%22&startIndex=1&count=100",
    headers: READ,
  },
  {
    // Quotes and @ bare, as Okta writes them. A bare space cannot occur: it would end the request target.
    ...OKTA,
    name: "okta-match-user-bare-quotes",
    method: "GET",
    path: "/Users",
    query: 'filter=userName%20eq%20"ada.example.{run}@example.com"&startIndex=1&count=100',
    headers: READ,
  },
  {
    ...OKTA,
    name: "okta-create-user",
    method: "POST",
    path: "/Users",
    headers: WRITE,
    body: `{${USER},${ADA},"password":"{password}","active":true}`,
  },
  {
    ...OKTA,
    name: "okta-create-second-user",
    method: "POST",
    path: "/Users",
    headers: WRITE,
    body:
      `{${USER},"userName":"zoë.muster.{run}@example.com","name":{"givenName":"Zoë","familyName":"Muster"},` +
      '"emails":[{"primary":true,"value":"zoe.muster.{run}@example.com","type":"work"}],"displayName":"Zo\\u00eb Muster",' +
      '"locale":"de-CH","externalId":"00u2zoe{run}","groups":[],"password":"{password}","active":true}',
  },
  { ...OKTA, name: "okta-get-user", method: "GET", path: "/Users/{id}", headers: READ },
  {
    ...OKTA,
    name: "okta-put-user",
    method: "PUT",
    path: "/Users/{id}",
    headers: WRITE,
    body: `{${USER},${STORED_META},${ADA},"title":"Head of Examples","active":true}`,
  },
  {
    ...OKTA,
    name: "okta-put-password",
    method: "PUT",
    path: "/Users/{id}",
    headers: WRITE,
    body: `{${USER},${STORED_META},${ADA},"password":"{password}","active":true}`,
  },
  {
    ...OKTA,
    name: "okta-put-deactivate",
    method: "PUT",
    path: "/Users/{id}",
    headers: WRITE,
    body: `{${USER},${STORED_META},${ADA},"title":"Head of Examples","active":false}`,
  },
  {
    ...OKTA,
    name: "okta-patch-activate",
    method: "PATCH",
    path: "/Users/{id}",
    headers: WRITE,
    body: `{${PATCH_OP},"Operations":[{"op":"replace","value":{"active":true}}]}`,
  },
  {
    ...OKTA,
    name: "okta-patch-password",
    method: "PATCH",
    path: "/Users/{id}",
    headers: WRITE,
    body: `{${PATCH_OP},"Operations":[{"op":"replace","value":{"password":"{password}"}}]}`,
  },
  {
    ...OKTA,
    name: "okta-patch-deactivate",
    method: "PATCH",
    path: "/Users/{id}",
    headers: WRITE,
    body: `{${PATCH_OP},"Operations":[{"op":"replace","value":{"active":false}}]}`,
  },
  {
    ...OKTA,
    name: "okta-create-group",
    method: "POST",
    path: "/Groups",
    headers: WRITE,
    body: `{${GROUP},"displayName":"Examples {run}","members":[]}`,
  },
  {
    ...OKTA,
    name: "okta-push-members",
    method: "PATCH",
    path: "/Groups/{groupId}",
    headers: WRITE,
    body:
      `{${PATCH_OP},"Operations":[{"op":"remove","path":"members[value eq \\"{otherId}\\"]"},` +
      '{"op":"add","path":"members","value":[{"value":"{id}","display":"ada.example.{run}@example.com"}]}]}',
  },
  {
    ...OKTA,
    name: "okta-push-name",
    method: "PATCH",
    path: "/Groups/{groupId}",
    headers: WRITE,
    body: `{${PATCH_OP},"Operations":[{"op":"replace","value":{"id":"{groupId}","displayName":"Examples and more {run}"}}]}`,
  },
  {
    ...OKTA,
    name: "okta-push-all-members",
    method: "PATCH",
    path: "/Groups/{groupId}",
    headers: WRITE,
    body:
      `{${PATCH_OP},"Operations":[{"op":"replace","path":"members","value":[{"value":"{id}","display":"Ada Example"},` +
      '{"value":"{otherId}","display":"Zo\\u00eb Muster"}]}]}',
  },
  {
    ...OKTA,
    name: "okta-push-no-members",
    method: "PATCH",
    path: "/Groups/{groupId}",
    headers: WRITE,
    body: `{${PATCH_OP},"Operations":[{"op":"replace","path":"members","value":[]}]}`,
  },
  {
    ...OKTA,
    name: "okta-push-no-members-pathless",
    method: "PATCH",
    path: "/Groups/{groupId}",
    headers: WRITE,
    body: `{${PATCH_OP},"Operations":[{"op":"replace","value":{"members":[]}}]}`,
  },
  {
    ...OKTA,
    name: "okta-put-group",
    method: "PUT",
    path: "/Groups/{groupId}",
    headers: WRITE,
    body:
      `{${GROUP},"id":"{groupId}","displayName":"Examples {run}","members":[{"value":"{id}","display":"Ada Example"}],` +
      '"meta":{"resourceType":"Group"}}',
  },
  { ...OKTA, name: "okta-delete-group", method: "DELETE", path: "/Groups/{groupId}", headers: READ },
];

/** Okta's day: the connection test, joiners, a mover, group pushes, leavers. */
export async function* oktaDay(okta: Player): AsyncGenerator<DayLine, void> {
  yield* okta.step("connection test · asked for users", "okta-test-users");
  yield* okta.step("connection test · asked for groups", "okta-test-groups");
  yield* okta.step(
    "connection test · a user that does not exist",
    "okta-get-user",
    { id: "does-not-exist" },
    [404],
  );
  yield* okta.step("connection test · a wrong token", "okta-test-users", { wrongToken: true }, [401]);

  yield* okta.step("joiner · looked for Ada Example", "okta-match-user");
  const ada = yield* okta.step(
    "joiner · created Ada Example, with a password",
    "okta-create-user",
    {},
    [201],
  );
  const zoe = yield* okta.step(
    "joiner · created Zoë Muster, with a password",
    "okta-create-second-user",
    {},
    [201],
  );
  yield* okta.step("joiner · looked for Ada Example again", "okta-match-user-bare-quotes");
  yield* okta.step("joiner · created Ada Example a second time: taken", "okta-create-user", {}, [409]);

  yield* okta.step("mover · read Ada Example", "okta-get-user", { id: ada });
  yield* okta.step("mover · made Ada Example head of Examples", "okta-put-user", { id: ada });
  yield* okta.step("mover · set Ada Example's password", "okta-patch-password", { id: ada });
  yield* okta.step("mover · set it again with the whole object", "okta-put-password", { id: ada });

  const groupId = yield* okta.step("group push · created Examples", "okta-create-group", {}, [201]);
  const both = { id: ada, otherId: zoe, groupId };
  yield* okta.step("group push · Ada Example in, Zoë Muster out", "okta-push-members", both);
  yield* okta.step("group push · renamed Examples", "okta-push-name", both);
  yield* okta.step("group push · all members", "okta-push-all-members", both);
  yield* okta.step("group push · no members", "okta-push-no-members", both);
  yield* okta.step("group push · the whole group", "okta-put-group", both);
  yield* okta.step("group push · no members, without a path", "okta-push-no-members-pathless", both);
  yield* okta.step("group push · deleted Examples", "okta-delete-group", both);

  yield* okta.step("leaver · deactivated Zoë Muster", "okta-patch-deactivate", { id: zoe });
  yield* okta.step("leaver · brought Zoë Muster back", "okta-patch-activate", { id: zoe });
  yield* okta.step("leaver · deactivated Ada Example with the whole object", "okta-put-deactivate", {
    id: ada,
  });
}
