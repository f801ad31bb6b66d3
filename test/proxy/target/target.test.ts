// A target's address and credentials: what may be dialled is decided on the very connection, and what proves the proxy
// to a target is fetched in time, kept to itself, and never sent in doubt.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { createGuardedLookup, type Lookup } from "../../../src/config/address.ts";
import type { TargetAuth } from "../../../src/config/connector.ts";
import { Secret } from "../../../src/config/secret.ts";
import { type Answer, forward } from "../../../src/proxy/target/forward.ts";
import { Target, TargetCredentialError } from "../../../src/proxy/target/target.ts";
import { markRecorded, type RequestDraft } from "../../../src/storage/writer/recorded.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(handler: Handler): Promise<{ port: number; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server: Server = createServer((request, response) => {
    requests.push(request);
    request.resume();
    handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, requests };
}

function open(url: string, auth: TargetAuth = { kind: "none" }, lookup?: Lookup): Target {
  const target = new Target({ url, auth, timeoutMs: 2000, connectTimeoutMs: 500 }, lookup);
  closers.push(() => target.close());
  return target;
}

/** One write, as if it had been recorded. */
function write(target: Target, body = "{}"): Promise<Answer> {
  const draft: RequestDraft = {
    body: {
      type: "request",
      txn: "0",
      connector: "c",
      actor: { client: "c", method: "bearer" },
      http: { method: "POST", path: "/Users" },
      scim: { action: "create", resourceType: "User", effects: [], paths: [] },
    },
    attachments: [],
    wire: Buffer.from(body),
  };
  const options = { path: "/Users", headers: {}, maxResponseBytes: 1000, hold: () => {} };
  return forward(markRecorded(draft, 1, "id"), target, options);
}

describe("addresses", () => {
  // case 93
  test.each([
    "http://169.254.169.254/scim/v2",
    "http://[::ffff:a9fe:a9fe]/scim/v2",
    "http://0.0.0.0/scim/v2",
    "http://2852039166/scim/v2",
    "http://[fe80::1]/scim/v2",
    "http://168.63.129.16/",
  ])("%s is no target at all", (url) => {
    expect(() => open(url)).toThrow(expect.objectContaining({ code: "ETARGETREFUSED" }));
  });

  // case 93
  test("a name that changes its mind leads nowhere: the address is checked at every dial", async () => {
    const { port, requests } = await serve((_request, response) => {
      response.writeHead(201, { connection: "close" }).end("{}");
    });
    let address = "127.0.0.1";
    const asked: string[] = [];
    const lookup = createGuardedLookup((name, _options, callback) => {
      asked.push(name);
      callback(null, [{ address, family: address.includes(":") ? 6 : 4 }]);
    });
    const target = open(`http://rebinding.example:${port}/scim/v2`, { kind: "none" }, lookup);
    expect(await write(target)).toMatchObject({ outcome: "answered", status: 201 });
    for (address of ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "fe80::1"]) {
      expect(await write(target)).toMatchObject({ outcome: "not_sent", reason: "ETARGETREFUSED" });
      // A large body goes out on a connection of its own, which is dialled no less carefully.
      const large = await write(target, `{"a":"${"x".repeat(100_000)}"}`);
      expect(large).toMatchObject({ outcome: "not_sent", reason: "ETARGETREFUSED" });
    }
    address = "127.0.0.1";
    expect(await write(target)).toMatchObject({ outcome: "answered" });
    expect(requests.length).toBe(2);
    expect(new Set(asked)).toEqual(new Set(["rebinding.example"]));
  });

  test("one bad address among good ones is enough to stay away", async () => {
    const { port, requests } = await serve((_request, response) => void response.end("{}"));
    const lookup = createGuardedLookup((_name, _options, callback) =>
      callback(null, [
        { address: "127.0.0.1", family: 4 },
        { address: "169.254.169.254", family: 4 },
      ]),
    );
    const target = open(`http://two.example:${port}/scim/v2`, { kind: "none" }, lookup);
    expect(await write(target)).toMatchObject({ outcome: "not_sent", reason: "ETARGETREFUSED" });
    expect(requests).toEqual([]);
  });

  // case 41
  test("a name that nobody knows: not sent", async () => {
    const answer = await write(open("http://nowhere.invalid/scim/v2"));
    expect(answer.outcome).toBe("not_sent");
    expect(["ENOTFOUND", "EAI_AGAIN"]).toContain(answer.reason);
  });

  test("a base URL's trailing slashes are no part of a path", () => {
    const target = open("http://127.0.0.1:1/scim/v2//");
    expect([target.baseUrl, target.basePath, target.origin]).toEqual([
      "http://127.0.0.1:1/scim/v2",
      "/scim/v2",
      "http://127.0.0.1:1",
    ]);
  });
});

