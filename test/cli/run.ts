/** Runs a command of ours as the program would, with its output caught. */
import { Command } from "commander";

/** What a command wrote, and how it ended. */
export interface Ran {
  out: string;
  err: string;
  /** The error that ended it, if one did. */
  error?: unknown;
}

/** Runs `register`'s command with these arguments. */
export async function runCommand(register: (program: Command) => void, ...args: string[]): Promise<Ran> {
  const ran: Ran = { out: "", err: "" };
  const program = new Command().exitOverride().configureOutput({
    writeOut: (text) => {
      ran.out += text;
    },
    writeErr: (text) => {
      ran.err += text;
    },
  });
  register(program);
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    ran.error = error;
  }
  return ran;
}
