// What README.md says, held against the program: answers, reasons, metrics, commands and their flags, what goes into
// Okta and Entra, the roles of a PostgreSQL of one's own, and every link of the documentation.

import { execFile } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { Command } from "commander";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { registerDemo } from "../../src/cli/demo/demo.ts";
import { registerDoctor } from "../../src/cli/doctor/doctor.ts";
import { registerExport } from "../../src/cli/export.ts";
import { registerKeys } from "../../src/cli/keys/keys.ts";
import { registerServe } from "../../src/cli/serve.ts";
import { registerInit } from "../../src/cli/setup/init.ts";
import { formatGuide } from "../../src/cli/setup/setupGuide.ts";
import { registerToken } from "../../src/cli/token.ts";
import { registerVerify } from "../../src/cli/verify/verify.ts";
import { registerWitness } from "../../src/cli/witness.ts";
import { REFUSAL_CODES, Refusal } from "../../src/proxy/refusal.ts";
import { startEmbedded } from "../../src/storage/embedded/embedded.ts";
import { inspectDatabase } from "../../src/storage/inspect.ts";
import { migrate } from "../../src/storage/schema.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";

const readme = readFileSync("README.md", "utf8");
const REGISTERS = [
  registerServe,
  registerDemo,
  registerWitness,
  registerInit,
  registerToken,
  registerKeys,
  registerVerify,
  registerExport,
];
const quiet = { info() {}, warn() {}, error() {} };

/** Cells of the tables' rows that begin with code. */
function rows(): string[][] {
  return readme
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "").trim()));
}

test("every answer of the proxy has its row, with its status", () => {
  const table = rows().filter((cells) => /^\d{3}$/.test(cells[1] ?? ""));
  const said = table.map(([code = "", status]) => [code.replaceAll("`", ""), Number(status)]);
  expect(said).toEqual(REFUSAL_CODES.map((code) => [code, new Refusal(code).status]));
  // The columns: recorded, target got it, what to do.
  expect(table.filter((cells) => cells.length !== 5 || cells.includes(""))).toEqual([]);
});

test("every metric and every reason is named", async () => {
  const metrics = (await new Metrics(() => []).registry.getMetricsAsArray()).map(({ name }) => name);
  const ours = metrics.filter((name) => name.startsWith("scimseal_"));
  expect(ours.length).toBeGreaterThan(8);
  const union =
    /type AppendCode =([^;]*);/.exec(readFileSync("src/storage/writer/appendError.ts", "utf8"))?.[1] ?? "";
  const reasons = [...union.matchAll(/"(\w+)"/g)].map(([, reason = ""]) => reason);
  expect(reasons.length).toBeGreaterThan(6);
  expect([...ours, ...reasons].filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
});

describe("commands", () => {
  // Built here rather than asked of a process each time: a start takes a second.
  const program = new Command("scimseal");
  for (const register of REGISTERS) register(program);
  registerDoctor(program, async () => []);

  test("the table holds what --help lists, and so does this test", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["src/main.ts", "--help"]);
    const listed = [...stdout.matchAll(/^ {2}([a-z]+)(?: \[options\])? {2,}/gm)]
      .map(([, name]) => name)
      .filter((name) => name !== "help")
      .sort();
    const said = rows().flatMap(([cell = ""]) => /^`scimseal ([a-z]+)`$/.exec(cell)?.[1] ?? []);
    expect(said.sort()).toEqual(listed);
    expect(program.commands.map((command) => command.name()).sort()).toEqual(listed);
  });

  const examples = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
    .flatMap(([, block = ""]) => block.replace(/\\\n\s*/g, "").split("\n"))
    .flatMap((line) => /npx scimseal (.*)$/.exec(line)?.[1] ?? []);

  test("there are examples of most", () => {
    expect(new Set(examples.map((line) => line.split(" ")[0])).size).toBeGreaterThanOrEqual(7);
  });

  test.each(examples)("%s", (line) => {
    let command: Command = program;
    const flags: string[] = [];
    for (const word of line.split(" ")) {
      const below = command.commands.find((one) => one.name() === word);
      if (below) command = below;
      else if (word.startsWith("--")) flags.push(word);
    }
    expect(command.commands).toEqual([]);
    expect(command.options.map(({ long }) => long)).toEqual(expect.arrayContaining(flags));
    const missing = command.options.filter(({ mandatory, long }) => mandatory && !flags.includes(long ?? ""));
    expect(missing).toEqual([]);
  });
});

