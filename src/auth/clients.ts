/**
 * Who is calling the SCIM listener: minted bearer tokens, HTTP Basic, JWTs, OAuth access tokens.
 *
 * One lookup over all connectors: it answers "which credential is this, and which connectors does it open?". The
 * caller compares that with the path and answers 404 to a stranger's credential, so that the same work is done, and
 * the same thing is said, whether the connector exists or not. Counting and slowing failures is the listener's part.
 */
import type { Config } from "../config/schema.ts";
import { parseAuthorization } from "./authorization.ts";
import type { AuthLog, CredentialStore } from "./credentialStore.ts";
import type { RemoteKeysOptions } from "./jwks.ts";
import { JwtClients } from "./jwt.ts";
import { type KeyOfLedger, OauthClients } from "./oauth.ts";
import { digestSecret, matchDigests } from "./secretDigest.ts";

/** A caller that has proved itself. */
export interface ClientIdentity {
  /** Name of the credential: stable, and never a person's. */
  readonly client: string;
  readonly method: "bearer" | "basic" | "jwt" | "oauth";
  /** The connectors it opens. Compare with the path's; anything else is a 404. */
  readonly connectors: ReadonlySet<string>;
}

/** What the authenticator needs from outside. */
export interface ClientAuthOptions {
  log: AuthLog;
  /** Minted tokens; the authenticator does not close it. */
  credentials: CredentialStore;
  /** The token key of a ledger, for OAuth access tokens. */
  keyOfLedger: KeyOfLedger;
  /** Wall clock, epoch milliseconds. */
  now?: () => number;
  /** For a test or a metric of the key fetches. */
  jwks?: Omit<RemoteKeysOptions, "log">;
}

interface BasicClient {
  client: string;
  connector: string;
  digest: Buffer;
  notBeforeMs: number;
  expiresMs: number;
}

/** Authenticates callers of every connector. Holds no timers and no sockets. */
export class ClientAuthenticator {
  /** The clients of the token endpoint; pass it to `tokenEndpoint`. */
  readonly oauth: OauthClients;
  readonly #credentials: CredentialStore;
  readonly #basic: readonly BasicClient[];
  readonly #jwt: JwtClients;
  readonly #now: () => number;
  readonly #connectorSets: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(config: Pick<Config, "connectors">, options: ClientAuthOptions) {
    this.#now = options.now ?? Date.now;
    this.#credentials = options.credentials;
    this.#basic = basicClients(config);
    this.#jwt = new JwtClients(config, { ...options.jwks, log: options.log, now: this.#now });
    this.oauth = new OauthClients(config, options.keyOfLedger, this.#now);
    this.#connectorSets = new Map(Object.keys(config.connectors).map((name) => [name, new Set([name])]));
  }

  /** The caller behind an Authorization header, or undefined. Never throws for what a caller sent. */
  async authenticate(authorization: string | undefined): Promise<ClientIdentity | undefined> {
    const presented = parseAuthorization(authorization);
    if (presented === undefined) return undefined;
    if (presented.scheme === "basic") return this.#authenticateBasic(presented.username, presented.password);
    const { token } = presented;
    if (!token.includes(".")) return this.#authenticateMinted(token);
    return (await this.#authenticateAccessToken(token)) ?? (await this.#authenticateJwt(token));
  }

  #authenticateMinted(token: string): ClientIdentity | undefined {
    const credential = this.#credentials.find("client", token);
    if (credential?.kind !== "client") return undefined;
    // A token outlives a connector that was taken out of the configuration; then it opens nothing.
    const connectors = this.#connectorSets.get(credential.connector);
    return connectors && { client: credential.name, method: "bearer", connectors };
  }

  #authenticateBasic(username: string, password: string): ClientIdentity | undefined {
    const nowMs = this.#now();
    const found = matchDigests(this.#basic, digestSecret(username, password)).filter(
      ({ notBeforeMs, expiresMs }) => nowMs >= notBeforeMs && nowMs < expiresMs,
    );
    return identity("basic", found);
  }

  async #authenticateAccessToken(token: string): Promise<ClientIdentity | undefined> {
    const granted = await this.oauth.verify(token);
    if (granted === undefined) return undefined;
    return identity(
      "oauth",
      [...granted].map(([connector, client]) => ({ client, connector })),
    );
  }

  async #authenticateJwt(token: string): Promise<ClientIdentity | undefined> {
    return identity("jwt", await this.#jwt.verify(token));
  }
}

/** One credential may be configured on several connectors; the first one's name stands for it. */
function identity(
  method: ClientIdentity["method"],
  found: readonly { client: string; connector: string }[],
): ClientIdentity | undefined {
  const [first] = found;
  if (first === undefined) return undefined;
  return { client: first.client, method, connectors: new Set(found.map(({ connector }) => connector)) };
}

function basicClients(config: Pick<Config, "connectors">): BasicClient[] {
  return Object.entries(config.connectors).flatMap(([connector, { clients }]) =>
    clients.basic.map(({ name, username, password, notBefore, expires }) => ({
      client: name,
      connector,
      digest: digestSecret(username, password.reveal()),
      notBeforeMs: notBefore?.getTime() ?? Number.NEGATIVE_INFINITY,
      expiresMs: expires?.getTime() ?? Number.POSITIVE_INFINITY,
    })),
  );
}
