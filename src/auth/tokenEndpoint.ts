/**
 * `POST /oauth2/token` (RFC 6749 §4.4, §2.3.1, §5.1, §5.2), free of any HTTP framework: the SCIM listener mounts it,
 * bounds the body, and counts failures. Clients prove themselves by HTTP Basic or by parameters, never by both.
 */
import type { OauthClients } from "./oauth.ts";

/** Largest body that is read. The listener should not buffer more. */
export const TOKEN_REQUEST_BYTES = 8192;

/** What came in. Header names are lower-case. */
export interface TokenRequest {
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Uint8Array;
}

/** What goes out. */
export interface TokenAnswer {
  status: 200 | 400 | 401;
  headers: Readonly<Record<string, string>>;
  body: string;
}

type ErrorCode = "invalid_request" | "invalid_client" | "unsupported_grant_type";

/** Answers one token request. Never throws for what a client sent. */
export async function tokenEndpoint(clients: OauthClients, request: TokenRequest): Promise<TokenAnswer> {
  const form = parseForm(request);
  if (typeof form === "string") return refuse("invalid_request", form);
  const proofs = clientProofs(request.headers.authorization, form);
  if (typeof proofs === "string") return refuse("invalid_request", proofs);
  if (proofs.length === 0) return refuse("invalid_client", "no client credentials were sent");
  const grantType = form.get("grant_type");
  if (grantType === undefined) return refuse("invalid_request", "grant_type is missing");
  if (grantType !== "client_credentials") {
    return refuse("unsupported_grant_type", "only client_credentials is supported");
  }
  let issued: Awaited<ReturnType<OauthClients["issue"]>>;
  for (const { clientId, clientSecret } of proofs) issued ??= await clients.issue(clientId, clientSecret);
  if (issued === undefined) return refuse("invalid_client", "the client credentials are not valid");
  const body = { access_token: issued.token, token_type: "Bearer", expires_in: issued.expiresInSeconds };
  return { status: 200, headers: JSON_HEADERS, body: JSON.stringify(body) };
}

/** No cache may keep a token (RFC 6749 §5.1). */
const JSON_HEADERS = {
  "content-type": "application/json",
  "cache-control": "no-store",
  pragma: "no-cache",
};

function refuse(error: ErrorCode, description: string): TokenAnswer {
  const body = JSON.stringify({ error, error_description: description });
  if (error !== "invalid_client") return { status: 400, headers: JSON_HEADERS, body };
  const headers = { ...JSON_HEADERS, "www-authenticate": 'Basic realm="scimseal", charset="UTF-8"' };
  return { status: 401, headers, body };
}

/** The parameters, or what is wrong with them. A parameter that occurs twice is an error (RFC 6749 §3.2). */
function parseForm({ headers, body }: TokenRequest): Map<string, string> | string {
  const type = headers["content-type"];
  if (
    typeof type !== "string" ||
    type.split(";")[0]?.trim().toLowerCase() !== "application/x-www-form-urlencoded"
  ) {
    return "the body must be application/x-www-form-urlencoded";
  }
  if (body.length > TOKEN_REQUEST_BYTES) return `the body is larger than ${TOKEN_REQUEST_BYTES} bytes`;
  const form = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(Buffer.from(body).toString("utf8"))) {
    if (form.has(name)) return "a parameter occurs more than once";
    if (value !== "") form.set(name, value); // A parameter without a value counts as left out (RFC 6749 §3.2).
  }
  return form;
}

type Proof = { clientId: string; clientSecret: string };

/** The client's credentials, in each way they can be read; none if there are none; or what is wrong with them. */
function clientProofs(
  authorization: string | string[] | undefined,
  form: ReadonlyMap<string, string>,
): Proof[] | string {
  const clientId = form.get("client_id");
  const clientSecret = form.get("client_secret");
  if (authorization !== undefined) {
    if (clientSecret !== undefined) return "credentials were sent in the header and in the body: use one";
    const proofs = typeof authorization === "string" ? parseBasicClient(authorization) : [];
    if (clientId === undefined || proofs.length === 0) return proofs;
    const same = proofs.filter((proof) => proof.clientId === clientId);
    return same.length === 0 ? "client_id differs from the header's" : same;
  }
  return clientId === undefined || clientSecret === undefined ? [] : [{ clientId, clientSecret }];
}

/** RFC 6749 §2.3.1: both halves are form-encoded before the base64. Many clients leave that out, so both are read. */
function parseBasicClient(authorization: string): Proof[] {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  if (encoded === undefined) return [];
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 0) return [];
  const asSent = { clientId: text.slice(0, colon), clientSecret: text.slice(colon + 1) };
  const clientId = decodeFormPart(asSent.clientId);
  const clientSecret = decodeFormPart(asSent.clientSecret);
  if (clientId === undefined || clientSecret === undefined) return [asSent];
  const isSame = clientId === asSent.clientId && clientSecret === asSent.clientSecret;
  return isSame ? [asSent] : [{ clientId, clientSecret }, asSent];
}

function decodeFormPart(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
