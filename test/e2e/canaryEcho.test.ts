// A target that repeats what it was told: passwords in error texts, in other attributes, in pages, in headers; and the
// very credential it was called with. None of it may reach a client, a table, or a log. (I5; RFC 7643 §7: a password is
// never returned.)

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ALL_WELL, checkInvariants, ofType, type System, startSystem } from "../support/system.ts";
import { answer, type BadTarget, created, type Play, says, startBadTarget } from "./badTarget.ts";
import { findIn, findInDatabase, needlesOf, newCanary } from "./canarySearch.ts";
import { type LedgerNews, openNews } from "./ledgerNews.ts";

const core = newCanary();
const needles = needlesOf(core);
/** With all that escaping can change around the core. */
const password = `ä"\\</${core}>&' +%`;

/** The access tokens that the target gave the proxy, oldest first. */
const tokens: string[] = [];
let target: BadTarget;
let system: System;
let news: LedgerNews;
beforeAll(async () => {
  target = await startBadTarget({
    accessToken: () => {
      tokens.push(newCanary());
      return tokens.at(-1) ?? "";
    },
  });
  const tokenUrl = new URL("/token", target.url).href;
  system = await startSystem({
    targetUrl: target.url,
    connector: {
      target: {
        url: target.url,
        auth: { oauth: { tokenUrl, clientId: "proxy", clientSecret: { file: "target-token" } } },
      },
    },
  });
  news = await openNews(system);
});
afterAll(async () => {
  await news.close();
  expect(await checkInvariants({ ...system, journal: target.journal() })).toEqual(ALL_WELL);
  await system.stop();
  await target.close();
});
beforeEach(() => target.plays(created));

let count = 0;

/** Creates a user with the password; gives all that the client got, as one text. */
async function create(play: Play, secret = password) {
  target.plays(play);
  const body = JSON.stringify({ userName: `echo-${++count}@example.com`, password: secret });
  const response = await system.request("POST", "/Users", { body });
  expect(target.journal().at(-1)?.body.toString()).toBe(body);
  const text = await response.text();
  return { status: response.status, text, all: `${JSON.stringify([...response.headers])}\n${text}` };
}

const json = JSON.stringify(password);
const inJson = json.slice(1, -1);
const html = password
  .replaceAll("&", "&amp;")
  .replaceAll("<", "&lt;")
  .replaceAll(">", "&gt;")
  .replaceAll('"', "&quot;");
