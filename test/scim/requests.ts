// Requests as identity providers make them, for the tests of this room.
import type { WriteInput } from "../../src/scim/operation.ts";
import { bodyOf, coreUser, patchOf } from "./documents.ts";

export type Row = [name: string, input: WriteInput, effects: string[], paths: string[]];

export const patchUser = (...operations: unknown[]): WriteInput => ({
  method: "PATCH",
  resourcePath: "/Users/2819",
  document: patchOf(...operations),
});
export const patchGroup = (...operations: unknown[]): WriteInput => ({
  method: "PATCH",
  resourcePath: "/Groups/g1",
  document: patchOf(...operations),
});
export const put = (resourcePath: string, body: unknown): WriteInput => ({
  method: "PUT",
  resourcePath,
  document: bodyOf(body),
});
export const post = (resourcePath: string, body: unknown): WriteInput => ({
  method: "POST",
  resourcePath,
  document: bodyOf(body),
});

export const oktaUser = {
  schemas: [coreUser],
  userName: "anna@example.com",
  name: { givenName: "Anna", familyName: "Schmidt" },
  emails: [{ primary: true, value: "anna@example.com", type: "work" }],
  displayName: "Anna Schmidt",
  externalId: "00u1",
  groups: [],
  active: true,
};
