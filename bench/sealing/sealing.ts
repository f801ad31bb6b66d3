// What sealing costs the audited writes: scimseal as it is against the same with attachments stored in clear, each on a
// database of its own, interleaved round by round: with one create in eight writes, as real traffic has it, and with nothing
// but creates, each of which brings a data key. The index is held back in both: it would catch up in the other's rounds.

import { readFile, writeFile } from "node:fs/promises";
import { parse, stringify } from "yaml";
import { median, quantile } from "../figures.ts";
import { changesToo, creates, runLoad, type Traffic } from "../load.ts";
import { openStage, type Stage } from "../stage.ts";
import type { ThroughputOptions } from "../throughput.ts";

const CONNECTIONS = 64;
const WARM_UP_REQUESTS = 10_000;
/** The least that the configuration allows. */
const INDEX_SHARE = 0.01;

export interface SealingReport {
  /** One create in eight writes. */
  changesToo: SealingCost;
  creates: SealingCost;
}

interface SealingCost {
  /** Audited writes a second, medians over the rounds. */
  sealed: number;
  clear: number;
  /** 1 - sealed / clear, each round by itself; the median of that, and the quarters around it. */
  cost: number;
  costQuartiles: [number, number];
}

export async function measureSealing(
  { rounds, seconds }: ThroughputOptions,
  say: (line: string) => void,
): Promise<SealingReport> {
  const stages: Stage[] = [];
  try {
    const sealed = await openStage({ fill: holdIndexBack });
    stages.push(sealed);
    const hooks = new URL("./clearHooks.ts", import.meta.url).href;
    const clear = await openStage({ fill: holdIndexBack, nodeOptions: ["--import", hooks] });
    stages.push(clear);
    say("warming up");
    for (const { auditedUrl, token } of stages)
      await runLoad(auditedUrl, token, CONNECTIONS, { requests: WARM_UP_REQUESTS }, changesToo);
    const report: Partial<SealingReport> = {};
    for (const [name, traffic] of Object.entries({ changesToo, creates }) as [
      keyof SealingReport,
      Traffic,
    ][]) {
      const rate = async ({ auditedUrl, token }: Stage) => {
        const limit = { ms: seconds * 1000 };
        const { requestsPerSecond, errors } = await runLoad(auditedUrl, token, CONNECTIONS, limit, traffic);
        if (errors > 0) throw new Error(`${errors} writes failed`);
        return requestsPerSecond;
      };
      const rates: { sealed: number; clear: number }[] = [];
      for (let round = 0; round < rounds; round++) {
        // Each goes first by turns, so that a machine that grows slower is nobody's gain.
        const first = await rate(round % 2 === 0 ? sealed : clear);
        const second = await rate(round % 2 === 0 ? clear : sealed);
        const one = round % 2 === 0 ? { sealed: first, clear: second } : { sealed: second, clear: first };
        rates.push(one);
        say(
          `${name}, round ${round + 1}: sealed ${one.sealed.toFixed(0)}/s, clear ${one.clear.toFixed(0)}/s`,
        );
      }
      report[name] = costOf(rates);
    }
    return report as SealingReport;
  } finally {
    for (const stage of stages) await stage.close();
  }
}

function costOf(rates: readonly { sealed: number; clear: number }[]): SealingCost {
  const costs = rates.map((one) => 1 - one.sealed / one.clear);
  const share = (value: number) => Math.round(value * 1000) / 1000;
  return {
    sealed: Math.round(median(rates.map((one) => one.sealed))),
    clear: Math.round(median(rates.map((one) => one.clear))),
    cost: share(median(costs)),
    costQuartiles: [share(quantile(costs, 0.25)), share(quantile(costs, 0.75))],
  };
}

async function holdIndexBack(configFile: string): Promise<void> {
  const config = parse(await readFile(configFile, "utf8")) as { ledgers: { main: object } };
  Object.assign(config.ledgers.main, { index: { coreShare: INDEX_SHARE } });
  await writeFile(configFile, stringify(config));
}
