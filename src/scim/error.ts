// SCIM error messages (RFC 7644 §3.12): the only shape in which the proxy itself says no on the SCIM listener.
// Promises: `status` is a string, as the RFC has it and as Okta's connection test demands.
// Leaves out: which status and detail belong to which refusal; that table is the proxy's.

/** The closed list of RFC 7644 table 9. */
export type ScimType =
  | "invalidFilter"
  | "tooMany"
  | "uniqueness"
  | "mutability"
  | "invalidSyntax"
  | "invalidPath"
  | "noTarget"
  | "invalidValue"
  | "invalidVers"
  | "sensitive";

const scimTypes: ReadonlySet<string> = new Set<ScimType>([
  "invalidFilter",
  "tooMany",
  "uniqueness",
  "mutability",
  "invalidSyntax",
  "invalidPath",
  "noTarget",
  "invalidValue",
  "invalidVers",
  "sensitive",
]);

/** Whether a target's `scimType` is one of the RFC's. */
export function isScimType(text: string): text is ScimType {
  return scimTypes.has(text);
}

/** The JSON text of an error answer. `detail` is for people and must hold no secret and no personal data. */
export function formatScimError(status: number, detail: string, scimType?: ScimType): string {
  return JSON.stringify({
    schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
    status: String(status),
    ...(scimType === undefined ? {} : { scimType }),
    detail,
  });
}