const escaped = Array.from(password, (letter) =>
  letter.codePointAt(0) === undefined ? "" : `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
).join("");
const page = (status: number, type: string, body: string) =>
  `HTTP/1.1 ${status} Scripted\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe("a password that the target repeats", () => {
  const echoes: Record<string, string | Buffer> = {
    "in an error's detail": answer(400, `{"status":"400","detail":"password ${inJson} is too weak"}`),
    "in a detail, all in escapes": answer(400, `{"status":"400","detail":"password ${escaped} is too weak"}`),
    "as the whole detail": answer(409, `{"status":"409","detail":${json}}`),
    "in an error of its own form": answer(422, `{"errors":[{"rejected":${json},"why":["was ${inJson}"]}]}`),
    "as a name in an error": answer(400, `{"fields":{${json}:"too weak"}}`),
    "under password in a success": answer(201, `{"id":"u-1","password":${json}}`),
    "under a URN in a success": answer(201, `{"id":"u-1","urn:x:User":{"PassWord":${json}}}`),
    "under another name in a success": answer(
      201,
      `{"id":"u-1","displayName":${json},"nickName":"x ${inJson}"}`,
    ),
    "as the id": answer(201, `{"id":${json},"meta":{"version":${json}}}`),
    "in a Bulk's detail": answer(200, `{"Operations":[{"bulkId":"a","response":{"detail":"no ${inJson}"}}]}`),
    "in JSON that is not strict": answer(400, `{"detail":"${inJson}","detail":"${inJson}"}`),
    "in half a JSON document": answer(400, `{"detail":"${inJson}`),
    "on a page": page(500, "text/html", `<p>password ${html} is too weak</p>`),
    "on a page, as it is": page(500, "text/html", `<p>password ${password} is too weak</p>`),
    "in plain text": page(400, "text/plain", `weak: ${password}`),
    "in a form": page(400, "application/x-www-form-urlencoded", `password=${encodeURIComponent(password)}`),
    "in JSON of another media type": page(400, "application/problem+json", `{"detail":${json}}`),
    "without a media type": page(400, "", password),
    "in headers": answer(201, '{"id":"u-1"}', [
      `ETag: W/"${core}"`,
      `Cache-Control: x=${core}`,
      `Location: /scim/v2/Users/${core}`,
      `Content-Location: ${encodeURIComponent(password)}`,
      `X-Debug: ${core}`,
    ]),
  };
  test.each(Object.keys(echoes))("%s goes no further", async (name) => {
    // In headers only the core can stand, so there it is the password.
    const secret = name === "in headers" ? core : password;
    const { all } = await create(says(Buffer.from(echoes[name] ?? "")), secret);
    expect(findIn("answer", all, needles)).toEqual([]);
  });

  test("as an id stands in no leaf", async () => {
    await news.next();
    await create(says(answer(201, `{"id":"${core}"}`)), core);
    const outcome = ofType(await news.next(), "response").at(-1);
    expect(findIn("leaf", JSON.stringify(outcome?.claims), needles)).toEqual([]);
  });

  test("is hidden without harm to the rest: the client still reads the error", async () => {
    const { status, text } = await create(
      says(
        answer(
          400,
          `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"invalidValue","detail":"password ${inJson} is too weak"}`,
        ),
      ),
    );
    expect(status).toBe(400);
    expect(JSON.parse(text)).toEqual({
      schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
      status: "400",
      scimType: "invalidValue",
      detail: "password [redacted] is too weak",
    });
  });
});

describe("passwords of another kind", () => {
  test("one that is a number goes no further either", async () => {
    const number = "73519284650173519284";
    target.plays(says(answer(400, `{"status":"400","detail":"password ${number} is too weak"}`)));
    const response = await system.request("POST", "/Users", {
      body: `{"userName":"n","password":${number}}`,
    });
    expect(await response.text()).toContain("password [redacted] is too weak");
    const kept = (await news.next()).flatMap(({ row }) => row.attachments ?? []);
    expect(kept.map(({ content }) => Buffer.from(content).toString()).join()).not.toContain(number);
  });

  test.each([
    ["a thousand of one Bulk are all taken out of its answer, which is kept", 1000, 0, true],
    ["where they are too many to be looked for, no text passes and nothing is kept", 1000, 2_000_000, false],
  ])("%s", async (_title, count, padding, isKept) => {
    await news.next();
    const operations = Array.from({ length: count }, (_, i) => ({
      method: "POST",
      path: "/Users",
      bulkId: `b${i}`,
      data: { userName: `u${i}`, password: `pw-${String(i).padStart(4, "0")}-${core}` },
    }));
    const results = operations.map(({ method, bulkId, data }) => ({
      method,
      bulkId,
      status: "400",
      response: { detail: `password ${data.password} is too weak` },
    }));
    target.plays(says(answer(200, JSON.stringify({ Operations: results }))));
    const body = JSON.stringify({ note: "n".repeat(padding), Operations: operations });
    const response = await system.request("POST", "/Bulk", { body });
    expect(response.status).toBe(200);
    expect(findIn("answer", await response.text(), needles)).toEqual([]);
    const outcome = ofType(await news.next(), "response").at(-1);
    expect(outcome?.claims.outcome).toBe("answered");
    const kept = outcome?.row.attachments ?? [];
    expect(kept.some(({ name }) => name === "body")).toBe(isKept);
    expect(kept.flatMap(({ content }) => findIn("record", Buffer.from(content).toString(), needles))).toEqual(
      [],
    );
  });
});

test("a page after more passwords than can be looked for passes without its text", async () => {
  target.plays(says(page(500, "text/html", `<p>password ${core} is too weak</p>`)));
  const body = JSON.stringify({
    note: "n".repeat(8192),
    password: Array(90_000)
      .fill(0)
      .map((_, i) => `${core}${i}`),
  });
  const response = await system.request("POST", "/Bulk", { body });
  expect([response.status, await response.text()]).toEqual([500, ""]);
});

describe("a password that is an ordinary word", () => {
  test.each([
    ["schemas", '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u-1"}'],
    ["123456", '{"id":"u-1234567","userName":"x123456y"}'],
    ["userName", '{"id":"u-1","userName":"ada"}'],
    ["example", '{"id":"u-1","emails":[{"value":"ada@example.com"}]}'],
  ])("%s does not damage an answer that happens to hold it", async (secret, body) => {
    const { text } = await create(says(answer(201, body)), secret);
    expect(text).toBe(body);
  });

  test("a user name that is the password comes back: the client sent it in clear itself", async () => {
    target.plays(says(answer(201, `{"id":"u-1","userName":"same-as-password"}`)));
    const body = '{"userName":"same-as-password","password":"same-as-password"}';
    const response = await system.request("POST", "/Users", { body });
    expect(await response.text()).toContain("same-as-password");
  });
});

describe("two redacted names in one answer", () => {
  test("are one name twice, and still the write comes to its recorded end", async () => {
    await news.next();
    const body =
      '{"id":"u-2","emails[password eq \\"aaaaaaaa\\"].value":"x","phones[password eq \\"bbbbbbbb\\"].value":"y"}';
    const { status, text } = await create(says(answer(201, body)));
    expect(status).toBe(201);
    expect(text).not.toContain("aaaaaaaa");
    expect(ofType(await news.next(), "response").at(-1)?.claims.outcome).toBe("answered");
  });
});

describe("a read", () => {
  test("loses the password that a target returns, and nothing else", async () => {
    const body = `{"id":"u-1", "Password" : ${json} ,"n":1e400,"name":{"password":"${escaped}"}}`;
    target.plays(says(answer(200, body)));
    const text = await (await system.request("GET", "/Users/u-1")).text();
    expect(text).toBe('{"id":"u-1", "Password" : "[redacted]" ,"n":1e400,"name":{"password":"[redacted]"}}');
  });

  test("does not quote a filter on a secret when the target refuses it", async () => {
    target.plays((socket, request) => void socket.write(answer(400, `{"detail":"bad ${request.path}"}`)));
    const filter = encodeURIComponent(`password eq "${core}"`);
    const response = await system.request("GET", `/Users?filter=${filter}`);
    const text = await response.text();
    expect(response.status).toBe(400);
    expect(findIn("answer", text, needles)).toEqual([]);
    expect(JSON.parse(text)).toMatchObject({ status: "400" });
    // Any other filter's error is the target's own.
    const other = await system.request("GET", '/Users?filter=userName%20eq%20"x"');
    expect(await other.text()).toContain("bad /scim/v2/Users?filter=userName");
  });

  test.each([`{"filter":"password eq \\"${core}\\""}`, `{"filter":"p\\u0061ssword eq \\"${core}\\""}`])(
    "nor does a search: %#",
    async (body) => {
      target.plays((socket, request) => void socket.write(answer(400, request.body)));
      const response = await system.request("POST", "/Users/.search", { body });
      expect(response.status).toBe(400);
      expect(findIn("answer", await response.text(), needles)).toEqual([]);
    },
  );
});

describe("the credential that the target was called with", () => {
  const repeatsHead: Play = (socket, request) =>
    void socket.write(
      answer(500, JSON.stringify({ received: request.head }), [`ETag: ${request.headers.authorization}`]),
    );
  const repeatsHeadOnPage: Play = (socket, request) =>
    void socket.write(page(500, "text/html", `<pre>${request.head}</pre>`));

  test.each([
    ["in JSON", repeatsHead],
    ["on a page", repeatsHeadOnPage],
  ])("does not come back, neither from a write nor from a read, %s", async (_name, play) => {
    const known = tokens.flatMap(needlesOf);
    const written = await create(play);
    expect(findIn("write", written.all, known)).toEqual([]);
    target.plays(play);
    const response = await system.request("GET", "/Users/u-1");
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(text).toContain("GET /scim/v2/Users/u-1");
    expect(findIn("read", `${JSON.stringify([...response.headers])}\n${text}`, known)).toEqual([]);
  });

  test("does not come back either when it is cut into chunks", async () => {
    target.plays(async (socket, request) => {
      const body = `<pre>${request.headers.authorization}</pre>`;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\n\r\n`);
      for (const letter of body) {
        socket.write(letter);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    const text = await (await system.request("GET", "/Users/u-1")).text();
    expect(text).toMatch(/^<pre>Bearer \*+<\/pre>$/);
  });

  test("is a new one after the target refused the old one, and asked for no more often than that", async () => {
    target.plays(says(answer(200, "{}")));
    await system.request("GET", "/Users/u-1");
    const before = tokens.length;
    await create(created);
    expect(target.journal().at(-1)?.headers.authorization).toBe(`Bearer ${tokens.at(-1)}`);
    expect((await create(says(answer(401, "{}")))).status).toBe(502);
    await create(created);
    await create(created);
    expect(tokens.length).toBe(before + 1);
    expect(target.journal().at(-1)?.headers.authorization).toBe(`Bearer ${tokens.at(-1)}`);
  });

  test("and the client's own never went to the target, nor the client secret but to the token endpoint", () => {
    const known = [system.token, system.targetToken].flatMap(needlesOf);
    const calls = target.received().filter(({ path }) => path !== "/token");
    expect(calls.length).toBeGreaterThan(20);
    expect(calls.flatMap(({ head, body }) => findIn("target", `${head}${body}`, known))).toEqual([]);
  });
});

test("none of it is left in the tables or in the log", async () => {
  const known = [...needles, ...[system.targetToken, system.token, ...tokens].flatMap(needlesOf)];
  expect(await findInDatabase(system.superuserUrl, known)).toEqual([]);
  expect(findIn("log", system.logs(), known)).toEqual([]);
});
