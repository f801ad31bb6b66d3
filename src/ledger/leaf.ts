// Leaves: formatting, parsing and checking compact JWS entries (RFC 7515 §7.1, RFC 8037). Parsing is strict: only the
// header this format defines, canonical base64url, no extra part. A parsed leaf is *not* a verified one: the types
// are apart, so a caller cannot mistake one for the other.

import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import { type Entry, FORMAT_VERSION, LEAF_TYP, MAX_LEAF_BYTES } from "./entry.ts";

export { type VerifySignature, verifySignature } from "./ed25519.ts";

/** Bytes → base64url; injectable because it stands on the hot path. */
export type Base64urlEncoder = (bytes: Uint8Array) => string;

/** base64url → bytes with the contract of `decodeBase64url`; injectable for the same reason. */
export type Base64urlDecoder = (text: string) => Uint8Array | undefined;

export interface ParsedLeaf {
  /** The exact bytes of the leaf. */
  bytes: Uint8Array;
  kid: string;
  /** ASCII bytes that the signature covers. */
  signingInput: Uint8Array;
  signature: Uint8Array;
  /** What the leaf claims; unverified. */
  claims: Entry;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

let lastHeader = { kid: "", text: "" };

/** The protected header for a key, base64url. The last one is kept: a writer asks for the same one each time. */
export function formatHeader(kid: string): string {
  if (lastHeader.kid !== kid || lastHeader.text === "") {
    const json = JSON.stringify({ alg: "EdDSA", kid, typ: LEAF_TYP });
    lastHeader = { kid, text: encodeBase64url(encoder.encode(json)) };
  }
  return lastHeader.text;
}

/** `header.payload` as text: what gets signed. */
export function formatSigningInput(
  header: string,
  entry: Entry,
  encode: Base64urlEncoder = encodeBase64url,
): string {
  return `${header}.${encode(encoder.encode(JSON.stringify(entry)))}`;
}

/** Reads a leaf; a string names what is wrong with it. The signature is not checked here. */
export function parseLeaf(leaf: string, decode: Base64urlDecoder = decodeBase64url): ParsedLeaf | string {
  if (leaf.length > MAX_LEAF_BYTES) return `longer than ${MAX_LEAF_BYTES} bytes`;
  const parts = leaf.split(".");
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || !header || !payload || !signature) return "not a compact JWS of three parts";
  const payloadBytes = decode(payload);
  const signatureBytes = decode(signature);
  if (!payloadBytes || !signatureBytes) return "not canonical base64url";
  if (signatureBytes.length !== 64) return "the signature is not 64 bytes";
  const kid = parseHeader(header);
  if (kid === undefined) return "the header is not this format's";
  let claims: unknown;
  try {
    claims = JSON.parse(decoder.decode(payloadBytes));
  } catch (cause) {
    return `not UTF-8 JSON: ${cause instanceof Error ? cause.name : "unreadable"}`;
  }
  if (!isEntry(claims)) return "the payload is not an entry of this format";
  const bytes = encoder.encode(leaf);
  return {
    bytes,
    kid,
    signingInput: bytes.subarray(0, header.length + 1 + payload.length),
    signature: signatureBytes,
    claims,
  };
}

/** The `kid` of a protected header. Re-format and compare: only the one spelling that this format has is accepted. */
function parseHeader(header: string): string | undefined {
  if (header === lastHeader.text) return lastHeader.kid;
  const bytes = decodeBase64url(header);
  if (!bytes) return undefined;
  try {
    const kid: unknown = (JSON.parse(decoder.decode(bytes)) as { kid?: unknown } | null)?.kid;
    return typeof kid === "string" && formatHeader(kid) === header ? kid : undefined;
  } catch {
    // Not UTF-8, or not JSON: no header of ours.
    return undefined;
  }
}

/**
 * Everything that code here and above reads without looking twice must have its type; more than that is for the
 * verifier to judge. A leaf is read before it is verified, so this is what keeps a forged one from throwing.
 */
function isEntry(value: unknown): value is Entry {
  if (!isRecord(value)) return false;
  const { v, log, seq, prev, id, time, instance, attachments } = value;
  const isFramed = v === FORMAT_VERSION && isCount(seq) && areTexts(log, prev, id, time, instance);
  return isFramed && Array.isArray(attachments) && attachments.every(isAttachmentRef) && isBody(value);
}

function isBody({ type, txn, connector, ...rest }: Record<string, unknown>): boolean {
  if (type === "event") return isRecord(rest.event) && areTexts(rest.event.name);
  if (!areTexts(txn, connector)) return false;
  switch (type) {
    case "request":
      return isRecord(rest.actor) && isRecord(rest.http) && isRecord(rest.scim);
    case "response":
      return isCount(rest.requestSeq) && areTexts(rest.outcome);
    case "refusal":
      return isRecord(rest.actor) && isRecord(rest.http) && isRecord(rest.refusal);
    default:
      return false;
  }
}

function isAttachmentRef(value: unknown): boolean {
  return isRecord(value) && areTexts(value.name, value.mediaType, value.commitment) && isCount(value.size);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function areTexts(...values: unknown[]): boolean {
  return values.every((value) => typeof value === "string");
}
