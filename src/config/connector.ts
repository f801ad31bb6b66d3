/**
 * The part of the schema that describes one connector: its target, the target's credential, its clients.
 * Bearer tokens are not here: `scimseal token` mints them into `<dataDir>/credentials.json`.
 */
import { z } from "zod";
import { isSafeTransport, type Leaves, NAME_PATTERN, NAME_RULE, networkUrl } from "./leaves.ts";
import type { Secret } from "./secret.ts";

/** How the proxy proves itself to a target. Mutual TLS is in `target.tls`, besides any of these. */
export type TargetAuth =
  | { kind: "bearer"; token: Secret }
  | { kind: "basic"; username: string; password: Secret }
  | { kind: "oauth"; tokenUrl: string; clientId: string; clientSecret: Secret; scope?: string }
  | { kind: "none" };

/** Signature algorithms a client's JWT may be made with: asymmetric only, so that a public key is never a secret. */
export const JWT_ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;

/** One connector. */
export function connectorSchema(leaf: Leaves) {
  return z.strictObject({
    ledger: z.string().describe("Name of the ledger that this connector's writes are recorded in."),
    idp: z
      .enum(["okta", "entra", "other"])
      .describe("Kind of identity provider. It changes advice, not behaviour.")
      .default("other"),
    target: targetSchema(leaf),
    clients: clientsSchema(leaf),
    ids: z
      .enum(["opaque", "personal"])
      .describe("personal: resource ids are logins or addresses, and stand in entries as keyed tokens.")
      .default("opaque"),
    redact: z
      .array(
        z
          .string()
          .regex(/^[^\s\p{Cc}]{1,256}$/u, "must be an attribute name or path, without spaces")
          .describe("Attribute name or path."),
      )
      .describe("Attributes whose values are never kept, besides password.")
      .default([]),
    auditReads: z.boolean().describe("Record reads too.").default(false),
  });
}

function targetSchema(leaf: Leaves) {
  return z
    .strictObject({
      url: networkUrl("The target's SCIM base URL, such as https://app.example.com/scim/v2."),
      auth: targetAuthSchema(leaf),
      tls: z
        .strictObject({
          caFile: leaf
            .file("PEM file with the certificate authorities to trust instead of the system's.")
            .exactOptional(),
          certFile: leaf.file("PEM file with the client certificate (mutual TLS).").exactOptional(),
          keyFile: leaf.privateFile("PEM file with the client certificate's key, mode 0600.").exactOptional(),
          serverName: z
            .string()
            .min(1)
            .describe("Name the target's certificate must bear, if not the URL's host.")
            .exactOptional(),
        })
        .superRefine((tls, context) => {
          if ((tls.certFile === undefined) !== (tls.keyFile === undefined)) {
            context.addIssue({ code: "custom", message: "says only one of certFile and keyFile: say both" });
          }
        })
        .describe("TLS towards the target.")
        .exactOptional(),
      timeoutMs: z
        .int()
        .min(100)
        .max(600_000)
        .describe(
          "Time for the target's whole answer. Keep it below the identity provider's 60 s. Milliseconds.",
        )
        .default(50_000),
      connectTimeoutMs: z
        .int()
        .min(50)
        .max(60_000)
        .describe("Time to reach the target, TLS included. Milliseconds.")
        .default(5000),
    })
    .describe("The SCIM service provider behind the proxy.");
}

