/**
 * OAuth 2.0 client credentials (RFC 6749 §4.4): the clients of `POST /oauth2/token` and the tokens they are given.
 *
 * An access token is a JWT (RFC 9068 in form) under HMAC-SHA-256. Its key is derived from the ledger's token key and
 * the client's own secret, so several instances agree without talking, and replacing a secret ends its tokens too.
 */
import { createHmac, randomUUID } from "node:crypto";
import { decodeJwt, errors, jwtVerify, SignJWT } from "jose";
import type { Config } from "../config/schema.ts";
import { digestSecret, matchDigests } from "./secretDigest.ts";

/** The issuer of our own access tokens. */
export const ACCESS_TOKEN_ISSUER = "urn:scimseal:token";
const TYP = "at+jwt";

/** Where keys come from: the token key of a ledger (see keys/tokenKey.ts). */
export type KeyOfLedger = (ledger: string) => { derive(purpose: string): Uint8Array };

/** One client: a client identifier with one secret, on one or more connectors. */
interface OauthClient {
  clientId: string;
  /** Credential name by connector. */
  connectors: Map<string, string>;
  digest: Buffer;
  key: Uint8Array;
  ttlSeconds: number;
}

/** An access token and its life in seconds. */
export interface AccessToken {
  token: string;
  expiresInSeconds: number;
}

/** The OAuth clients of all connectors. */
export class OauthClients {
  readonly #clients: readonly OauthClient[];
  readonly #now: () => number;

  constructor(config: Pick<Config, "connectors">, keyOfLedger: KeyOfLedger, now: () => number = Date.now) {
    this.#now = now;
    const clients: OauthClient[] = [];
    for (const [connector, { ledger, clients: configured }] of Object.entries(config.connectors)) {
      for (const { name, clientId, clientSecret, tokenTtlSeconds } of configured.oauth) {
        const secret = clientSecret.reveal();
        const digest = digestSecret(clientId, secret);
        const [same] = matchDigests(clients, digest);
        if (same !== undefined) {
          same.connectors.set(connector, name);
          same.ttlSeconds = Math.min(same.ttlSeconds, tokenTtlSeconds);
          continue;
        }
        const key = createHmac("sha256", keyOfLedger(ledger).derive("access-token"))
          .update(`${Buffer.byteLength(clientId)}:${clientId}${secret}`)
          .digest();
        clients.push({
          clientId,
          connectors: new Map([[connector, name]]),
          digest,
          key,
          ttlSeconds: tokenTtlSeconds,
        });
      }
    }
    this.#clients = clients;
  }

  /** An access token for a client that proves itself; undefined otherwise. Unknown and known identifiers cost the same. */
  async issue(clientId: string, clientSecret: string): Promise<AccessToken | undefined> {
    const [client] = matchDigests(this.#clients, digestSecret(clientId, clientSecret));
    if (client === undefined) return undefined;
    const issuedAt = Math.floor(this.#now() / 1000);
    const token = await new SignJWT({ client_id: clientId })
      .setProtectedHeader({ alg: "HS256", typ: TYP })
      .setIssuer(ACCESS_TOKEN_ISSUER)
      .setAudience([...client.connectors.keys()])
      .setSubject(clientId)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + client.ttlSeconds)
      .setJti(randomUUID())
      .sign(client.key);
    return { token, expiresInSeconds: client.ttlSeconds };
  }

  /** The client an access token of ours belongs to: credential name by connector. Undefined for any other token. */
  async verify(token: string): Promise<ReadonlyMap<string, string> | undefined> {
    const clientId = claimedClient(token);
    if (clientId === undefined) return undefined;
    for (const client of this.#clients) {
      if (client.clientId !== clientId) continue;
      try {
        const { payload } = await jwtVerify(token, client.key, {
          algorithms: ["HS256"],
          typ: TYP,
          issuer: ACCESS_TOKEN_ISSUER,
          currentDate: new Date(this.#now()),
          requiredClaims: ["exp", "aud"],
        });
        const granted = new Set([payload.aud ?? []].flat());
        return new Map([...client.connectors].filter(([connector]) => granted.has(connector)));
      } catch (error) {
        if (!(error instanceof errors.JOSEError)) throw error; // Not this secret's, or over: try the next.
      }
    }
    return undefined;
  }
}

function claimedClient(token: string): string | undefined {
  try {
    const { iss, client_id: clientId } = decodeJwt<{ client_id?: unknown }>(token);
    return iss === ACCESS_TOKEN_ISSUER && typeof clientId === "string" ? clientId : undefined;
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}
