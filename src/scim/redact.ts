// Structural redaction: takes secrets out of a body before anything is stored, wherever SCIM lets one stand.
// Promises: only the span of a value (or of a path that quotes one) is replaced; every other byte stays; a body with
// nothing to redact comes back as the same buffer. When in doubt it redacts: the record loses a value, the forwarded
// bytes are another buffer and lose nothing.
// The adversary is whoever can read the ledger's attachments, backups and exports later; and the careless client that
// sends a password under a spelling nobody thought of. Leaves out: bodies that are no JSON, and headers.
import {
  applyEdits,
  type JsonDocument,
  type JsonEdit,
  type JsonNode,
  type JsonSpan,
  parseStrictJson,
} from "./json.ts";
import {
  foldName,
  isSecret,
  mentionsSecret,
  pathTrail,
  quotesSecret,
  type Secrets,
  secretsOf,
} from "./secret.ts";

export interface Redaction {
  /** The document's own buffer if nothing was redacted. */
  readonly bytes: Uint8Array;
  /** Where values were taken out, e.g. `password`, `Operations[].value`; sorted, unique, at most 64, no literals. */
  readonly redacted: readonly string[];
  /**
   * The texts that were taken out, as they are and as JSON spells them: for taking them out of the target's answer too,
   * which may quote them in an error. Never to be stored or logged. None shorter than 6 characters. Undefined: too many
   * to be looked for in a body of this size; then nothing of an answer is known to be free of them.
   */
  readonly secrets: readonly string[] | undefined;
}

/** Shorter ones would be found by chance in what says nothing about them. */
const minSecretLength = 6;

const replacement = JSON.stringify("[redacted]");

/**
 * Redacts `password` and the configured `extraAttributes` (attribute names or paths such as `secretQuestion`,
 * `name.givenName`, `urn:…:User:employeeNumber`; matched by their last names, in any case, under any schema).
 */
export function redact(document: JsonDocument, extraAttributes: readonly string[]): Redaction {
  const secrets = secretsOf(extraAttributes);
  if (cannotHold(document, secrets)) return { bytes: document.bytes, redacted: [], secrets: [] };
  const walk = new Walk(secrets, document.text);
  walk.visit(document.root, [], "");
  const redacted = [...walk.labels].sort().slice(0, 64);
  const isSearchable = canSearch(walk.taken.size, document.bytes.length);
  return {
    bytes: applyEdits(document, walk.edits),
    redacted,
    secrets: isSearchable ? [...walk.taken] : undefined,
  };
}

/** Whether so many secrets can be looked for, one by one, in so many bytes: a Bulk's thousand, in megabytes no hundred. */
export function canSearch(secrets: number, bytes: number): boolean {
  return secrets * bytes <= maxSearchedBytes;
}

/** Some tenths of a second. */
const maxSearchedBytes = 64 * 8 * 1024 * 1024;

/** Most bodies: plain ASCII in which no secret's name occurs at all. Of JSON's escapes only `\\u` can spell a letter. */
function cannotHold(document: JsonDocument, secrets: Secrets): boolean {
  const { text, bytes } = document;
  if (text.length !== bytes.length || text.includes("\\u") || text.includes("%")) return false;
  const lower = text.toLowerCase();
  return !secrets.words.some((word) => lower.includes(word));
}

/** What an operation's `path` says about its `value`. */
interface Target {
  /** The path itself quotes a secret, as in `password eq "x"`. */
  readonly quotes: boolean;
  /** The value is a secret's. */
  readonly secret: boolean;
  /** The attribute names the value stands under. */
  readonly trail: readonly string[];
}

const unclearTarget: Target = { quotes: true, secret: true, trail: [] };

class Walk {
  readonly edits: JsonEdit[] = [];
  readonly labels = new Set<string>();
  /** Texts that were taken out. */
  readonly taken = new Set<string>();
  readonly #secrets: Secrets;
  readonly #text: string;

  constructor(secrets: Secrets, text: string) {
    this.#secrets = secrets;
    this.#text = text;
  }

