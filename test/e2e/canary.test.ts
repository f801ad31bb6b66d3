// The canary campaign: a password is sent in every shape of every identity provider and in every place anybody could
// think of, and then looked for in all that stays behind: every table, every file of the data directory with
// PostgreSQL's own, the logs, every answer. The target gets it; nobody and nothing else does. (I5)

import { mkdtemp, rm } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { idpShapes } from "../../src/demo/day.ts";
import { fillShape } from "../../src/demo/shape.ts";
import { querySql } from "../storage/writerHarness.ts";
import { ALL_WELL, checkInvariants, ofType, type System, sha256Hex, startSystem } from "../support/system.ts";
import { findIn, findInDatabase, findInFiles, flushDatabase, needlesOf, newCanary } from "./canarySearch.ts";
import { canaryRequests } from "./canaryShapes.ts";

const canary = newCanary();
const needles = needlesOf(canary);
/** Put into a table in clear: it must be found, or the search is blind. */
const control = newCanary();

let dataDir: string;
let system: System;
const answers: string[] = [];
const unanswered: string[] = [];

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "scimseal-test-canary-"));
  system = await startSystem({
    dataDir,
    connector: { auditReads: true, redact: ["secretAnswer", "name.honorificPrefix"] },
  });
  const created = await send("POST", "/Users", {}, '{"userName":"first@example.com","displayName":"First"}');
  const group = await send("POST", "/Groups", {}, '{"displayName":"first"}');
  const ids = { id: idOf(created), otherId: idOf(created), groupId: idOf(group) };
  for (const shape of idpShapes) {
    const { method, target, headers, body } = fillShape(shape, { ...ids, password: canary, run: "canary" });
    await send(method, target, headers, body);
  }
  for (const { method, path, headers, body } of canaryRequests(canary)) {
    const fill = (text: string) => text.replaceAll("{id}", ids.id);
    const type = body === undefined ? {} : { "content-type": "application/scim+json" };
    await send(method, fill(path), { ...type, ...headers }, body === undefined ? undefined : fill(body));
  }
  await send(
    "POST",
    "",
    {},
    `grant_type=client_credentials&client_id=x&client_secret=${canary}`,
    "/oauth2/token",
  );
}, 120_000);

afterAll(async () => {
  await rm(dataDir, { recursive: true, force: true });
});

/** By hand: `fetch` would tidy up the path and some headers. Keeps everything that came back. */
function send(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: string | Buffer,
  base = "/okta/scim/v2",
): Promise<string> {
  const { hostname, port } = new URL(system.baseUrl);
  const bytes = body === undefined ? undefined : Buffer.from(body);
  if (bytes) system.bodies.set(sha256Hex(bytes), bytes);
  return new Promise((resolve) => {
    const request = httpRequest(
      {
        hostname,
        port,
        method,
        path: `${base}${path}`,
        headers: {
          authorization: `Bearer ${system.token}`,
          ...(bytes ? { "content-type": "application/scim+json", "content-length": bytes.length } : {}),
          ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
        },
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        const end = () => {
          const text = Buffer.concat(chunks).toString("latin1");
          answers.push(
            `${method} ${path}\0${response.statusCode} ${response.rawHeaders.join("\n")}\n\n${text}`,
          );
          resolve(text);
        };
        response
          .on("data", (chunk: Buffer) => chunks.push(chunk))
          .on("end", end)
          .on("error", end);
      },
    );
    request.on("error", (error) => {
      unanswered.push(`${method} ${path}: ${error.message}`);
      resolve("");
    });
    request.end(bytes);
  });
}

function idOf(answer: string): string {
  return (JSON.parse(answer) as { id: string }).id;
}

test("the canary did go through: the target got each of these bodies as it was sent", async () => {
  const carried = system
    .journal()
    .filter(({ sha256 }) => Buffer.from(system.bodies.get(sha256) ?? []).includes(canary));
  expect(carried.length).toBeGreaterThan(50);
  const redacted = ofType(await system.entries(), "request").filter(({ claims }) =>
    claims.attachments.some((item) => (item.redacted?.length ?? 0) > 0),
  );
  expect(redacted.length).toBeGreaterThan(50);
  // A body above the limit is refused while it is still being sent; some kernels then reset the connection.
  expect(unanswered.filter((line) => !line.includes("EPIPE") && !line.includes("ECONNRESET"))).toEqual([]);
});

test("the search is not blind: it finds what a table holds in clear, in the tables and in the files", async () => {
  const known = needlesOf(control);
  await querySql(
    system.superuserUrl,
    `CREATE TABLE public.control AS SELECT '${control}'::text AS words, '${control}'::bytea AS bytes`,
  );
  await flushDatabase(system.superuserUrl);
  const inTables = await findInDatabase(system.superuserUrl, known);
  expect(inTables).toEqual(expect.arrayContaining([expect.stringMatching(/control as text: hex/)]));
  expect(inTables).toEqual(expect.arrayContaining([expect.stringMatching(/control.bytes: as it is/)]));
  const inFiles = await findInFiles(dataDir, known);
  expect(inFiles).toEqual(expect.arrayContaining([expect.stringMatching(/pg_wal/)]));
  expect(inFiles).toEqual(expect.arrayContaining([expect.stringMatching(/base\//)]));
});

test("no table holds it", async () => {
  expect(await findInDatabase(system.superuserUrl, needles)).toEqual([]);
});

test("no file of the data directory holds it, PostgreSQL's own and its WAL included", async () => {
  await flushDatabase(system.superuserUrl);
  expect(await findInFiles(dataDir, needles)).toEqual([]);
});

test("no log line holds it", () => {
  expect(system.logs()).toContain("scimseal is ready");
  expect(findIn("log", system.logs(), needles)).toEqual([]);
});

test("no answer holds it, neither in a body nor in a header", () => {
  expect(answers.length).toBeGreaterThan(100);
  const found = answers.flatMap((answer) => {
    const [name = "", text = ""] = answer.split("\0");
    return findIn(name.replaceAll(canary, "…"), text, needles);
  });
  expect(found).toEqual([]);
});

test("no page of the admin listener holds it", async () => {
  const headers = { authorization: `Bearer ${system.auditorToken}` };
  const pages = ["/audit/v1/entries?limit=1000&include=attachments", "/metrics", "/readyz", "/healthz"];
  for (const page of pages) {
    const text = await (await fetch(`${system.app.adminUrl}${page}`, { headers })).text();
    expect(text.length).toBeGreaterThan(10);
    expect(findIn(page, text, needles)).toEqual([]);
  }
});

test("nor do the credentials of clients, auditors and the target stand anywhere but in their own files", async () => {
  const own = ["test-secrets.json", "target-token"];
  const secrets = [system.token, system.otherToken, system.auditorToken, system.targetToken];
  const known = secrets.flatMap(needlesOf);
  expect(await findInDatabase(system.superuserUrl, known)).toEqual([]);
  expect(await findInFiles(dataDir, known, own)).toEqual([]);
  expect(findIn("log", system.logs(), known)).toEqual([]);
  expect(answers.flatMap((answer) => findIn("answer", answer, known))).toEqual([]);
});

test("the ledger is whole after all of it, and still holds none of it when everything has stopped", async () => {
  expect(await checkInvariants({ ...system, journal: writes() })).toEqual(ALL_WELL);
  await system.stop();
  expect(await findInFiles(dataDir, needles)).toEqual([]);
});

function writes() {
  return system.journal().filter(({ path }) => !path.includes("/.search"));
}
