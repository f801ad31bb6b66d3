// How this program is typed, for the lines that tell a person what to run next.

import { type Environment, processEnvironment } from "./environment.ts";

/** `npx scimseal` below npm, which says so to all that it runs: a checkout has no `scimseal` of its own to type. */
export function commandName(environment: Environment = processEnvironment()): string {
  return environment.npm_command === undefined ? "scimseal" : "npx scimseal";
}
