// The database's part of `scimseal doctor`: reachable, durable, the tables there, roles that can do no more than they
// must, clocks that agree; and what the ledger in it says of its alarms and keys.

import { commandName } from "../../config/commandName.ts";
import type { Config } from "../../config/schema.ts";
import { loadSealingKey, SealError } from "../../keys/sealingKey.ts";
import { addressesOf } from "../../ledgers.ts";
import { hasCluster } from "../../storage/embedded/cluster.ts";
import { openEmbedded } from "../../storage/embedded/embedded.ts";
import { type DatabaseFacts, inspectDatabase } from "../../storage/inspect.ts";
import { shellWord } from "../printable.ts";
import { type Check, errorText, fail, ok, warn } from "./check.ts";
import { checkHistory } from "./doctorLedger.ts";

const OLDEST_POSTGRES = 140_000;
const CLOCK_TOLERANCE_MS = 2_000;

const DURABILITY_REMEDY =
  "set it on the server (ALTER SYSTEM SET …, then SELECT pg_reload_conf()), or correct database in the configuration; until then the proxy refuses writes";

const quiet = { info() {}, warn() {}, error() {} };

/** Checks the database of every ledger. */
export async function checkDatabase(config: Config): Promise<Check[]> {
  if (config.database.kind === "embedded" && !(await hasCluster(config.dataDir))) {
    return [ok("database", "embedded; the first start makes it")];
  }
  const embedded =
    config.database.kind === "embedded"
      ? await openEmbedded({ dataDir: config.dataDir, log: quiet })
      : undefined;
  try {
    const checks: Check[] = [];
    for (const [name, ledger] of Object.entries(config.ledgers)) {
      const addresses = addressesOf(ledger.database ?? config.database, embedded?.urls);
      const label = `ledger ${name}: database`;
      try {
        const canMigrate = addresses.owner !== undefined;
        const facts = await inspectDatabase(addresses.writer, name, ledger.origin);
        checks.push(
          ...judge(label, facts, canMigrate),
          ...judgeSealing(`ledger ${name}: sealing key`, facts, ledger),
        );
        if (facts.schemaProblem === undefined) {
          const commandLine = (command: string) =>
            `${commandName()} ${command} --config ${shellWord(config.file)}`;
          checks.push(...(await checkHistory(name, ledger, addresses.reader, commandLine)));
        }
      } catch (cause) {
        checks.push(fail(label, errorText(cause), "check database.url, the network and the server's log"));
      }
    }
    return checks;
  } finally {
    await embedded?.close();
  }
}

function judge(label: string, facts: DatabaseFacts, canMigrate: boolean): Check[] {
  const checks = [
    facts.version >= OLDEST_POSTGRES
      ? ok(label, `PostgreSQL ${formatVersion(facts.version)}, role ${facts.role}`)
      : fail(label, `PostgreSQL ${formatVersion(facts.version)}`, "use version 14 or newer"),
    facts.weakness === undefined
      ? ok(`${label} durability`, "a proved commit survives a crash")
      : fail(`${label} durability`, facts.weakness, DURABILITY_REMEDY),
    judgeRole(label, facts),
    Math.abs(facts.clockOffsetMs) <= CLOCK_TOLERANCE_MS
      ? ok(`${label} clock`, `within ${Math.abs(facts.clockOffsetMs)} ms of this machine's`)
      : warn(
          `${label} clock`,
          `${facts.clockOffsetMs} ms from this machine's`,
          "run a time service on both machines",
        ),
  ];
  if (facts.schemaProblem === undefined)
    checks.push(ok(`${label} tables`, "there, of this version and origin"));
  else if (canMigrate)
    checks.push(warn(`${label} tables`, facts.schemaProblem, "the next start of the proxy makes them"));
  else
    checks.push(
      fail(
        `${label} tables`,
        facts.schemaProblem,
        "set database.ownerUrl for one start of the proxy: it makes them",
      ),
    );
  return checks;
}

/** `server_version_num` as people say it: 180004 is 18.4. */
function formatVersion(version: number): string {
  return `${Math.floor(version / 10_000)}.${version % 10_000}`;
}

/** Whether the key file is the one that this ledger's attachments were sealed with. */
function judgeSealing(
  label: string,
  { newestKeys }: DatabaseFacts,
  { sealingKey, origin }: Config["ledgers"][string],
): Check[] {
  if (!newestKeys) return [];
  try {
    loadSealingKey(sealingKey.file, origin).unwrap(newestKeys.wrapped, newestKeys.id);
    return [ok(label, "opens what was recorded last")];
  } catch (cause) {
    // A file that cannot be used at all is told by the check of the keys.
    if (!(cause instanceof SealError)) return [];
    const remedy = "put the ledger's own key file back; the proxy does not start with another";
    return [fail(label, `cannot open what was recorded last: ${cause.message}`, remedy)];
  }
}

function judgeRole(label: string, { role, isSuperuser, excessRights }: DatabaseFacts): Check {
  if (isSuperuser) {
    return fail(
      `${label} role`,
      `${role} is a superuser`,
      "write as a role of its own that may only INSERT and SELECT",
    );
  }
  if (excessRights.length > 0) {
    return fail(
      `${label} role`,
      `${role} may ${excessRights.join(", ")} entries`,
      "use another role for database.url than the owner's",
    );
  }
  return ok(`${label} role`, `${role} can append and read, nothing else`);
}
