/** What `scimseal doctor` finds: one check, its verdict, and what to do about it. */

/** One finding. Whoever makes one keeps secrets and personal data out of it. */
export interface Check {
  /** What was looked at, such as `connector okta: target`. */
  name: string;
  status: "ok" | "warn" | "fail";
  /** What was found. Never a secret, never personal data. */
  detail: string;
  /** What to do about it. */
  remedy?: string;
}

/** All is well. */
export function ok(name: string, detail: string): Check {
  return { name, status: "ok", detail };
}

/** It works, and should be seen to. */
export function warn(name: string, detail: string, remedy: string): Check {
  return { name, status: "warn", detail, remedy };
}

/** It does not work, or must not be relied on. */
export function fail(name: string, detail: string, remedy: string): Check {
  return { name, status: "fail", detail, remedy };
}

/** An error's message and the codes of its causes, on one line. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? ` (${error.code})` : "";
  const own = error.message === "" ? error.name : error.message;
  const text = own.includes(code.trim()) ? own : own + code;
  return error.cause instanceof Error ? `${text}: ${errorText(error.cause)}` : text;
}

const CERTIFICATE_WARN_DAYS = 21;

/** Judges how long a certificate still lives. */
export function judgeCertificate(name: string, expires: Date, nowMs: number = Date.now()): Check {
  const days = Math.floor((expires.getTime() - nowMs) / 86_400_000);
  const said = `expires ${expires.toISOString().slice(0, 10)}, in ${days} days`;
  if (days < 0) return fail(name, said, "replace it: callers will refuse it");
  return days < CERTIFICATE_WARN_DAYS ? warn(name, said, "replace it soon") : ok(name, said);
}
