/**
 * A secret in memory: a password, a token, a client secret, a database URL.
 *
 * It promises that printing, logging, serialising or inspecting it never shows the text, so that a careless
 * `log.info({ config })` leaks nothing (invariant I5). It does not wipe memory: JavaScript strings cannot be wiped.
 */

const HIDDEN = "[secret]";

/** A string that only `reveal()` shows. */
export class Secret {
  readonly #read: () => string;

  /** Wraps `text`; a function is called at each `reveal()` and may throw if the secret is not to be had. */
  constructor(text: string | (() => string)) {
    this.#read = typeof text === "string" ? () => text : text;
  }

  /** The text itself. Call it where the text is used, and keep the result in no object that lives on. */
  reveal(): string {
    return this.#read();
  }

  /** The text, or undefined where `reveal()` would throw. For checks that can wait. */
  peek(): string | undefined {
    try {
      return this.#read();
    } catch {
      return undefined;
    }
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return HIDDEN;
  }
}
