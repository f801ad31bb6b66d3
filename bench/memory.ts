// Memory over many audited writes: resident size of the proxy, sampled while a fixed number of writes goes through.
// Flat means: after the first tenth, the samples stay within 60 MB of each other (± 30 MB).

import { residentMiB as measureResident } from "./figures.ts";
import { runLoad } from "./load.ts";
import { openStage } from "./stage.ts";

export interface MemoryReport {
  writes: number;
  errors: number;
  seconds: number;
  /** Resident set of the proxy after each tenth of the writes, MiB. */
  residentMiB: number[];
  spreadMiB: number;
  flat: boolean;
}

const TENTHS = 10;

export async function measureMemory(writes: number, say: (line: string) => void): Promise<MemoryReport> {
  const stage = await openStage();
  try {
    const startedAt = performance.now();
    const residentMiB: number[] = [];
    let errors = 0;
    for (let tenth = 0; tenth < TENTHS; tenth++) {
      const result = await runLoad(stage.auditedUrl, stage.token, 64, {
        requests: Math.ceil(writes / TENTHS),
      });
      errors += result.errors;
      residentMiB.push(Math.round(measureResident(stage.proxyPid)));
      say(
        `${((tenth + 1) * writes) / TENTHS} writes, ${result.requestsPerSecond.toFixed(0)}/s, resident ${residentMiB.at(-1)} MiB`,
      );
    }
    const settled = residentMiB.slice(1);
    const spreadMiB = Math.max(...settled) - Math.min(...settled);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    return { writes, errors, seconds, residentMiB, spreadMiB, flat: spreadMiB <= 60 };
  } finally {
    await stage.close();
  }
}
