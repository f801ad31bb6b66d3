/**
 * The process environment: `SCIMSEAL_*` overrides and the values of `{ env: NAME }` secrets.
 *
 * The only file that reads `process.env`. A scalar key with a fixed path has an override named after it:
 * `scim.listen.port` is SCIMSEAL_SCIM_LISTEN_PORT. For a key that is a secret, the variable holds the secret itself.
 * Lists, and keys below names that the file chooses (ledgers, connectors), have none.
 */
import type { KeyOutline } from "./outline.ts";

/** The variables, as a plain map; a test passes its own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The process's own environment. */
export function processEnvironment(): Environment {
  return process.env;
}

/** A key that a variable has set. */
export interface Override {
  variable: string;
  path: readonly string[];
}

/** A variable that looks like an override and is none. */
export interface StrayVariable {
  variable: string;
  nearest: string;
}

const SCALARS: readonly KeyOutline["type"][] = ["text", "number", "boolean", "path", "secret"];

/** The name of the variable that overrides a key, or undefined if the key has none. */
export function overrideName(key: KeyOutline): string | undefined {
  if (!SCALARS.includes(key.type) || key.path.some((segment) => segment === "<name>" || segment === "[]"))
    return undefined;
  return `SCIMSEAL_${key.path.map((segment) => segment.replace(/[A-Z]/g, "_$&").toUpperCase()).join("_")}`;
}

/** Writes overrides into the parsed file. Returns what was set, and the variables that nearly match a key. */
export function applyOverrides(
  root: Record<string, unknown>,
  keys: readonly KeyOutline[],
  environment: Environment,
): { overrides: Override[]; strays: StrayVariable[] } {
  const byVariable = new Map<string, KeyOutline>();
  for (const key of keys) {
    const variable = overrideName(key);
    if (variable !== undefined) byVariable.set(variable, key);
  }
  const overrides: Override[] = [];
  const strays: StrayVariable[] = [];
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith("SCIMSEAL_")) continue;
    const key = byVariable.get(variable);
    if (key !== undefined) {
      if (setKey(root, key, key.type === "secret" ? { env: variable } : readScalar(key, text))) {
        overrides.push({ variable, path: key.path });
      }
    } else {
      // Not every other name is a mistake: Kubernetes sets SCIMSEAL_PORT for a service called scimseal.
      const nearest = nearestName(variable, [...byVariable.keys()], 2);
      if (nearest !== undefined) strays.push({ variable, nearest });
    }
  }
  return { overrides, strays };
}

/** Text that is no number or boolean stays text, so that the schema refuses it with the key's own message. */
function readScalar(key: KeyOutline, text: string): unknown {
  if (key.type === "number" && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (key.type === "boolean" && (text === "true" || text === "false")) return text === "true";
  return text;
}

function setKey(root: Record<string, unknown>, key: KeyOutline, value: unknown): boolean {
  let place = root;
  for (const segment of key.path.slice(0, -1)) {
    const next = Object.hasOwn(place, segment) ? place[segment] : undefined;
    if (isRecord(next)) {
      place = next;
    } else if (next === undefined || next === null) {
      const made: Record<string, unknown> = {};
      place[segment] = made;
      place = made;
    } else {
      return false; // The file holds something else there; the schema will say so.
    }
  }
  const last = key.path.at(-1);
  if (last === undefined) return false;
  place[last] = value;
  // A database URL from the environment takes the place of the file's embedded server.
  if (key.path.join(".") === "database.url") delete place.embedded;
  return true;
}

/** Whether a parsed value is a mapping. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The candidate that differs least from `name`, by at most `limit` edits (Levenshtein), ignoring case. */
export function nearestName(name: string, candidates: readonly string[], limit: number): string | undefined {
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replace, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
