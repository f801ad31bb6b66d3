/**
 * One look at a target, for `scimseal doctor`: an authenticated `GET {url}/ServiceProviderConfig` (RFC 7644 §4), with
 * the certificate and the clock that come with it. It uses node:https rather than the proxy's client, because it wants
 * the peer's certificate; the rules on refused addresses are the same. It sends no write and follows no redirect.
 */
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { TLSSocket } from "node:tls";
import { assertAllowedHost, guardedLookup } from "../../config/address.ts";
import type { TargetAuth } from "../../config/connector.ts";
import type { TargetConfig } from "../../config/schema.ts";
import { basicCredential, clientAuthorization } from "../../proxy/target/target.ts";

/** What a server answered. */
export interface ProbeAnswer {
  status: number;
  body: string;
  /** The server's clock minus ours in milliseconds, to about a second; absent without a Date header. */
  clockOffsetMs?: number;
  /** End of the server certificate's life; absent without TLS. */
  certificateExpires?: Date;
}

const MAX_BYTES = 1024 * 1024;

/** Probes a target with its configured credential. @throws {Error} if it cannot be reached, or no credential can be had. */
export async function probeTarget(target: TargetConfig): Promise<ProbeAnswer> {
  const authorization = await makeAuthorization(target.auth, target);
  return await exchange(target, `${target.url}/ServiceProviderConfig`, {
    method: "GET",
    headers: { accept: "application/scim+json", ...(authorization !== undefined && { authorization }) },
  });
}

async function makeAuthorization(auth: TargetAuth, target: TargetConfig): Promise<string | undefined> {
  switch (auth.kind) {
    case "none":
      return undefined;
    case "bearer":
      return `Bearer ${auth.token.reveal()}`;
    case "basic":
      return `Basic ${basicCredential(auth.username, auth.password.reveal())}`;
    case "oauth": {
      const form = new URLSearchParams({
        grant_type: "client_credentials",
        ...(auth.scope !== undefined && { scope: auth.scope }),
      }).toString();
      // Exactly as the proxy asks: another way might be granted, and the proxy's refused.
      const headers = {
        authorization: clientAuthorization(auth),
        "content-type": "application/x-www-form-urlencoded",
        accept: "application/json",
      };
      const answer = await exchange(target, auth.tokenUrl, { method: "POST", headers, body: form });
      if (answer.status !== 200) throw new Error(`the token endpoint answered ${answer.status}`);
      return `Bearer ${readAccessToken(answer.body)}`;
    }
  }
}

/** The answer holds a secret: no message repeats it. */
function readAccessToken(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null && "access_token" in value) {
      if (typeof value.access_token === "string") return value.access_token;
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Error("the token endpoint's answer holds no access_token");
}

interface Outgoing {
  method: "GET" | "POST";
  headers: Record<string, string>;
  body?: string;
}

function exchange(target: TargetConfig, address: string, outgoing: Outgoing): Promise<ProbeAnswer> {
  const url = new URL(address);
  assertAllowedHost(url.hostname);
  const { tls } = target;
  const options: https.RequestOptions = {
    method: outgoing.method,
    headers: { ...outgoing.headers, "user-agent": "scimseal-doctor" },
    lookup: guardedLookup,
    agent: false,
    signal: AbortSignal.timeout(target.connectTimeoutMs + 10_000),
    ...(tls?.caFile !== undefined && { ca: readFileSync(tls.caFile) }),
    ...(tls?.certFile !== undefined && { cert: readFileSync(tls.certFile) }),
    ...(tls?.keyFile !== undefined && { key: readFileSync(tls.keyFile) }),
    // The name set for the target's certificate says nothing about the authorization server's.
    ...(tls?.serverName !== undefined &&
      url.hostname === new URL(target.url).hostname && { servername: tls.serverName }),
  };
  return new Promise((resolve, reject) => {
    const client = url.protocol === "https:" ? https : http;
    const request = client.request(url, options, (response) => {
      const { date } = response.headers;
      const serverMs = date === undefined ? Number.NaN : Date.parse(date);
      const expires = response.socket instanceof TLSSocket ? certificateEnd(response.socket) : undefined;
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_BYTES) response.destroy(new Error("the answer is larger than 1 MiB"));
        else chunks.push(chunk);
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks).toString("utf8"),
          ...(!Number.isNaN(serverMs) && { clockOffsetMs: serverMs - Date.now() }),
          ...(expires !== undefined && { certificateExpires: expires }),
        }),
      );
    });
    request.on("error", reject);
    request.end(outgoing.body);
  });
}

function certificateEnd(socket: TLSSocket): Date | undefined {
  const text = socket.getPeerX509Certificate()?.validTo;
  return text === undefined ? undefined : new Date(text);
}
