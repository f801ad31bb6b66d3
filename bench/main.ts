// npm run bench [-- throughput|memory|sealing|verify|search|soak] [--json] [--rounds N] [--seconds S] [--writes N] [--transactions N] [--minutes N]

import { parseArgs } from "node:util";
import { measureMemory } from "./memory.ts";
import { measureSealing } from "./sealing/sealing.ts";
import { measureSearch } from "./search.ts";
import { measureSoak } from "./soak.ts";
import { measureThroughput } from "./throughput.ts";
import { measureVerify } from "./verify.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    writes: { type: "string", default: "1000000" },
    transactions: { type: "string", default: "1000000" },
    minutes: { type: "string", default: "10" },
  },
});
const [what = "throughput"] = positionals;
// With --json the report alone goes to standard output.
const say = (line: string) => void (values.json ? process.stderr : process.stdout).write(`${line}\n`);

const report =
  what === "throughput"
    ? await measureThroughput({ rounds: Number(values.rounds), seconds: Number(values.seconds) }, say)
    : what === "memory"
      ? await measureMemory(Number(values.writes), say)
      : what === "sealing"
        ? await measureSealing({ rounds: Number(values.rounds), seconds: Number(values.seconds) }, say)
        : what === "verify"
          ? await measureVerify(say)
          : what === "search"
            ? await measureSearch(Number(values.transactions), say)
            : what === "soak"
              ? await measureSoak(Number(values.minutes), say)
              : undefined;
if (report === undefined) {
  process.stderr.write(
    `there is no benchmark called ${what}; there are: throughput, memory, sealing, verify, search, soak\n`,
  );
  process.exitCode = 2;
} else {
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}
