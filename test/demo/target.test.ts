// The demo target is a SCIM server that can be believed: RFC 7644 answers, and a journal of what arrived before it was applied.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import type { JournalLine } from "../../src/demo/journal.ts";
import { ask, openTarget, TOKEN, user } from "./scim.ts";

const ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error";

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "scimseal-target-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function readLines(file: string): JournalLine[] {
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as JournalLine);
}

test("a request without the token gets a SCIM error, and a write is journaled all the same", async () => {
  const target = await openTarget();
  for (const authorization of ["", "Bearer wrong", `Bearer ${TOKEN}x`, `Basic ${TOKEN}`]) {
    const answer = await ask(target.url, "POST", "/Users", user("a@example.com"), {
      Authorization: authorization,
    });
    expect(answer.status).toBe(401);
    expect(answer.body).toMatchObject({ schemas: [ERROR_SCHEMA], status: "401" });
    expect(answer.headers.get("www-authenticate")).toContain("Bearer");
  }
  expect(target.journal().map((line) => line.status)).toEqual([401, 401, 401, 401]);
  expect((await ask(target.url, "GET", "/Users")).body.totalResults).toBe(0);
});

test("a created user has a location below the target's own base, a version, and no password anywhere", async () => {
  const file = join(temporaryFolder(), "journal.jsonl");
  const target = await openTarget({ journalFile: file });
  const created = await ask(target.url, "POST", "/Users", user("a@example.com", { password: "canary-1" }));
  expect(created.status).toBe(201);
  const location = `${target.url}/Users/${created.body.id}`;
  expect(created.body.meta).toMatchObject({ resourceType: "User", location, version: 'W/"1"' });
  expect(created.headers.get("location")).toBe(location);
  expect(created.headers.get("etag")).toBe('W/"1"');
  expect(created.headers.get("content-type")).toContain("application/scim+json");
  const read = await ask(target.url, "GET", `/Users/${created.body.id}`);
  expect([created.text, read.text, readFileSync(file, "utf8")].join()).not.toContain("canary-1");
});

test("a user name is taken whatever its case, and a user may keep its own", async () => {
  const target = await openTarget();
  const { body } = await ask(target.url, "POST", "/Users", user("a@example.com"));
  const second = await ask(target.url, "POST", "/Users", user("A@EXAMPLE.COM"));
  expect(second.status).toBe(409);
  expect(second.body).toMatchObject({ schemas: [ERROR_SCHEMA], status: "409", scimType: "uniqueness" });
  expect((await ask(target.url, "PUT", `/Users/${body.id}`, user("A@example.com"))).status).toBe(200);
});

test("If-Match holds a writer with an old version back", async () => {
  const target = await openTarget();
  const { body } = await ask(target.url, "POST", "/Users", user("a@example.com"));
  const path = `/Users/${body.id}`;
  expect((await ask(target.url, "PUT", path, user("b@example.com"), { "If-Match": 'W/"1"' })).status).toBe(
    200,
  );
  expect((await ask(target.url, "PUT", path, user("c@example.com"), { "If-Match": 'W/"1"' })).status).toBe(
    412,
  );
  expect((await ask(target.url, "DELETE", path, undefined, { "If-Match": 'W/"2"' })).status).toBe(204);
  expect(target.journal().map((line) => line.headers["if-match"])).toEqual([
    undefined,
    'W/"1"',
    'W/"1"',
    'W/"2"',
  ]);
});

test("filter, sort and paging", async () => {
  const target = await openTarget();
  for (const name of ["c", "a", "b"]) {
    const more = name === "b" ? { name: { familyName: "Sample" } } : {};
    await ask(target.url, "POST", "/Users", user(`${name}@example.com`, more));
  }
  const page = await ask(
    target.url,
    "GET",
    "/Users?sortBy=userName&startIndex=2&count=1&attributes=userName",
  );
  expect(page.body).toMatchObject({
    totalResults: 3,
    startIndex: 2,
    Resources: [{ userName: "b@example.com" }],
  });
  const filter = encodeURIComponent('name.familyName eq "Sample"');
  expect((await ask(target.url, "GET", `/Users?filter=${filter}`)).body.totalResults).toBe(1);
  const none = encodeURIComponent('userName eq "8f6e6f0a-7c1b-4f0e-9d51-0d7f4a3c2b19"');
  expect(await ask(target.url, "GET", `/Users?filter=${none}`)).toMatchObject({
    status: 200,
    body: { totalResults: 0 },
  });
  const search = {
    schemas: ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
    filter: 'userName sw "a"',
  };
  expect((await ask(target.url, "POST", "/Users/.search", search)).body.totalResults).toBe(1);
  // A search is a read.
  expect(target.journal().length).toBe(3);
});

