/**
 * Files only their owner may read: signing keys, token keys, credentials, secrets.
 *
 * The adversary is another account on the machine. Nothing here repairs a permission by itself: whoever could read the
 * file may have read it, so a person has to decide whether the key is still good.
 */
import { statSync } from "node:fs";

/** What is wrong with a private file's existence, kind or permissions, as a sentence with the remedy; undefined if all is well. */
export function privateFileProblem(path: string): string | undefined {
  let mode: number;
  try {
    const stat = statSync(path);
    if (!stat.isFile()) return `${path} is not a file`;
    mode = stat.mode;
  } catch (error) {
    return `${path} cannot be read (${errorCode(error)}): check the path and who owns it`;
  }
  // Windows has no such bits; its access lists are the operator's care.
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, "0");
    return `${path} has mode ${octal}, so other accounts can reach it: run chmod 600 ${path}, and replace the key if others may have read it`;
  }
  return undefined;
}

/** The system's code of an error (`ENOENT`, `EACCES`), or `unknown`: a message that names no content. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return "unknown";
}
