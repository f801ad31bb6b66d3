// What RFC 7643 says of attributes where a reader cannot see it from a body: how a name is spelled, which attributes hold
// several values, which are the server's own, and which no answer ever shows.
// Leaves out: every other schema. An attribute that is not named here is read by the shape of what was sent.

/** A name in the two forms that matter: for comparing, and for showing. */
export interface Name {
  /** Lower case. */
  readonly key: string;
  readonly text: string;
}

/** RFC 7643 §4.1.2, §4.2: several values, each with a `value` but for addresses. */
const multiValued: ReadonlySet<string> = new Set([
  "addresses",
  "emails",
  "entitlements",
  "groups",
  "ims",
  "members",
  "phonenumbers",
  "photos",
  "roles",
  "x509certificates",
]);

/**
 * The server's own (RFC 7643 §3.1), or said better elsewhere: `groups` is what the groups' own changes make of it
 * (§4.1.2), and grows stale with each of them.
 */
const leftOut: ReadonlySet<string> = new Set(["groups", "id", "meta", "schemas"]);

const spellings: ReadonlyMap<string, string> = new Map(
  (
    "active addresses costCenter country department displayName display division emails employeeNumber entitlements externalId " +
    "familyName formatted givenName honorificPrefix honorificSuffix ims locale locality manager members middleName name " +
    "nickName organization password phoneNumbers photos postalCode preferredLanguage primary profileUrl region roles " +
    "streetAddress timezone title type userName userType value x509Certificates"
  )
    .split(" ")
    .map((name) => [name.toLowerCase(), name]),
);

/** `USERNAME` → `userName`; a name that RFC 7643 does not have stays as it was sent. */
export function nameOf(text: string): Name {
  const key = text.toLowerCase();
  return { key, text: spellings.get(key) ?? text };
}

/** What an element of a multi-valued attribute is told by. */
export const valueName: Name = { key: "value", text: "value" };

/** Whether an attribute holds several values by RFC 7643. Extensions may have names of their own: none is known. */
export function isMultiValued(key: string): boolean {
  return multiValued.has(key);
}

/** Attributes that are no part of a state. */
export function isLeftOut(key: string): boolean {
  return leftOut.has(key);
}

/** `returned: never` (RFC 7643 §7): that an answer does not have it says nothing. */
export function isNeverReturned(key: string): boolean {
  return key === "password";
}

/** Truth values, which some providers write as words. */
export function isBoolean(key: string): boolean {
  return key === "active" || key === "primary";
}
