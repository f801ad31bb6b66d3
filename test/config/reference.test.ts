/** The reference page and the example keep up with the schema. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { overrideName } from "../../src/config/environment.ts";
import { loadConfig } from "../../src/config/load.ts";
import { configKeys, formatKey, formatReference } from "../../src/config/reference.ts";

const at = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const keys = configKeys();

test("docs/CONFIGURATION.md is what the schema makes", () => {
  const page = readFileSync(at("docs/CONFIGURATION.md"), "utf8");
  expect(page, "run: node src/config/reference.ts > docs/CONFIGURATION.md").toBe(formatReference());
});

test("the outline sees into every part of the schema", () => {
  const paths = keys.map(formatKey);
  expect(paths).toContain("scim.limits.bufferedBytes");
  expect(paths).toContain("ledgers.<name>.database.ownerUrl");
  expect(paths).toContain("connectors.<name>.clients.jwt[].requiredClaims");
  expect(new Set(paths).size).toBe(paths.length);
});

test("every key has a description", () => {
  expect(keys.filter(({ description }) => description === "").map(formatKey)).toEqual([]);
});

test("no two keys have one override", () => {
  const names = keys.map(overrideName).filter((name) => name !== undefined);
  expect(new Set(names).size).toBe(names.length);
});

test("the example loads, and explains every key", async () => {
  const config = await loadConfig(at("config/example.yaml"), { secrets: "deferred", environment: {} });
  expect(Object.keys(config.connectors)).toEqual(["okta", "entra", "legacy", "mutual"]);
  const text = readFileSync(at("config/example.yaml"), "utf8");
  const missing = keys
    .map(({ path }) => path.at(-1) ?? "")
    .filter((key) => !new RegExp(`(^|[\\s{])${key}:`, "m").test(text));
  expect(missing).toEqual([]);
});
