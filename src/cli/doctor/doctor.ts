/**
 * `scimseal doctor`: looks at everything a running proxy will lean on, and says what to do about each.
 *
 * It changes nothing, writes nothing, and sends the target one read. Exit code 0 unless a check fails. The database's
 * part comes from outside: the storage room knows what durability means. With --acknowledge it checks nothing and
 * writes one thing: that a person has taken note of the alarms (doctorAcknowledge.ts).
 */
import type { Command } from "commander";
import { isLoopbackHost } from "../../config/address.ts";
import { ConfigError, loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";
import { printable } from "../printable.ts";
import { isNodeSupported, MINIMUM_NODE } from "../runtime.ts";
import { type Check, errorText, fail, judgeCertificate, ok, warn } from "./check.ts";
import { configFileOf } from "./configFile.ts";
import {
  type AcknowledgeOptions,
  acknowledgeAlarms,
  describeResumption,
  formatAcknowledgements,
} from "./doctorAcknowledge.ts";
import { checkCredentials, checkDataDir, checkKeys, checkListeners } from "./doctorFiles.ts";
import { probeTarget } from "./targetProbe.ts";

export type { Check } from "./check.ts";

/** Looks at the database: durability settings, roles, schema, clock. */
export type CheckDatabase = (config: Config) => Promise<Check[]>;

const CLOCK_TOLERANCE_MS = 5000;

interface DoctorOptions extends AcknowledgeOptions {
  acknowledge?: true;
  json?: true;
}

/** Adds the command. */
export function registerDoctor(program: Command, checkDatabase: CheckDatabase): void {
  program
    .command("doctor")
    .description(
      "check the configuration, keys, permissions, clock, targets and database; acknowledge alarms",
    )
    .option("--config <file>", "configuration file")
    .option("--acknowledge", "take note of the open alarms, by an entry in the ledger; checks nothing")
    .option("--data-dir <dir>", "data directory of a demonstration, instead of --config (default: .scimseal)")
    .option("--alarm <id>", "with --acknowledge: this alarm only")
    .option("--json", "as JSON")
    .action(async (options: DoctorOptions, command: Command) => {
      const write = (text: string, value: unknown) =>
        command.configureOutput().writeOut?.(options.json ? `${JSON.stringify(value, null, 2)}\n` : text);
      if (options.acknowledge) {
        const done = await acknowledgeAlarms(options);
        if (!options.json) write(formatAcknowledgements(done), done);
        // Whoever goes on after this command writes next: so it ends when that can go well, or has said that it cannot.
        const resumption = await describeResumption(options, done);
        write(resumption, done);
        return;
      }
      if (options.alarm !== undefined) command.error("error: --alarm goes with --acknowledge");
      const checks = await runDoctor(configFileOf(options), checkDatabase);
      write(formatChecks(checks), checks);
      if (checks.some(({ status }) => status === "fail")) process.exitCode = 1;
    });
}

/** Runs every check that can be run. Never throws for what it finds. */
export async function runDoctor(file: string, checkDatabase: CheckDatabase): Promise<Check[]> {
  const checks = [checkNode(process.versions.node)];
  const { config, problems } = await readConfig(file);
  checks.push(...problems);
  if (config === undefined) return checks;
  const [keys, database, ...rest] = await Promise.all([
    checkKeys(config),
    guarded("database", checkDatabase(config)),
    checkDataDir(config),
    checkListeners(config),
    checkCredentials(config),
    ...Object.entries(config.connectors).map(([name, { target }]) =>
      guarded(`connector ${name}: target`, checkTarget(name, target)),
    ),
  ]);
  // What the ledger itself says of its keys is better founded than what their files alone do.
  const judged = new Set(database.map(({ name }) => name));
  return checks.concat(
    keys.filter(({ name }) => !judged.has(name)),
    database,
    ...rest,
  );
}

/** One line a check, and the remedy under what is not well. */
export function formatChecks(checks: readonly Check[]): string {
  const lines = checks.map(({ name, status, detail, remedy }) => {
    const line = `${status.padEnd(4)}  ${printable(name)}: ${printable(detail)}\n`;
    return remedy === undefined ? line : `${line}      → ${printable(remedy)}\n`;
  });
  const failed = checks.filter(({ status }) => status === "fail").length;
  const warned = checks.filter(({ status }) => status === "warn").length;
  return `${lines.join("")}\n${checks.length} checks, ${failed} failed, ${warned} with a warning\n`;
}

/** Judges a Node version. */
export function checkNode(version: string): Check {
  if (isNodeSupported(version)) return ok("Node", version);
  const remedy = `run it on Node ${MINIMUM_NODE.join(".")} or newer: older ones can be made to misread requests`;
  return fail("Node", version, remedy);
}

/** Every problem of the file is a failure of its own; what can be read is still checked. */
async function readConfig(file: string): Promise<{ config?: Config; problems: Check[] }> {
  try {
    return { config: await loadConfig(file), problems: [ok("configuration", file)] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.map(({ path, line, message }) => {
      const place = line === undefined ? file : `${file}:${line}`;
      return fail("configuration", path === "" ? message : `${path}: ${message}`, `correct ${place}`);
    });
    try {
      return { config: await loadConfig(file, { secrets: "deferred" }), problems };
    } catch (again) {
      if (again instanceof ConfigError) return { problems };
      throw again;
    }
  }
}

async function guarded(name: string, checks: Promise<Check[]>): Promise<Check[]> {
  try {
    return await checks;
  } catch (error) {
    return [fail(name, errorText(error), "see the reason; if it is none of yours, this is a bug")];
  }
}

async function checkTarget(
  connector: string,
  target: Config["connectors"][string]["target"],
): Promise<Check[]> {
  const name = `connector ${connector}: target`;
  let answer: Awaited<ReturnType<typeof probeTarget>>;
  try {
    answer = await probeTarget(target);
  } catch (error) {
    return [
      fail(
        name,
        errorText(error),
        `check target.url, target.tls and target.auth, and the way from here to ${target.url}`,
      ),
    ];
  }
  const { status, clockOffsetMs, certificateExpires } = answer;
  const checks = [judgeStatus(name, status)];
  if (certificateExpires !== undefined)
    checks.push(judgeCertificate(`${name} certificate`, certificateExpires));
  else if (target.auth.kind !== "none" && !isLoopbackHost(new URL(target.url).hostname)) {
    checks.push(warn(name, "is called without TLS, so its credential can be read on the way", "use https"));
  }
  if (clockOffsetMs !== undefined) checks.push(judgeClock(`${name} clock`, clockOffsetMs));
  return checks;
}

function judgeStatus(name: string, status: number): Check {
  const said = `answers ${status} to GET /ServiceProviderConfig`;
  if (status === 200) return ok(name, said);
  if (status === 401 || status === 403)
    return fail(name, said, "the target refuses the credential under target.auth: renew it there and here");
  if (status >= 500) return fail(name, said, "the target is not well: look at its own logs");
  return warn(name, said, "check that target.url is the SCIM base URL; some targets do not have this page");
}

function judgeClock(name: string, offsetMs: number): Check {
  const seconds = Math.round(offsetMs / 1000);
  if (Math.abs(offsetMs) <= CLOCK_TOLERANCE_MS) return ok(name, "agrees with ours");
  const said = `is ${Math.abs(seconds)} s ${seconds > 0 ? "ahead of" : "behind"} ours`;
  return warn(
    name,
    said,
    "run a time service (NTP) here; the times of entries and the validity of tokens hang on it",
  );
}