test.each(["okta", "entra"] as const)("what `init` says for %s is what the page says", (idp) => {
  const baseUrl = `https://scim.example.com/${idp}/scim/v2`;
  const guide = formatGuide(
    {
      dir: ".",
      connector: idp,
      idp,
      publicUrl: "https://scim.example.com",
      targetUrl: "https://app.example.com",
      targetAuth: { kind: "none" },
    },
    { configFile: "f", baseUrl, clientToken: "TOKEN", auditorToken: "AUDITOR", pinnedKeyFile: "key" },
  );
  const fields = [...guide.matchAll(/^ {2}(\S.*?) {2,}(\S.*)$/gm)].map(([, field = "", value = ""]) => ({
    field,
    value,
  }));
  expect(fields.length).toBeGreaterThanOrEqual(2);
  const table = readme.split("\n").filter((line) => line.startsWith("| "));
  for (const { field, value } of fields) {
    const row = table.find((line) => line.startsWith(`| ${field.replace(/: Bearer$/, ": Bearer")} |`));
    expect(row, field).toContain(value === "TOKEN" ? "the token" : value);
  }
});

test("the roles of the SQL block are enough, and not too much", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "scimseal-roles-"));
  const server = await startEmbedded({ dataDir, log: quiet });
  // The embedded server has roles of these very names; the block's get others.
  const block = /```sql\n([\s\S]*?)```/.exec(readme)?.[1]?.replaceAll("scimseal", "acme") ?? "";
  const admin = new pg.Client(server.urls.superuser);
  try {
    await admin.connect();
    for (const statement of block.split(";\n").filter((one) => one.trim() !== ""))
      await admin.query(statement);
    const as = (role: string, password: string) => {
      const url = new URL(server.urls.writer);
      Object.assign(url, { username: role, password, pathname: "/acme" });
      return { connectionString: url.href, requireSync: [] };
    };
    const owner = new pg.Client(as("acme_owner", "change-me-1").connectionString);
    await owner.connect();
    await migrate(owner, "main", "acme/main", { writer: "acme_writer", reader: "acme_reader" });
    await owner.end();
    const facts = await inspectDatabase(as("acme_writer", "change-me-2"), "main", "acme/main");
    expect(facts).toMatchObject({
      isSuperuser: false,
      schemaProblem: undefined,
      weakness: undefined,
      excessRights: [],
    });
    const reader = new pg.Client(as("acme_reader", "change-me-3").connectionString);
    await reader.connect();
    expect((await reader.query("SELECT count(*)::int AS n FROM ledger_main.entry")).rows).toEqual([{ n: 0 }]);
    await expect(
      reader.query("INSERT INTO ledger_main.outcome VALUES (gen_random_uuid(), 1)"),
    ).rejects.toThrow("denied");
    await reader.end();
  } finally {
    await admin.end();
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
});

test("every link leads to a file", () => {
  const pages = [...globSync("*.md"), ...globSync("docs/**/*.md")];
  expect(pages.length).toBeGreaterThan(8);
  const broken = pages.flatMap((page) =>
    [...readFileSync(page, "utf8").matchAll(/\]\((?!https?:|mailto:|#)([^)#]+)(?:#[^)]*)?\)/g)]
      .map(([, link = ""]) => link)
      .filter((link) => !existsSync(join(dirname(page), link)))
      .map((link) => `${page}: ${link}`),
  );
  expect(broken).toEqual([]);
});