describe("credentials", () => {
  const oauth = (port: number): TargetAuth => ({
    kind: "oauth",
    tokenUrl: `http://127.0.0.1:${port}/token`,
    clientId: "client id",
    clientSecret: new Secret("s3cret:/%ä"),
    scope: "scim",
  });

  test("bearer, Basic and none", async () => {
    const at = "http://127.0.0.1:1/";
    expect(await open(at).authorization()).toBeUndefined();
    const bearer = open(at, { kind: "bearer", token: new Secret("token-of-target") });
    expect(await bearer.authorization()).toBe("Bearer token-of-target");
    expect(bearer.secrets).toEqual(["token-of-target"]);
    const basic = open(at, { kind: "basic", username: "user", password: new Secret("pass:word") });
    expect(await basic.authorization()).toBe("Basic dXNlcjpwYXNzOndvcmQ=");
    expect(basic.secrets).toEqual(["pass:word", "dXNlcjpwYXNzOndvcmQ="]);
  });

  test("an access token is asked for once, by Basic in the form of RFC 6749, and used until it ends", async () => {
    let issued = 0;
    const { port, requests } = await serve((_request, response) => {
      setTimeout(
        () => response.end(JSON.stringify({ access_token: `token-number-${++issued}`, expires_in: 3600 })),
        20,
      );
    });
    const target = open("http://127.0.0.1:1/", oauth(port));
    const asked = await Promise.all(Array.from({ length: 5 }, () => target.authorization()));
    expect(new Set(asked)).toEqual(new Set(["Bearer token-number-1"]));
    expect(requests.length).toBe(1);
    const user = `client%20id:${encodeURIComponent("s3cret:/%ä")}`;
    expect(requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from(user).toString("base64")}`);
    expect(target.secrets).toEqual(["s3cret:/%ä", "token-number-1"]);
    target.forgetAccessToken();
    expect(await target.authorization()).toBe("Bearer token-number-2");
  });

  test("a token that has ended is replaced before it is used", async () => {
    let issued = 0;
    const { port } = await serve((_request, response) => {
      response.end(JSON.stringify({ access_token: `short-${++issued}`, expires_in: 0.05 }));
    });
    const target = open("http://127.0.0.1:1/", oauth(port));
    expect(await target.authorization()).toBe("Bearer short-1");
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await target.authorization()).toBe("Bearer short-2");
  });

  const refusals: Record<string, Handler> = {
    "an error": (_request, response) => response.writeHead(401).end('{"error":"invalid_client"}'),
    "a redirect": (_request, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
    "no JSON": (_request, response) => response.end("<html>"),
    "a bare null": (_request, response) => response.end("null"),
    "no token": (_request, response) => response.end("{}"),
    "a token that would break the header": (_request, response) =>
      response.end(JSON.stringify({ access_token: "a\r\nX-Evil: 1" })),
    "an endless answer": (_request, response) => {
      const timer = setInterval(() => response.write(" ".repeat(100_000)), 1);
      response.on("close", () => clearInterval(timer));
    },
    silence: () => {},
    "a reset": (request) => request.socket.resetAndDestroy(),
  };
  test.each(Object.keys(refusals))("without a token nothing is sent: %s", async (name) => {
    const { port } = await serve(refusals[name] ?? (() => {}));
    const target = open("http://127.0.0.1:1/", oauth(port));
    const failure: unknown = await target.authorization().catch((cause: unknown) => cause);
    expect(failure).toBeInstanceOf(TargetCredentialError);
    expect(String(failure)).not.toContain("s3cret");
  });

  test("a failed renewal does not stick: the next request asks again", async () => {
    let count = 0;
    const { port } = await serve((_request, response) => {
      if (++count === 1) response.writeHead(503).end();
      else response.end('{"access_token":"second-try","expires_in":60}');
    });
    const target = open("http://127.0.0.1:1/", oauth(port));
    await expect(target.authorization()).rejects.toThrow(TargetCredentialError);
    expect(await target.authorization()).toBe("Bearer second-try");
  });
});
