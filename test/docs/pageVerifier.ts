// A second verifier, written from docs/FORMAT.md alone: it shares no line with src/ledger. If the two ever disagree,
// the page is wrong or the product is. Step numbers are those of section 9. Leaves out what only another library can
// test: keys of small order, which node:crypto accepts.

import { createHash, createPublicKey, verify } from "node:crypto";

export interface PageRow {
  seq: number;
  leaf: string;
  attachments?: readonly { name: string; salt: string; text: string }[];
}

export interface PageFinding {
  seq: number;
  code: string;
}

type Payload = Record<string, unknown>;

const sha256 = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("base64url");
};

/** Section 3. */
export function leafHashOf(leaf: string): string {
  return sha256(new Uint8Array([0]), leaf);
}

/** Section 7. */
export function commitmentOf(salt: string, text: string): string {
  return sha256(Buffer.from(salt, "base64url"), text);
}

/** Section 2: RFC 7638. */
export function thumbprintOf(x: string): string {
  return sha256(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`);
}

/** Section 9. `pinned` are the `x` of public keys. */
export function verifyByThePage(
  rows: readonly PageRow[],
  origin: string,
  pinned: readonly string[],
): PageFinding[] {
  const findings: PageFinding[] = [];
  const open = new Map<unknown, number>();
  let next = 0;
  let previous: string | undefined = Buffer.alloc(32).toString("base64url");
  let previousBad = false;
  let current: string | undefined;

  for (const row of rows) {
    const find = (seq: number, code: string) => findings.push({ seq, code });
    for (; next < row.seq; next++) {
      find(next, "missing"); // 1
      previous = undefined;
      previousBad = true;
    }
    if (row.seq < next) {
      find(row.seq, "seq_mismatch"); // 2
      continue;
    }
    const before = findings.length;
    checkRow(row, (code) => find(row.seq, code));
    previous = leafHashOf(row.leaf); // 10
    previousBad = findings.length > before;
    next = row.seq + 1;
  }
  if (next === 0) findings.push({ seq: 0, code: "ledger_empty" });
  return findings;

  function checkRow({ seq, leaf, attachments }: PageRow, find: (code: string) => void): void {
    const read = readLeaf(leaf);
    if (!read) {
      find("malformed"); // 3
      return;
    }
    const { kid, payload } = read;
    const x = (current === undefined ? pinned : [current]).find((one) => thumbprintOf(one) === kid); // 4
    if (x === undefined || !isSignedBy(leaf, x)) {
      find(x === undefined ? "key_not_trusted" : "signature_invalid");
      return;
    }
    current = x;
    if (payload.seq !== seq) find("seq_mismatch"); // 5
    if (payload.log !== origin) find("origin_mismatch"); // 6
    if (previous !== undefined && !previousBad && payload.prev !== previous) find("link_broken"); // 7
    if (attachments) for (const code of checkAttachments(payload, attachments)) find(code); // 8
    followTransaction(payload, seq, find); // 9
    const { name, jwk } = (payload.event ?? {}) as {
      name?: string;
      jwk?: { kty?: string; crv?: string; x?: string };
    };
    if (payload.type === "event" && name === "key-rotated" && jwk?.kty === "OKP" && jwk.crv === "Ed25519") {
      current = jwk.x ?? current;
    }
  }

  function followTransaction(payload: Payload, seq: number, find: (code: string) => void): void {
    if (payload.type === "request") {
      if (open.has(payload.txn)) find("outcome_duplicate");
      open.set(payload.txn, seq);
    } else if (payload.type === "response") {
      if (open.get(payload.txn) !== payload.requestSeq) find("outcome_orphan");
      open.delete(payload.txn);
    }
  }
}

function readLeaf(leaf: string): { kid: string; payload: Payload } | undefined {
  const parts = leaf.split(".");
  const [header = "", body = "", signature = ""] = parts;
  if (leaf.length > 65_535 || parts.length !== 3 || parts.includes("")) return undefined;
  if (parts.some((part) => Buffer.from(part, "base64url").toString("base64url") !== part)) return undefined;
  if (Buffer.from(signature, "base64url").length !== 64) return undefined;
  try {
    const { kid } = JSON.parse(Buffer.from(header, "base64url").toString()) as { kid: string };
    const expected = JSON.stringify({ alg: "EdDSA", kid, typ: "scimseal+jws" });
    if (Buffer.from(header, "base64url").toString() !== expected) return undefined;
    const payload = JSON.parse(Buffer.from(body, "base64url").toString()) as Payload;
    return isEntry(payload) ? { kid, payload } : undefined;
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

function isEntry(payload: Payload): boolean {
  return (
    payload.v === 1 &&
    Number.isSafeInteger(payload.seq) &&
    ["log", "prev", "id", "time", "instance"].every((name) => typeof payload[name] === "string") &&
    ["request", "response", "refusal", "event"].includes(String(payload.type)) &&
    Array.isArray(payload.attachments)
  );
}

function isSignedBy(leaf: string, x: string): boolean {
  const dot = leaf.lastIndexOf(".");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return verify(null, Buffer.from(leaf.slice(0, dot)), key, Buffer.from(leaf.slice(dot + 1), "base64url"));
}

function checkAttachments(payload: Payload, stored: NonNullable<PageRow["attachments"]>): string[] {
  const items = payload.attachments as { name: string; commitment: string }[];
  const codes = items.flatMap(({ name, commitment }) => {
    const one = stored.find((attachment) => attachment.name === name);
    if (!one) return ["attachment_missing"];
    return commitmentOf(one.salt, one.text) === commitment ? [] : ["attachment_mismatch"];
  });
  const planted = stored.filter(({ name }) => !items.some((item) => item.name === name));
  return [...codes, ...planted.map(() => "attachment_unknown")];
}
