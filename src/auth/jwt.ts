/**
 * Clients that bring a JWT (RFC 7519) from an issuer of their own, such as an Entra-issued token.
 *
 * The adversary writes tokens as he likes. Fixed by configuration, never by the token: where keys come from, the
 * algorithms (asymmetric only), issuer, audience. A header that names or brings a key (`jku`, `jwk`, `x5u`, `x5c`) is
 * refused outright. A token without an end of life is refused. What fails is undefined, never an exception.
 */
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import type { Config, JwtClientConfig } from "../config/schema.ts";
import { RemoteKeys, type RemoteKeysOptions } from "./jwks.ts";

/** A configured client that a token proved to be. */
export interface JwtMatch {
  client: string;
  connector: string;
}

const KEY_HEADERS = ["jku", "jwk", "x5u", "x5c"] as const;

/** Verifies tokens against every configured issuer. */
export class JwtClients {
  readonly #byIssuer = new Map<string, { connector: string; client: JwtClientConfig; keys: RemoteKeys }[]>();
  readonly #now: () => number;

  constructor(config: Pick<Config, "connectors">, options: RemoteKeysOptions & { now?: () => number }) {
    this.#now = options.now ?? Date.now;
    const keysByUrl = new Map<string, RemoteKeys>();
    for (const [connector, { clients }] of Object.entries(config.connectors)) {
      for (const client of clients.jwt) {
        const keys = keysByUrl.get(client.jwksUrl) ?? new RemoteKeys(client.jwksUrl, options);
        keysByUrl.set(client.jwksUrl, keys);
        const others = this.#byIssuer.get(client.issuer) ?? [];
        this.#byIssuer.set(client.issuer, [...others, { connector, client, keys }]);
      }
    }
  }

  /** Every configured client this token proves to be; none for a bad token. */
  async verify(token: string): Promise<JwtMatch[]> {
    const issuer = claimedIssuer(token);
    const candidates = issuer === undefined ? undefined : this.#byIssuer.get(issuer);
    if (candidates === undefined) return [];
    const matches: JwtMatch[] = [];
    for (const { connector, client, keys } of candidates) {
      if (await this.#verifyOne(token, client, keys)) matches.push({ client: client.name, connector });
    }
    return matches;
  }

  async #verifyOne(token: string, client: JwtClientConfig, keys: RemoteKeys): Promise<boolean> {
    try {
      const { payload } = await jwtVerify(token, (header, input) => keys.find(header, input), {
        algorithms: client.algorithms,
        issuer: client.issuer,
        audience: client.audience,
        clockTolerance: client.clockToleranceSeconds,
        currentDate: new Date(this.#now()),
        requiredClaims: ["exp"],
        ...(client.typ !== undefined && { typ: client.typ }),
      });
      return hasClaims(payload, client.requiredClaims);
    } catch (error) {
      // A bad token is an answer, and so is an issuer whose keys cannot be had: both are "not proved".
      if (error instanceof Error) return false;
      throw error;
    }
  }
}

/** The issuer a token claims, unverified, to choose whom to verify it against; undefined if it is not fit to verify. */
function claimedIssuer(token: string): string | undefined {
  try {
    const header: Record<string, unknown> = { ...decodeProtectedHeader(token) };
    if (KEY_HEADERS.some((name) => name in header)) return undefined;
    return decodeJwt(token).iss;
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function hasClaims(payload: JWTPayload, required: Readonly<Record<string, string>>): boolean {
  return Object.entries(required).every(([name, expected]) => {
    const value = Object.hasOwn(payload, name) ? payload[name] : undefined;
    return value === expected || (Array.isArray(value) && value.includes(expected));
  });
}