function targetAuthSchema(leaf: Leaves) {
  return z
    .strictObject({
      bearer: leaf.secret("Bearer token for the target.").exactOptional(),
      basic: z
        .strictObject({
          username: basicUser(),
          password: leaf.secret("Password."),
        })
        .describe("HTTP Basic (RFC 7617).")
        .exactOptional(),
      oauth: z
        .strictObject({
          tokenUrl: networkUrl(
            "Token endpoint of the target's authorization server; https, except on loopback.",
          ).refine(isSafeTransport, "must be https: a client secret is sent there"),
          clientId: z.string().min(1).describe("Client identifier."),
          clientSecret: leaf.secret("Client secret."),
          scope: z.string().min(1).describe("Scope to ask for.").exactOptional(),
        })
        .describe("OAuth 2.0 client credentials (RFC 6749 §4.4).")
        .exactOptional(),
      none: z.literal(true).describe("No credential in a header, as with mutual TLS alone.").exactOptional(),
    })
    .transform((value, context): TargetAuth => {
      const found: TargetAuth[] = [];
      if (value.bearer !== undefined) found.push({ kind: "bearer", token: value.bearer });
      if (value.basic !== undefined) found.push({ kind: "basic", ...value.basic });
      if (value.oauth !== undefined) found.push({ kind: "oauth", ...value.oauth });
      if (value.none !== undefined) found.push({ kind: "none" });
      const [only] = found;
      if (only !== undefined && found.length === 1) return only;
      context.addIssue({ code: "custom", message: "must say exactly one of bearer, basic, oauth, none" });
      return z.NEVER;
    })
    .describe("The credential for the target; exactly one of these.");
}

function clientsSchema(leaf: Leaves) {
  const name = z
    .string()
    .regex(NAME_PATTERN, NAME_RULE)
    .describe("The credential's name as it stands in entries; never a person's.");
  const instant = (description: string) =>
    z.iso
      .datetime({ offset: true, error: "must be a date and time with zone, such as 2030-01-31T00:00:00Z" })
      .transform((text) => new Date(text))
      .describe(description);

  const basic = z.strictObject({
    name,
    username: basicUser(),
    password: leaf.secret("Password."),
    notBefore: instant("Not accepted before this time.").exactOptional(),
    expires: instant("Not accepted from this time on.").exactOptional(),
  });

  const jwt = z.strictObject({
    name,
    issuer: z.string().min(1).describe("Exact value of the claim iss."),
    audience: z.string().min(1).describe("Value that the claim aud must be or hold."),
    jwksUrl: networkUrl("Where the issuer publishes its keys; https, except on loopback.").refine(
      isSafeTransport,
      "must be https: who answers here decides who may call",
    ),
    algorithms: z
      .array(z.enum(JWT_ALGORITHMS).describe("JWS algorithm."))
      .min(1)
      .describe("Algorithms that are accepted.")
      .default(["RS256"]),
    typ: z.string().min(1).describe("Exact media type in the header typ, such as at+jwt.").exactOptional(),
    clockToleranceSeconds: z.int().min(0).max(300).describe("Tolerance for exp, nbf and iat.").default(60),
    requiredClaims: z
      .record(z.string(), z.string().describe("Value the claim must have, or hold if it is a list."))
      .describe("Further claims a token must carry, by name.")
      .default({}),
  });

  const oauth = z.strictObject({
    name,
    clientId: z
      .string()
      .min(1)
      .regex(/^[^:]*$/, "must not hold a colon")
      .describe("Client identifier."),
    clientSecret: leaf.secret("Client secret."),
    tokenTtlSeconds: z.int().min(60).max(86_400).describe("Life of an access token. Seconds.").default(3600),
  });

  return z
    .strictObject({
      basic: z
        .array(basic)
        .describe("HTTP Basic clients. Two with one user name make a rotation without a gap.")
        .default([]),
      jwt: z.array(jwt).describe("Clients that bring a JWT from an issuer of their own.").default([]),
      oauth: z.array(oauth).describe("OAuth 2.0 clients of POST /oauth2/token.").default([]),
    })
    .superRefine((clients, context) => {
      const seen = new Set<string>();
      for (const kind of ["basic", "jwt", "oauth"] as const) {
        clients[kind].forEach((client, index) => {
          if (seen.has(client.name)) {
            context.addIssue({
              code: "custom",
              path: [kind, index, "name"],
              message: "is the name of another client too",
            });
          }
          seen.add(client.name);
        });
      }
    })
    .describe("Who may call, besides the bearer tokens that `scimseal token` mints.")
    .prefault({});
}

/** The user name of HTTP Basic, for the target as for clients: a colon would end it (RFC 7617 §2). */
function basicUser() {
  return z
    .string()
    .min(1)
    .regex(/^[^:]*$/, "must not hold a colon (RFC 7617)")
    .describe("User name.");
}
