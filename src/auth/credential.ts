/**
 * Minted credentials: bearer tokens of clients (`scs_…`) and of auditors (`sca_…`), as they are shown once and as they
 * are kept. The file keeps the SHA-256 of a token only: 256 random bits need no slow hash, and a thief of the file
 * gains no token. The text form lets secret scanners find a leaked token. Pure but for randomness.
 */
import { hash, randomBytes } from "node:crypto";
import { z } from "zod";
import { NAME_PATTERN, NAME_RULE } from "../config/leaves.ts";

/** Who a token is for. */
export type CredentialKind = "client" | "auditor";

/** What the holder of an auditor's token, or of a session, may do: look after connectors; read; everything. */
export const ROLES = ["operator", "auditor", "admin"] as const;
export type Role = (typeof ROLES)[number];

const PREFIXES = { client: "scs_", auditor: "sca_" } as const;
const TOKEN_PATTERN = /^sc[sa]_[A-Za-z0-9_-]{43}$/;
const SHOWN_LENGTH = 10;

const instant = z.iso.datetime({ offset: true });
const common = {
  id: z.string().regex(/^[0-9a-f]{12}$/),
  name: z.string().regex(NAME_PATTERN, NAME_RULE),
  prefix: z.string().length(SHOWN_LENGTH),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  notBefore: instant.exactOptional(),
  expires: instant.exactOptional(),
  created: instant,
  revoked: instant.exactOptional(),
};

/** Role and reach of whoever reads. Files from before there were roles have neither: an auditor of every connector. */
export const reachShape = {
  role: z.enum(ROLES).exactOptional(),
  ledgers: z.union([z.literal("*"), z.array(z.string()).min(1)]),
  connectors: z.array(z.string()).min(1).exactOptional(),
};

const credentialSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("client"), connector: z.string(), ...common }),
  z.strictObject({ kind: z.literal("auditor"), ...reachShape, ...common }),
]);

const fileSchema = z.strictObject({ version: z.literal(1), credentials: z.array(credentialSchema) });

/** One credential as it is kept. Times are RFC 3339. */
export type Credential = z.output<typeof credentialSchema>;

/** What a reader may do, and where: `connectors` left out are all. */
export interface Reach {
  role?: Role;
  ledgers: "*" | string[];
  connectors?: string[];
}

/** What a client's credential opens, or an auditor's. */
export type CredentialScope = { kind: "client"; connector: string } | ({ kind: "auditor" } & Reach);

/** What to mint. */
export type CredentialRequest = CredentialScope & { name?: string; notBefore?: Date; expires?: Date };

/** Makes a credential and its token. The token is returned here and exists nowhere else. */
export function mintCredential(
  request: CredentialRequest,
  now: Date,
): { token: string; credential: Credential } {
  const token = PREFIXES[request.kind] + randomBytes(32).toString("base64url");
  const id = randomBytes(6).toString("hex");
  const who = request.kind === "client" ? request.connector.slice(0, 50) : (request.role ?? "auditor");
  const { name = `${who}-${id}` } = request;
  const fields = {
    id,
    name,
    prefix: token.slice(0, SHOWN_LENGTH),
    sha256: digestToken(token),
    ...(request.notBefore && { notBefore: request.notBefore.toISOString() }),
    ...(request.expires && { expires: request.expires.toISOString() }),
    created: now.toISOString(),
  };
  if (request.kind === "client") {
    return { token, credential: { kind: "client", connector: request.connector, ...fields } };
  }
  return { token, credential: { kind: "auditor", ...pickReach(request), ...fields } };
}

/** Role and reach out of something larger, as they are kept. */
export function pickReach({ role, ledgers, connectors }: Reach): Reach {
  return { ...(role && { role }), ledgers, ...(connectors && { connectors }) };
}

/** Whether a text has the form of a token of ours. */
export function isToken(text: string): boolean {
  return TOKEN_PATTERN.test(text);
}

/** SHA-256 of a token, hex. */
export function digestToken(token: string): string {
  return hash("sha256", token, "hex");
}

/** Whether a credential may be used at a time: begun, not over, not revoked. */
export function isUsable(credential: Credential, nowMs: number): boolean {
  return credentialState(credential, nowMs) === "active";
}

/** Where a credential stands in its life. */
export function credentialState(
  { notBefore, expires, revoked }: Pick<Credential, "notBefore" | "expires" | "revoked">,
  nowMs: number,
): "active" | "revoked" | "expired" | "not yet valid" {
  if (revoked !== undefined) return "revoked";
  if (expires !== undefined && nowMs >= Date.parse(expires)) return "expired";
  if (notBefore !== undefined && nowMs < Date.parse(notBefore)) return "not yet valid";
  return "active";
}

/** Reads the text of a credential file. @throws {Error} saying what is wrong, without quoting the file. */
export function parseCredentials(text: string): Credential[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error("is not JSON", { cause });
  }
  const parsed = fileSchema.safeParse(value);
  if (parsed.success) return parsed.data.credentials;
  const where = parsed.error.issues.map((issue) => issue.path.join(".") || "the top").join(", ");
  throw new Error(`does not have the form of a credential file at: ${where}`);
}

/** The text of a credential file. */
export function formatCredentials(credentials: readonly Credential[]): string {
  return `${JSON.stringify({ version: 1, credentials }, null, 2)}\n`;
}
