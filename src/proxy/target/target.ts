// A connector's target: where it is, how it is reached, and the credential for it. The address is checked at dial
// time, on the very connection that will be used, so that a name which changes its mind (DNS rebinding) leads nowhere.

import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import { Agent, buildConnector, Client, type Dispatcher, request as undiciRequest } from "undici";
import { assertAllowedHost, guardedLookup, type Lookup } from "../../config/address.ts";
import type { TargetAuth } from "../../config/connector.ts";
import type { TargetConfig } from "../../config/schema.ts";

/** The target's credential is not to be had (its authorization server is away or refuses). Nothing was sent. */
export class TargetCredentialError extends Error {
  override name = "TargetCredentialError";
}

/** Renewed this long before its end, so that a token does not expire on the way. */
const RENEW_BEFORE_MS = 60_000;
const MAX_TOKEN_ANSWER_BYTES = 64 * 1024;
/** A shorter one would be found by chance in answers that say nothing about it. */
const MIN_SECRET_LENGTH = 6;

export class Target {
  /** Base URL without a trailing slash. */
  readonly baseUrl: string;
  readonly origin: string;
  /** Path of the base URL, without a trailing slash. */
  readonly basePath: string;
  readonly timeoutMs: number;
  /** For reads, which stream through Node's own client. */
  readonly readAgent: http.Agent | https.Agent;
  readonly #agent: Agent;
  readonly #connector: buildConnector.connector;
  readonly #auth: TargetAuth;
  readonly #connectTimeoutMs: number;
  #accessToken: { token: string; validUntilMs: number } | undefined;
  #renewal: Promise<string> | undefined;

