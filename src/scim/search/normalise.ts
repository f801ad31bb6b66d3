// The form in which names are compared: what people take for the same name is the same text. Compatibility forms
// become plain (Unicode NFKC), case goes, and white space around it.
// Leaves out: accents, which tell names apart, and locale: the same text on every machine.

/** NFKC, lower case (a final sigma as any other), trimmed. Total: lone surrogates become U+FFFD. */
export function normalise(text: string): string {
  // Plain ASCII, as most are, is in every normal form already.
  if (/^[\x20-\x7e]*$/.test(text)) return text.toLowerCase().trim();
  // Lower case may take a text out of the normal form again (U+0130 does), so it is taken twice.
  const folded = text.toWellFormed().normalize("NFKC").toLowerCase().normalize("NFKC").trim();
  // The one letter whose lower case depends on what follows: a part of a name must look as it does in the whole.
  return folded.replaceAll("ς", "σ");
}

/**
 * Where a starts-with may begin in a normalised value, ascending: at its start, after white space, at each run of
 * letters and digits, and behind the `@` of an address. Offsets are UTF-16.
 */
export function wordStarts(value: string): number[] {
  const starts: number[] = [];
  let wasWord = false;
  let wasBreak = true;
  for (let at = 0; at < value.length; ) {
    const point = value.codePointAt(at) ?? 0;
    const isWord = isWordPoint(point);
    if (wasBreak ? !isSpace(point) : isWord && !wasWord) starts.push(at);
    wasWord = isWord;
    wasBreak = isSpace(point) || point === AT_SIGN;
    at += point > 0xffff ? 2 : 1;
  }
  return starts;
}

/** Whether a normalised value, one of its words, or a part of an address begins with the normalised text. */
export function hasWordStart(value: string, text: string): boolean {
  // Without the first look a long value would be walked for every one that does not hold the text at all.
  return value.includes(text) && wordStarts(value).some((start) => value.startsWith(text, start));
}

const AT_SIGN = 0x40;

function isWordPoint(point: number): boolean {
  if (point < 0x80) return (point >= 0x61 && point <= 0x7a) || (point >= 0x30 && point <= 0x39);
  return /[\p{L}\p{N}\p{M}]/u.test(String.fromCodePoint(point));
}

function isSpace(point: number): boolean {
  return (
    point === 0x20 ||
    (point >= 0x09 && point <= 0x0d) ||
    (point > 0x7f && /\s/u.test(String.fromCodePoint(point)))
  );
}
