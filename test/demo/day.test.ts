// The whole day against the bare target: every answer as expected, in seconds, and the same again for the same seed.

import { type AddressInfo, connect, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type DayLine, playDay } from "../../src/demo/day.ts";
import { passwordFor } from "../../src/demo/player.ts";
import type { Target } from "../../src/demo/target.ts";
import { ask, openTarget, TOKEN } from "./scim.ts";

async function play(target: Target, seed: number, behindProxy = false): Promise<DayLine[]> {
  const lines: DayLine[] = [];
  const urls = { baseUrl: target.url, entraBaseUrl: target.url };
  for await (const line of playDay({ ...urls, token: TOKEN, entraToken: TOKEN, seed, behindProxy }))
    lines.push(line);
  return lines;
}

test("every answer is an expected one, and every write reached the journal once", async () => {
  const target = await openTarget();
  const lines = await play(target, 1);
  expect(lines.filter((line) => !line.expected)).toEqual([]);
  expect(lines.length).toBeGreaterThanOrEqual(60);
  for (const idp of ["Okta", "Entra", "authentik", "JumpCloud", "OneLogin", "SailPoint", "SCIM"]) {
    expect(lines.some((line) => line.idp === idp && line.what.startsWith(`${idp} · `))).toBe(true);
  }
  const writes = lines.filter((line) => line.method !== "GET" && !line.path.endsWith("/.search"));
  const seen = target.journal().map(({ method, path, status }) => [method, path.split("?")[0], status]);
  expect(seen).toEqual(writes.map((line) => [line.method, `/scim/v2${line.path}`, line.status]));
});

test("lines hold no name outside their sentence, and no password at all", async () => {
  const lines = await play(await openTarget(), 2);
  for (const line of lines) expect(line.path).toMatch(/^\/[\w/.-]+$/);
  const text = JSON.stringify(lines);
  for (let index = 0; index < lines.length; index++) expect(text).not.toContain(passwordFor(2, index));
});

test("a seed decides the bytes of what is created; two seeds share one target", async () => {
  const target = await openTarget();
  const created = () =>
    target
      .journal()
      .filter((line) => line.method === "POST" && line.path === "/scim/v2/Users")
      .map((line) => line.sha256);
  await play(target, 3);
  const first = created();
  expect((await play(target, 4)).filter((line) => !line.expected)).toEqual([]);
  const second = created().slice(first.length);
  // The same people on the same target: the names are taken, the bytes are the same.
  const lines = await play(target, 3);
  expect(lines.some((line) => line.status === 409 && !line.expected)).toBe(true);
  expect(created().slice(first.length + second.length)).toEqual(first);
  expect(second.some((digest) => first.includes(digest))).toBe(false);
});

test("a target that accepts what should be refused makes unexpected lines", async () => {
  const lines = await play(await openTarget(), 5, true);
  const refusals = lines.filter((line) => line.what.includes("refused · "));
  expect(refusals).toHaveLength(4);
  expect(refusals.some((line) => !line.expected)).toBe(true);
});

test("nobody there: lines with status 0, and no error", async () => {
  const target = await openTarget();
  await target.close();
  const lines = await play(target, 6);
  expect(lines.every((line) => line.status === 0 && !line.expected)).toBe(true);
  await expect(ask(target.url, "GET", "/Users")).rejects.toThrow();
});

test("leaving the day early closes its connections", async () => {
  const target = await openTarget();
  let open = 0;
  const relay = createServer((client) => {
    open++;
    client.once("close", () => open--);
    const { hostname, port } = new URL(target.url);
    const upstream = connect(Number(port), hostname);
    // A reset is a close too, and "close" is what is counted.
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void relay.close());
  const { port } = relay.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}/scim/v2/`;
  for await (const line of playDay({ baseUrl, entraBaseUrl: baseUrl, token: TOKEN, entraToken: TOKEN })) {
    expect(line.status).toBe(200);
    expect(open).toBe(1);
    break;
  }
  await expect.poll(() => open).toBe(0);
});
