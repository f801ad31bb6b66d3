// Takes secrets out of what the target says back: some quote a refused password in their error's text, or the
// credential they were called with on a page for debugging.
// What stands under a secret's own name is redaction's business (scim/redact); this is about everything else.
// Leaves out (see `unspokenSecrets`): what the client also sends in clear, such as a user name that is the password.

import { Transform, type TransformCallback } from "node:stream";
import { applyEdits, type JsonDocument, type JsonEdit, type JsonNode } from "../../scim/json.ts";

const HIDDEN = "[redacted]";
const HIDDEN_BYTES = Buffer.from(HIDDEN);
const ASTERISK = 0x2a;
/** A shorter secret can be part of an id or a name by chance; in such a place it is hidden only when it is all of it. */
const UNMISTAKABLE_LENGTH = 12;

/**
 * The secrets that do not stand in a request's redacted body all the same. One that does (a user name that is the
 * password) is no news there, and an answer without it would orphan the account at the identity provider.
 */
export function unspokenSecrets(secrets: readonly string[], redacted: Uint8Array): readonly string[] {
  if (secrets.length === 0) return secrets;
  const shown = Buffer.from(redacted.buffer, redacted.byteOffset, redacted.byteLength);
  return secrets.filter((secret) => !shown.includes(secret));
}

/** Whether a text quotes one of the secrets, as it is or percent-encoded. */
export function quotesAny(text: string, secrets: readonly string[]): boolean {
  return secrets.some(
    (secret) => text.includes(secret) || text.includes(encodeURIComponent(wellFormed(secret))),
  );
}

/**
 * Replaces secrets in a document's strings, however they are escaped there. In an error every text is searched, in
 * another answer every `detail` (Bulk has them) and, for secrets that nothing else contains by chance, all the rest.
 * Without a find the document's own buffer comes back. `areAllKnown`: false hides such texts whole, unsearched.
 */
export function scrubDocument(
  document: JsonDocument,
  secrets: readonly string[],
  isError: boolean,
  areAllKnown = true,
): Uint8Array {
  // Most answers: without an escape every string stands in the text as it is.
  const { text: plain } = document;
  const isClean = !plain.includes("\\") && !secrets.some((secret) => plain.includes(secret));
  if (areAllKnown && (secrets.length === 0 || isClean)) return document.bytes;
  const edits: JsonEdit[] = [];
  const hide = (node: { start: number; end: number }, text: string, isProse: boolean) => {
    const shown = isProse && !areAllKnown ? HIDDEN : hideIn(text, secrets, isProse);
    if (shown !== text) edits.push({ start: node.start, end: node.end, text: JSON.stringify(shown) });
  };
  const visit = (node: JsonNode, isProse: boolean): void => {
    if (node.kind === "string") hide(node, node.value, isProse && !/^urn:/i.test(node.value));
    else if (node.kind === "array") for (const item of node.items) visit(item, isProse);
    else if (node.kind === "object") {
      for (const { name, key, nameSpan, value } of node.members) {
        // An attribute's own name may be somebody's bad password; nobody answers with a password as a name.
        if (name.length >= UNMISTAKABLE_LENGTH) hide(nameSpan, name, false);
        visit(value, isProse || key === "detail");
      }
    }
  };
  visit(document.root, isError);
  return applyEdits(document, edits);
}

/**
 * Masks secrets in a stream, across its chunks. Each is replaced by as many asterisks, so that a declared length stays
 * true. Memory: less than the longest spelling of one.
 */
export class SecretMask extends Transform {
  readonly #needles: readonly Buffer[];
  readonly #overlap: number;
  #tail: Buffer = Buffer.alloc(0);

  constructor(secrets: readonly string[]) {
    super();
    this.#needles = spellings(secrets);
    this.#overlap = Math.max(1, ...this.#needles.map((needle) => needle.length)) - 1;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const bytes = Buffer.concat([this.#tail, chunk]);
    for (const needle of this.#needles) {
      for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + needle.length))
        bytes.fill(ASTERISK, at, at + needle.length);
    }
    // What could be the beginning of a secret waits for the next chunk.
    const safe = Math.max(0, bytes.length - this.#overlap);
    this.#tail = bytes.subarray(safe);
    if (safe > 0) this.push(bytes.subarray(0, safe));
    done();
  }

  override _flush(done: TransformCallback): void {
    if (this.#tail.length > 0) this.push(this.#tail);
    done();
  }
}

/** Replaces secrets in bytes of any other kind, in the spellings that pages and forms have. The same buffer if none. */
export function scrubBytes(bytes: Uint8Array, secrets: readonly string[]): Uint8Array {
  let clean: Buffer | undefined;
  for (const needle of spellings(secrets)) {
    const parts: Buffer[] = [];
    const from: Buffer = clean ?? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    for (let hit = from.indexOf(needle); hit >= 0; hit = from.indexOf(needle, at)) {
      parts.push(from.subarray(at, hit), HIDDEN_BYTES);
      at = hit + needle.length;
    }
    if (at > 0) clean = Buffer.concat([...parts, from.subarray(at)]);
  }
  return clean ?? bytes;
}

function hideIn(text: string, secrets: readonly string[], isProse: boolean): string {
  let shown = text;
  for (const secret of secrets) {
    if (shown === secret) return HIDDEN;
    if (!isProse && secret.length < UNMISTAKABLE_LENGTH) continue;
    // Hardly ever found, and looked for by the thousand after a large Bulk.
    if (secret.length < shown.length && shown.includes(secret)) shown = shown.replaceAll(secret, HIDDEN);
  }
  return shown;
}

/** Longest first, so that a spelling which holds another one goes as a whole. */
function spellings(secrets: readonly string[]): Buffer[] {
  const all = new Set<string>();
  for (const secret of secrets) {
    const whole = wellFormed(secret);
    const quoted = JSON.stringify(secret).slice(1, -1);
    const percent = encodeURIComponent(whole);
    for (const text of [
      secret,
      quoted,
      quoted.replaceAll("/", "\\/"),
      percent,
      percent.replaceAll("%20", "+"),
    ])
      all.add(text);
    for (const quote of ['"', "&quot;", "&#34;"]) {
      for (const apostrophe of ["'", "&#39;", "&#x27;", "&apos;"])
        all.add(escapeHtml(secret, quote, apostrophe));
    }
  }
  return [...all].sort((a, b) => b.length - a.length).map((text) => Buffer.from(text));
}

function escapeHtml(text: string, quote: string, apostrophe: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', quote)
    .replaceAll("'", apostrophe);
}

/** encodeURIComponent throws on a lone surrogate, which a JSON escape can spell. */
function wellFormed(text: string): string {
  return text.toWellFormed();
}
