// The search for a canary looks at files of a running process, which come and go.

import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findInFiles, needlesOf, newCanary } from "./canarySearch.js";

let dir: string;
const canary = newCanary();
const needles = needlesOf(canary);

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "scimseal-test-canary-search-"));
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

test("a file renamed while the others are read is found under its new name", async () => {
  // Listed last, renamed to what sorts first.
  await writeFile(join(dir, "z.tmp"), canary);
  await Promise.all(
    Array.from({ length: 400 }, (_, at) => writeFile(join(dir, `m${at}`), "x".repeat(10_000))),
  );
  const search = findInFiles(dir, needles);
  await new Promise((resolve) => setTimeout(resolve, 10));
  await rename(join(dir, "z.tmp"), join(dir, "a"));
  // Whichever came first, the reading or the renaming.
  expect(await search).toEqual([expect.stringMatching(/^(a|z\.tmp): as it is$/)]);
});

test("a directory that is not there is no clean directory", async () => {
  await expect(findInFiles(join(dir, "none"), needles)).rejects.toThrow(/ENOENT/);
});
