// JSON for people without reading it as JSON: numbers, escapes and doubled names stay as they were sent, since that is what
// was recorded. Linear in the length of the text. Pure.

/** JSON with line ends and spaces added outside of its strings, all else as it was: numbers and escapes stay what they are. */
export function prettify(text: string): string {
  if (!/^\s*[{[]/.test(text)) return text;
  const pieces: string[] = [];
  let depth = 0;
  let before = "";
  const breakLine = () => pieces.push(`\n${"  ".repeat(Math.min(depth, 64))}`);
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+|"/g)) {
    const isEnd = token === "}" || token === "]";
    if (isEnd) {
      depth = Math.max(0, depth - 1);
      if (before === "{" || before === "[") pieces.pop();
      else breakLine();
    }
    pieces.push(token === ":" ? ": " : token);
    if (token === "{" || token === "[") depth++;
    if (token === "{" || token === "[" || token === ",") breakLine();
    before = token;
  }
  return pieces.join("");
}
