// Standard base64 with padding (RFC 4648 §4), as signed notes, checkpoints and tlog-proof files spell it. Strict:
// decoding accepts only the one canonical spelling (atob and Buffer both accept more). The bits are base64url.ts's
// work; only the two letters and the padding differ. Pure.

import { decodeBase64url, encodeBase64url } from "./base64url.ts";

/** Encodes bytes as padded base64. */
export function encodeBase64(bytes: Uint8Array): string {
  const text = encodeBase64url(bytes).replaceAll("-", "+").replaceAll("_", "/");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/** Decodes canonical base64; undefined for anything else (no or wrong padding, other characters, stray bits). */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.slice(0, text.length - padding);
  return decodeBase64url(digits.replaceAll("+", "-").replaceAll("/", "_"));
}
