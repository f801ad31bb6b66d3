// `scimseal serve`: the real thing, from one configuration file, until a signal ends it.

import type { Command } from "commander";
import { startApp } from "../app.ts";
import { loadConfig } from "../config/load.ts";
import { createLog } from "../telemetry/log.ts";
import { checkRuntime } from "./runtime.ts";
import { stopOnSignal } from "./signals.ts";

/** Adds the command. */
export function registerServe(program: Command): void {
  program
    .command("serve")
    .description("run the proxy")
    .requiredOption("--config <file>", "configuration file")
    .action(async (options: { config: string }) => {
      checkRuntime();
      const config = await loadConfig(options.config);
      const log = createLog(config.log);
      const app = await startApp(config, log);
      await stopOnSignal(() => app.stop(), log);
    });
}
