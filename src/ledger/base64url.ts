// base64url without padding (RFC 4648 §5, RFC 7515 §2). Strict: decoding accepts only the one canonical spelling,
// so that two different texts can never stand for the same bytes. Pure; a server may pass a faster encoder where
// speed matters (see EntryCodec), held to the same vectors.

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** Above every value of a character. */
const BAD = 64;
const VALUE_OF = new Uint8Array(128).fill(BAD);
for (let i = 0; i < ALPHABET.length; i++) VALUE_OF[ALPHABET.charCodeAt(i)] = i;

/** Encodes bytes as base64url without padding. */
export function encodeBase64url(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const a = bytes[i] ?? 0;
    const b = bytes[i + 1] ?? 0;
    const c = bytes[i + 2] ?? 0;
    text += ALPHABET.charAt(a >> 2) + ALPHABET.charAt(((a & 3) << 4) | (b >> 4));
    if (i + 1 < bytes.length) text += ALPHABET.charAt(((b & 15) << 2) | (c >> 6));
    if (i + 2 < bytes.length) text += ALPHABET.charAt(c & 63);
  }
  return text;
}

/** Decodes canonical base64url; undefined for anything else (padding, other characters, stray trailing bits). */
export function decodeBase64url(text: string): Uint8Array | undefined {
  const { length } = text;
  const remainder = length % 4;
  if (remainder === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  const whole = length - remainder;
  let at = 0;
  // Bad characters have a value with bits that no good one has; they are looked for once, at the end.
  let seen = 0;
  for (let i = 0; i < whole; i += 4) {
    const a = valueAt(text, i);
    const b = valueAt(text, i + 1);
    const c = valueAt(text, i + 2);
    const d = valueAt(text, i + 3);
    seen |= a | b | c | d;
    bytes[at++] = (a << 2) | (b >> 4);
    bytes[at++] = (b << 4) | (c >> 2);
    bytes[at++] = (c << 6) | d;
  }
  if (remainder > 0) {
    const a = valueAt(text, whole);
    const b = valueAt(text, whole + 1);
    const c = remainder === 3 ? valueAt(text, whole + 2) : 0;
    // The last character's unused bits must be zero, or two texts would stand for the same bytes.
    seen |= a | b | c | ((remainder === 3 ? c & 3 : b & 15) === 0 ? 0 : BAD);
    bytes[at++] = (a << 2) | (b >> 4);
    if (remainder === 3) bytes[at++] = (b << 4) | (c >> 2);
  }
  return seen < BAD ? bytes : undefined;
}

function valueAt(text: string, at: number): number {
  return VALUE_OF[text.charCodeAt(at)] ?? BAD;
}