test("the journal holds the digest of the exact bytes, however odd", async () => {
  const target = await openTarget();
  const schemas = '"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]';
  const odd = [
    `{ ${schemas},\r\n\t"userName" : "\\u0061@example.com" }\n\n`,
    `{${schemas},"userName":"b@example.com","n":9007199254740993,"m":1e400,"z":-0.0}`,
    `{${schemas},"userName":"zoë@example.com","displayName":"\u202e"}`,
    `{${schemas},"userName":"c@example.com","active":true,"active":false}`,
    "{broken",
    "",
  ];
  for (const body of odd) await ask(target.url, "POST", "/Users?aadOptscim062020", body, { "X-Other": "1" });
  const journal = target.journal();
  expect(journal.map((line) => line.sha256)).toEqual(
    odd.map((body) => createHash("sha256").update(body).digest("hex")),
  );
  expect(journal.map((line) => line.size)).toEqual(odd.map((body) => Buffer.byteLength(body)));
  expect(journal[0]).toMatchObject({
    n: 1,
    method: "POST",
    path: "/scim/v2/Users?aadOptscim062020",
    complete: true,
  });
  expect(journal[0]?.headers).toEqual({ "content-type": "application/scim+json" });
});

test("a body that breaks off is journaled as incomplete and not applied", async () => {
  const target = await openTarget();
  const { hostname, port } = new URL(target.url);
  const socket = connect(Number(port), hostname);
  socket.write(
    `POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Length: 99\r\n\r\n{"userName"`,
    () => setTimeout(() => socket.destroy(), 20),
  );
  while (target.journal().length === 0) await sleep(5);
  expect(target.journal()).toMatchObject([{ complete: false, size: 11 }]);
  expect((await ask(target.url, "GET", "/Users")).body.totalResults).toBe(0);
});

test("a write that cannot be journaled is not applied", async () => {
  const target = await openTarget({
    journalFile: join(temporaryFolder(), "no-such-folder", "journal.jsonl"),
  });
  const answer = await ask(target.url, "POST", "/Users", user("a@example.com"));
  expect(answer.status).toBe(500);
  expect(answer.body).toMatchObject({ schemas: [ERROR_SCHEMA], status: "500" });
  expect((await ask(target.url, "GET", "/Users")).body.totalResults).toBe(0);
});

test("two targets in one process keep apart, at the same time", async () => {
  const [first, second] = [await openTarget(), await openTarget()];
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const target = index % 2 === 0 ? first : second;
      return { target, answer: await ask(target.url, "POST", "/Users", user(`${index}@example.com`)) };
    }),
  );
  for (const { target, answer } of answers) {
    expect(answer.body.meta).toMatchObject({ location: `${target.url}/Users/${answer.body.id}` });
  }
  expect((await ask(first.url, "GET", "/Users?count=100")).body.totalResults).toBe(20);
  const { authenticationSchemes } = (await ask(first.url, "GET", "/ServiceProviderConfig")).body;
  expect(authenticationSchemes).toHaveLength(1);
});

test("as a process of its own: prints its URL, and a SIGKILL loses no line", async () => {
  const folder = temporaryFolder();
  const [tokenFile, journalFile] = [join(folder, "token"), join(folder, "journal.jsonl")];
  writeFileSync(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
  const script = fileURLToPath(new URL("../../src/demo/target.ts", import.meta.url));
  const args = [script, "--port", "0", "--token-file", tokenFile, "--journal", journalFile];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let url = "";
  for await (const line of createInterface({ input: child.stdout })) {
    ({ url } = JSON.parse(line) as { url: string });
    break;
  }
  for (const name of ["a", "b", "c"]) await ask(url, "POST", "/Users", user(`${name}@example.com`));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  expect(readLines(journalFile).map((line) => [line.n, line.method, line.path])).toEqual([
    [1, "POST", "/scim/v2/Users"],
    [2, "POST", "/scim/v2/Users"],
    [3, "POST", "/scim/v2/Users"],
  ]);
});

test("as a process: says what is missing, and ends", async () => {
  const script = fileURLToPath(new URL("../../src/demo/target.ts", import.meta.url));
  const child = spawn(process.execPath, [script, "--port", "0"], { stdio: ["ignore", "ignore", "pipe"] });
  const code = new Promise((resolve) => child.once("exit", resolve));
  let said = "";
  for await (const chunk of child.stderr) said += String(chunk);
  expect(said).toContain("--token-file is missing");
  expect(await code).toBe(1);
});
