// Which attributes are secrets: `password` (RFC 7643 §4.1.1, never returned, never stored) and those configured.
// Promises: a name is known again in any case, under any schema URN, dotted, escaped or in Unicode's compatibility
// spellings, and inside a filter.
// Leaves out: what is done about it; that is redaction's, and the facts'.

export interface Secrets {
  /** Each secret as its attribute names, folded: `name.givenName` → `["name", "givenname"]`. */
  readonly patterns: readonly (readonly string[])[];
  /** The last name of each. */
  readonly words: readonly string[];
}

const compiled = new WeakMap<readonly string[], Secrets>();

/** `password` and the configured attributes; reading the same array again costs nothing. */
export function secretsOf(extraAttributes: readonly string[]): Secrets {
  const known = compiled.get(extraAttributes);
  if (known !== undefined) return known;
  const patterns = [["password"], ...extraAttributes.map(pathTrail).filter((names) => names.length > 0)];
  const words = [...new Set(patterns.map((names) => names.at(-1) ?? ""))];
  const secrets = { patterns, words };
  compiled.set(extraAttributes, secrets);
  return secrets;
}

/**
 * Whether a trail of attribute names, folded, is a secret's or lies inside one: some pattern ends at a name of index
 * `from` or later (the names before it were judged already).
 */
export function isSecret(secrets: Secrets, trail: readonly string[], from: number): boolean {
  for (let last = from; last < trail.length; last++) {
    for (const pattern of secrets.patterns) {
      const start = last + 1 - pattern.length;
      if (start >= 0 && pattern.every((name, i) => name === trail[start + i])) return true;
    }
  }
  return false;
}

/** Whether a text such as a filter names a secret as a word, percent-encoded or not, and if so however often. */
export function mentionsSecret(secrets: Secrets, text: string): boolean {
  let form = text;
  for (let decoded = 0; decoded <= maxDecodings; decoded++) {
    const words = foldName(form).split(/[^a-z0-9_$-]+/);
    if (words.some((word) => secrets.words.includes(word))) return true;
    const inner = form.replace(/(?:%[0-9a-f]{2})+/gi, percentDecoded);
    if (inner === form) return false;
    form = inner;
  }
  // Nobody encodes anything so often but to hide it.
  return true;
}

const maxDecodings = 4;
const decoder = new TextDecoder();

function percentDecoded(run: string): string {
  const bytes = run.slice(1).split("%");
  return decoder.decode(Uint8Array.from(bytes, (hex) => Number.parseInt(hex, 16)));
}

/**
 * Whether a path's own text may hold a secret's value: it filters on a secret, or inside one, or is a comparison that
 * names one. `emails[type eq "work"].value` does not, even where that value is secret.
 */
export function quotesSecret(secrets: Secrets, path: string): boolean {
  const { head, filter, tail } = splitFilter(path);
  if (/[\s"()%?=\]]/.test(`${head}${tail}`.trim())) return mentionsSecret(secrets, path);
  return filter !== "" && (isSecret(secrets, pathTrail(head), 0) || mentionsSecret(secrets, filter));
}

/**
 * The attribute names of a path or a member's name, folded, without schema URN and filters:
 * `urn:…:User:emails[type eq "work"].value` → `["emails", "value"]`.
 */
export function pathTrail(text: string): string[] {
  const folded = foldName(text);
  if (/^[a-z0-9_$-]+$/.test(folded)) return [folded];
  const { head, tail } = splitFilter(folded);
  const names = head + tail;
  return names
    .slice(names.lastIndexOf(":") + 1)
    .split(/[./\s]+/)
    .filter((name) => name !== "");
}

/** `emails[type eq "work"].value` → `emails`, `[type eq "work"]`, `.value`; an unclosed filter goes to the end. */
function splitFilter(path: string): { head: string; filter: string; tail: string } {
  const open = path.indexOf("[");
  if (open === -1) return { head: path, filter: "", tail: "" };
  const close = path.lastIndexOf("]");
  const end = close < open ? path.length : close + 1;
  return { head: path.slice(0, open), filter: path.slice(open, end), tail: path.slice(end) };
}

/** One spelling for all a lenient reader might take for the same name. */
export function foldName(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name)) return name.toLowerCase();
  // Compatibility forms and the long s have ASCII twins; zero-width characters have no look at all.
  return name
    .normalize("NFKC")
    .replace(/\p{Cf}/gu, "")
    .toUpperCase()
    .toLowerCase();
}