  /** Throws TargetRefusedError for a literal address that nobody may call. `lookup` resolves every name. */
  constructor(config: TargetConfig, lookup: Lookup = guardedLookup) {
    const url = new URL(config.url);
    assertAllowedHost(url.hostname);
    this.baseUrl = config.url.replace(/\/+$/, "");
    this.origin = url.origin;
    this.basePath = url.pathname.replace(/\/+$/, "");
    this.timeoutMs = config.timeoutMs;
    this.#auth = config.auth;
    this.#connectTimeoutMs = config.connectTimeoutMs;
    const { serverName, ...tls } = readTls(config.tls);
    const named = serverName === undefined ? {} : { servername: serverName };
    const dial = { ...tls, lookup, timeout: config.connectTimeoutMs };
    const toTarget = buildConnector({ ...dial, ...named });
    const toOthers = buildConnector(dial);
    // The name set for the target's certificate says nothing about the authorization server's.
    this.#connector = guardLiteral((options, callback) =>
      (options.hostname === url.hostname ? toTarget : toOthers)(options, callback),
    );
    this.#agent = new Agent({
      connect: this.#connector,
      connections: 256,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const options = { ...tls, ...named, lookup, keepAlive: true, maxSockets: 256 };
    this.readAgent = url.protocol === "https:" ? new https.Agent(options) : new http.Agent(options);
  }

  /** The shared keep-alive connections, for bodies that one write empties. */
  get shared(): Dispatcher {
    return this.#agent;
  }

  /**
   * A connection of its own for one large body: a target that answers before it has the whole body leaves a
   * connection in which the rest of that body would be read as the next request. `socket()` is known once connected.
   */
  openSingle(): { client: Client; socket(): Socket | undefined } {
    let socket: Socket | undefined;
    const connect: buildConnector.connector = (options, callback) =>
      this.#connector(options, (...result) => {
        socket = result[1] ?? undefined;
        callback(...result);
      });
    const client = new Client(this.origin, { connect, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
    return { client, socket: () => socket };
  }

  /** The Authorization header for the target; undefined if it wants none. Throws TargetCredentialError. */
  async authorization(): Promise<string | undefined> {
    const auth = this.#auth;
    switch (auth.kind) {
      case "none":
        return undefined;
      case "bearer":
        return `Bearer ${auth.token.reveal()}`;
      case "basic":
        return `Basic ${basicCredential(auth.username, auth.password.reveal())}`;
      case "oauth": {
        const held = this.#accessToken;
        if (held && held.validUntilMs > Date.now()) return `Bearer ${held.token}`;
        this.#renewal ??= this.#renew(auth).finally(() => {
          this.#renewal = undefined;
        });
        return await this.#renewal;
      }
    }
  }

  /** What a target that echoes its request could give away: the credential as configured and as it is sent. */
  get secrets(): readonly string[] {
    const auth = this.#auth;
    const held = (() => {
      switch (auth.kind) {
        case "none":
          return [];
        case "bearer":
          return [auth.token.reveal()];
        case "basic":
          return [auth.password.reveal(), basicCredential(auth.username, auth.password.reveal())];
        case "oauth":
          return [auth.clientSecret.reveal(), ...(this.#accessToken ? [this.#accessToken.token] : [])];
      }
    })();
    return held.filter((secret) => secret.length >= MIN_SECRET_LENGTH);
  }

  /** After a 401 from the target: the next request fetches a new access token. */
  forgetAccessToken(): void {
    this.#accessToken = undefined;
  }

  async close(): Promise<void> {
    this.readAgent.destroy();
    await this.#agent.destroy();
  }

  /** RFC 6749 §4.4: client credentials, authenticated by HTTP Basic (§2.3.1). */
  async #renew(auth: Extract<TargetAuth, { kind: "oauth" }>): Promise<string> {
    const form = new URLSearchParams({ grant_type: "client_credentials" });
    if (auth.scope !== undefined) form.set("scope", auth.scope);
    let answer: unknown;
    try {
      const { statusCode, body } = await undiciRequest(auth.tokenUrl, {
        method: "POST",
        dispatcher: this.#agent,
        headers: {
          authorization: clientAuthorization(auth),
          "content-type": "application/x-www-form-urlencoded",
          accept: "application/json",
        },
        body: form.toString(),
        signal: AbortSignal.timeout(this.#connectTimeoutMs * 2),
      });
      const text = await readBounded(body);
      if (statusCode !== 200) throw new TargetCredentialError(`the token endpoint answered ${statusCode}`);
      answer = JSON.parse(text);
    } catch (cause) {
      throw new TargetCredentialError("no access token for the target", { cause });
    }
    const { access_token: token, expires_in: expiresIn } = (answer ?? {}) as Record<string, unknown>;
    if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
      throw new TargetCredentialError("the token endpoint's answer holds no access token");
    }
    const lifeMs = (typeof expiresIn === "number" && expiresIn > 0 ? expiresIn : 300) * 1000;
    this.#accessToken = { token, validUntilMs: Date.now() + Math.max(lifeMs - RENEW_BEFORE_MS, lifeMs / 2) };
    return `Bearer ${token}`;
  }
}

/** How a client shows itself to an authorization server: HTTP Basic of form-encoded halves (RFC 6749 §2.3.1). */
export function clientAuthorization(auth: Extract<TargetAuth, { kind: "oauth" }>): string {
  const [user = "", secret = ""] = [auth.clientId, auth.clientSecret.reveal()].map(encodeURIComponent);
  return `Basic ${basicCredential(user, secret)}`;
}

/** What stands behind `Basic` (RFC 7617 §2). */
export function basicCredential(user: string, password: string): string {
  return Buffer.from(`${user}:${password}`).toString("base64");
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_TOKEN_ANSWER_BYTES)
      throw new TargetCredentialError("the token endpoint's answer is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** `lookup` is not asked for literal addresses, so those are checked here. */
function guardLiteral(connector: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    try {
      assertAllowedHost(options.hostname);
    } catch (cause) {
      callback(cause instanceof Error ? cause : new Error("refused address", { cause }), null);
      return;
    }
    connector(options, callback);
  };
}

function readTls(tls: TargetConfig["tls"]): {
  ca?: string;
  cert?: string;
  key?: string;
  serverName?: string;
} {
  if (!tls) return {};
  return {
    ...(tls.caFile === undefined ? {} : { ca: readFileSync(tls.caFile, "utf8") }),
    ...(tls.certFile === undefined ? {} : { cert: readFileSync(tls.certFile, "utf8") }),
    ...(tls.keyFile === undefined ? {} : { key: readFileSync(tls.keyFile, "utf8") }),
    ...(tls.serverName === undefined ? {} : { serverName: tls.serverName }),
  };
}