  /** `trail`: the attribute names above this node, folded. `label`: the same for people. */
  visit(node: JsonNode, trail: readonly string[], label: string): void {
    switch (node.kind) {
      case "object":
        this.#visitObject(node, trail, label);
        return;
      case "array":
        for (const item of node.items) this.visit(item, trail, `${label}[]`);
        return;
      case "string":
        if (this.#isDocumentWithSecret(node.value)) this.#take(node, label);
        return;
      case "scalar":
        return;
    }
  }

  #visitObject(node: JsonNode & { kind: "object" }, trail: readonly string[], label: string): void {
    // Before any member is judged: `value` may stand before the `path` that makes it a secret.
    let target: Target | undefined;
    for (const member of node.members) {
      if (foldName(member.name) !== "path") continue;
      // Of two names that fold to it a reader may take either.
      target = target === undefined ? this.#targetOf(member.value) : unclearTarget;
    }
    for (const member of node.members) {
      const name = foldName(member.name);
      const here = label === "" ? safeLabel(member.name) : `${label}.${safeLabel(member.name)}`;
      if (target !== undefined && name === "path") {
        if (target.quotes) this.#take(member.value, here);
      } else if (target !== undefined && name === "value") {
        if (target.secret) this.#take(member.value, here);
        else this.visit(member.value, target.trail, here);
      } else {
        // A member's name may be a path with a filter, and then quote the secret itself.
        const quotes = quotesSecret(this.#secrets, member.name);
        const below = [...trail, ...pathTrail(member.name)];
        if (quotes) {
          this.edits.push({ ...spanOf(member.nameSpan), text: replacement });
          this.#noteText(member.name);
        }
        if (quotes || isSecret(this.#secrets, below, trail.length)) this.#take(member.value, here);
        else if (name === "data" && this.#isTextWithSecret(member.value)) this.#take(member.value, here);
        else if (below.at(-1) === "filter" && this.#mentions(member.value)) this.#take(member.value, here);
        else this.visit(member.value, below, here);
      }
    }
  }

  #targetOf(path: JsonNode): Target {
    if (path.kind !== "string") {
      // No SCIM path, but a lenient target might read one out of it.
      const secret = this.#mentions(path);
      return { quotes: secret, secret, trail: [] };
    }
    const quotes = quotesSecret(this.#secrets, path.value);
    const trail = pathTrail(path.value);
    return { quotes, secret: quotes || isSecret(this.#secrets, trail, 0), trail };
  }

  #mentions(node: JsonNode): boolean {
    if (node.kind === "string") return mentionsSecret(this.#secrets, node.value);
    if (node.kind === "array") return node.items.some((item) => this.#mentions(item));
    if (node.kind !== "object") return false;
    return node.members.some(
      (member) => mentionsSecret(this.#secrets, member.name) || this.#mentions(member.value),
    );
  }

  /** A string that holds a SCIM document of its own. Each nesting is shorter than what it stands in. */
  #isDocumentWithSecret(text: string): boolean {
    if (!/^\s*[{[]/.test(text)) return false;
    const inner = parseStrictJson(new TextEncoder().encode(text), { topLevel: "any" });
    if (!inner.ok) return this.#containsWord(text);
    const walk = new Walk(this.#secrets, inner.document.text);
    walk.visit(inner.document.root, [], "");
    return walk.edits.length > 0;
  }

  #isTextWithSecret(node: JsonNode): boolean {
    return node.kind === "string" && this.#containsWord(node.value);
  }

  #containsWord(text: string): boolean {
    // Text that does not parse may still spell a name with escapes.
    const plain = text.replace(/\\+u([0-9a-f]{4})/gi, (_, hex) =>
      String.fromCharCode(Number.parseInt(String(hex), 16)),
    );
    const folded = foldName(plain);
    return this.#secrets.words.some((word) => folded.includes(word));
  }

  #take(node: JsonNode, label: string): void {
    this.edits.push({ ...spanOf(node), text: replacement });
    this.labels.add(label.length > 128 ? "?" : label);
    this.#note(node);
  }

  #note(node: JsonNode): void {
    if (node.kind === "string") this.#noteText(node.value);
    else if (node.kind === "scalar") this.#noteNumber(node);
    else if (node.kind === "array") for (const item of node.items) this.#note(item);
    else if (node.kind === "object") for (const member of node.members) this.#note(member.value);
  }

  /** As it was written; `true`, `false` and `null` are too short to count. */
  #noteNumber({ start, end }: JsonSpan): void {
    this.#noteText(this.#text.slice(start, end));
  }

  /** The text and, for a path that quotes a secret, the literals in it. */
  #noteText(text: string): void {
    for (const secret of [text, ...[...text.matchAll(/"([^"\\]+)"/g)].map((match) => match[1] ?? "")]) {
      if (secret.length < minSecretLength) continue;
      this.taken.add(secret);
      this.taken.add(JSON.stringify(secret).slice(1, -1));
    }
  }
}

function spanOf(span: { readonly start: number; readonly end: number }): { start: number; end: number } {
  return { start: span.start, end: span.end };
}

/** Attribute names and schema URNs may be shown; any other name might be somebody's. */
function safeLabel(name: string): string {
  return /^(?:urn:[\w:.-]{1,96}|[A-Za-z$][\w.-]{0,63})$/i.test(name) ? name : "?";
}
