// npm run seed -- --transactions N [--dir DIR] [--seed N] [--days N]: a made history of that many transactions in a new data
// directory, ready for `scimseal serve --config DIR/scimseal.yaml`.

import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createLog } from "../../src/telemetry/log.ts";
import { prepareDataDir } from "../../test/support/system.ts";
import { seedHistory } from "./record.ts";

const { values } = parseArgs({
  options: {
    transactions: { type: "string", default: "10000" },
    dir: { type: "string", default: ".scimseal-seed" },
    seed: { type: "string", default: "1" },
    days: { type: "string", default: "400" },
  },
});
const dir = resolve(values.dir);
const say = (line: string) => void process.stdout.write(`${line}\n`);
await mkdir(dir, { mode: 0o700 });
const { configFile, auditorToken } = await prepareDataDir(dir, "https://target.example.com/scim/v2", "none");
const { writeSeconds, indexSeconds } = await seedHistory(
  {
    configFile,
    transactions: Number(values.transactions),
    seed: Number(values.seed),
    days: Number(values.days),
  },
  createLog({ level: "warn", format: "auto" }),
  say,
);
say(
  `Written after ${writeSeconds} s, indexed after ${indexSeconds} s more. See it: npx scimseal serve --config ${join(dir, "scimseal.yaml")}`,
);
say(`Auditor's token: ${auditorToken}`);
