// What a part of scimseal costs the audited writes: scimseal as it is against the same with a module exchanged for one that
// does nothing, each on a database of its own, interleaved round by round. The index is held back in both: it would catch up
// in the other's rounds.

import { readFile, writeFile } from "node:fs/promises";
import { parse, stringify } from "yaml";
import { median, quantile } from "../figures.ts";
import { runLoad, type Traffic } from "../load.ts";
import { undisturbed } from "../machine.ts";
import { openStage, type Stage } from "../stage.ts";
import type { ThroughputOptions } from "../throughput.ts";

const CONNECTIONS = 64;
const WARM_UP_REQUESTS = 10_000;
/** The least that the configuration allows. */
const INDEX_SHARE = 0.01;

export interface Cost {
  /** Audited writes a second, with the part and without it; medians over the rounds. */
  whole: number;
  without: number;
  /** 1 - whole / without, each round by itself; the median of that, and the quarters around it. */
  cost: number;
  costQuartiles: [number, number];
}

/** `hooks`: the module, for `node --import`, that takes the part away. One result for each kind of traffic. */
export async function measureCost<Name extends string>(
  hooks: URL,
  traffics: Readonly<Record<Name, Traffic>>,
  { rounds, seconds }: ThroughputOptions,
  say: (line: string) => void,
): Promise<Record<Name, Cost>> {
  const stages: Stage[] = [];
  try {
    const whole = await openStage({ fill: holdIndexBack });
    stages.push(whole);
    const without = await openStage({ fill: holdIndexBack, nodeOptions: ["--import", hooks.href] });
    stages.push(without);
    say("warming up");
    for (const { auditedUrl, token } of stages)
      await runLoad(auditedUrl, token, CONNECTIONS, { requests: WARM_UP_REQUESTS });
    const report: Partial<Record<Name, Cost>> = {};
    for (const [name, traffic] of Object.entries(traffics) as [Name, Traffic][]) {
      const rate = async ({ auditedUrl, token }: Stage) => {
        const limit = { ms: seconds * 1000 };
        const { requestsPerSecond, errors } = await undisturbed(() =>
          runLoad(auditedUrl, token, CONNECTIONS, limit, traffic),
        );
        if (errors > 0) throw new Error(`${errors} writes failed`);
        return requestsPerSecond;
      };
      const rates: Rates[] = [];
      for (let round = 0; round < rounds; round++) {
        // Each goes first by turns, so that a machine that grows slower is nobody's gain.
        const isFirst = round % 2 === 0;
        const first = await rate(isFirst ? whole : without);
        const second = await rate(isFirst ? without : whole);
        const one = isFirst ? { whole: first, without: second } : { whole: second, without: first };
        rates.push(one);
        say(`${name}, round ${round + 1}: ${one.whole.toFixed(0)}/s, without it ${one.without.toFixed(0)}/s`);
      }
      report[name] = costOf(rates);
    }
    return report as Record<Name, Cost>;
  } finally {
    for (const stage of stages) await stage.close();
  }
}

interface Rates {
  whole: number;
  without: number;
}

function costOf(rates: readonly Rates[]): Cost {
  const costs = rates.map(({ whole, without }) => 1 - whole / without);
  const share = (value: number) => Math.round(value * 1000) / 1000;
  return {
    whole: Math.round(median(rates.map(({ whole }) => whole))),
    without: Math.round(median(rates.map(({ without }) => without))),
    cost: share(median(costs)),
    costQuartiles: [share(quantile(costs, 0.25)), share(quantile(costs, 0.75))],
  };
}

async function holdIndexBack(configFile: string): Promise<void> {
  const config = parse(await readFile(configFile, "utf8")) as { ledgers: { main: object } };
  Object.assign(config.ledgers.main, { index: { coreShare: INDEX_SHARE } });
  await writeFile(configFile, stringify(config));
}
