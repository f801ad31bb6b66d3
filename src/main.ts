// argv → command. Errors a person can mend are one line on standard error and exit status 2; anything else is a fault
// of the program and shows where it came from.

import { Command } from "commander";
import { registerDemo } from "./cli/demo/demo.ts";
import { registerDoctor } from "./cli/doctor/doctor.ts";
import { checkDatabase } from "./cli/doctor/doctorDatabase.ts";
import { registerExport } from "./cli/export.ts";
import { registerKeys } from "./cli/keys/keys.ts";
import { printable } from "./cli/printable.ts";
import { registerServe } from "./cli/serve.ts";
import { registerInit } from "./cli/setup/init.ts";
import { registerToken } from "./cli/token.ts";
import { registerVerify } from "./cli/verify/verify.ts";
import { registerWitness } from "./cli/witness.ts";

// Whoever read what we say may go away (`scimseal doctor | head -1`, a closed terminal): what was begun goes on, and its exit
// status says how it ended.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EPIPE") throw cause;
  });

const program = new Command("scimseal")
  .description(
    "A SCIM 2.0 proxy that lets no provisioning change through before a signed record of it exists.",
  )
  .showHelpAfterError("(scimseal --help shows how)");

for (const register of [
  registerServe,
  registerDemo,
  registerInit,
  registerToken,
  registerKeys,
  registerVerify,
  registerExport,
  registerWitness,
]) {
  register(program);
}
registerDoctor(program, checkDatabase);

try {
  await program.parseAsync();
} catch (cause) {
  const message = cause instanceof Error ? cause.message : String(cause);
  process.stderr.write(`scimseal: ${message.split("\n").map(printable).join("\n")}\n`);
  process.exit(2);
}
