// Files that a person named on the command line. What is wrong with one is said with the flag that named it: the
// system's own message names neither.

import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { errorCode } from "../config/privateFile.ts";

/** Throws what is wrong with a file that is to be read later. */
export function requireFile(flag: string, file: string): void {
  explained(flag, file, () => {
    accessSync(file, constants.R_OK);
    if (statSync(file).isDirectory()) throw Object.assign(new Error(), { code: "EISDIR" });
  });
}

/** The file's text. */
export function readGiven(flag: string, file: string): string {
  return explained(flag, file, () => readFileSync(file, "utf8"));
}

function explained<T>(flag: string, file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new Error(`${flag} ${file}: ${explain(errorCode(cause))}`, { cause });
  }
}

function explain(code: string): string {
  switch (code) {
    case "ENOENT":
      return "there is no such file";
    case "EACCES":
      return "this account may not read it";
    case "EISDIR":
      return "that is a directory, and a file is wanted";
    default:
      return `it cannot be read (${code})`;
  }
}
