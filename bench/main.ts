// npm run bench [-- throughput|memory|sealing|tree|verify|search|soak] [--json] [--rounds N] [--seconds S] [--writes N]
// [--transactions N] [--dir DIR] [--minutes N]

import { parseArgs } from "node:util";
import { measureSealing } from "./cost/sealing.ts";
import { measureTree } from "./cost/tree.ts";
import { measureMemory } from "./memory.ts";
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
    dir: { type: "string" },
    minutes: { type: "string", default: "10" },
  },
});
const [what = "throughput"] = positionals;
// With --json the report alone goes to standard output.
const say = (line: string) => void (values.json ? process.stderr : process.stdout).write(`${line}\n`);
const pace = { rounds: Number(values.rounds), seconds: Number(values.seconds) };

const BENCHMARKS: Readonly<Record<string, () => Promise<object>>> = {
  throughput: () => measureThroughput(pace, say),
  memory: () => measureMemory(Number(values.writes), say),
  sealing: () => measureSealing(pace, say),
  tree: () => measureTree(pace, say),
  verify: () => measureVerify(say),
  search: () => measureSearch({ transactions: Number(values.transactions), dir: values.dir }, say),
  soak: () => measureSoak(Number(values.minutes), say),
};

const measure = BENCHMARKS[what];
if (measure === undefined) {
  const names = Object.keys(BENCHMARKS).join(", ");
  process.stderr.write(`there is no benchmark called ${what}; there are: ${names}\n`);
  process.exitCode = 2;
} else {
  process.stdout.write(`${JSON.stringify(await measure(), null, 2)}\n`);
}
