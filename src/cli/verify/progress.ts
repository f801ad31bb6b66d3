// A line on the terminal that says how far a long command is. Only on a terminal, on standard error, and erased at the
// end, so that the report stands alone.

const EVERY_MS = 100;
const WIDTH = 24;

export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #startedAt = performance.now();
  #shownAt = 0;
  #isShown = false;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
  }

  /** So many of `total` are done; a total of 0 is one that nobody knows. */
  show(done: number, total: number, what: string): void {
    const now = performance.now();
    if (this.#stream.isTTY !== true || now - this.#shownAt < EVERY_MS) return;
    this.#shownAt = now;
    this.#isShown = true;
    const rate = Math.round(done / Math.max(0.001, (now - this.#startedAt) / 1000));
    const filled = total > 0 ? Math.min(WIDTH, Math.floor((done / total) * WIDTH)) : 0;
    const bar = total > 0 ? `[${"#".repeat(filled)}${" ".repeat(WIDTH - filled)}] ` : "";
    this.#stream.write(`\r\u001b[K${bar}${done}${total > 0 ? ` of ${total}` : ""} ${what}, ${rate}/s`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#isShown) this.#stream.write("\r\u001b[K");
    this.#isShown = false;
  }
}
