// The text rules that signed notes, checkpoints and proof files share (C2SP signed-note, "Format"): valid UTF-8, no
// ASCII control character but the newline, numbers in plain decimal. Pure.

/** Text of UTF-8 bytes or of a string, whole and well-formed; undefined if it is not or takes more than `maxBytes`. */
export function readUtf8(input: string | Uint8Array, maxBytes: number): string | undefined {
  if (input.length > maxBytes) return undefined;
  if (typeof input === "string") {
    const isShort = new TextEncoder().encode(input).length <= maxBytes;
    return isShort && input.isWellFormed() ? input : undefined;
  }
  try {
    // ignoreBOM keeps a mark at the start: it is part of what was signed.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(input);
  } catch (cause) {
    // This is how the decoder says that the bytes are no UTF-8.
    if (cause instanceof TypeError) return undefined;
    throw cause;
  }
}

/** Whether a note can have this text: lines, each ended by a newline. */
export function isNoteText(text: string): boolean {
  return text.endsWith("\n") && text.split("\n").every(isPlain);
}

/** Whether a note can have this line, without its newline: not empty. */
export function isNoteLine(line: string): boolean {
  return line !== "" && isPlain(line);
}

/** A number without sign, leading zero or exponent, up to 2^53 - 1; undefined for anything else. */
export function parseDecimal(text: string): number | undefined {
  const value = /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

function isPlain(line: string): boolean {
  for (let i = 0; i < line.length; i++) if (line.charCodeAt(i) < 0x20) return false;
  return line.isWellFormed();
}
