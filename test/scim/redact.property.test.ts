// Canaries planted under a password of random shape, spelling and place are never found again.
import fc from "fast-check";
import { expect, test } from "vitest";
import { redact } from "../../src/scim/redact.ts";
import { coreUser, documentOf, textOf } from "./documents.ts";

const canary = "c4naryS3cret";
const none: readonly string[] = [];

/** `password` in random case. */
const word = fc
  .array(fc.boolean(), { minLength: 8, maxLength: 8 })
  .map((upper) => [..."password"].map((c, i) => (upper[i] ? c.toUpperCase() : c)).join(""));
const cased = (text: string): fc.Arbitrary<string> =>
  fc.constantFrom(text, text.toUpperCase(), text.toLowerCase(), text[0]?.toUpperCase() + text.slice(1));
const name = word.chain((w) => fc.constantFrom(w, `${coreUser}:${w}`, `user.${w}`, `${w}.value`));
const path = word.chain((w) =>
  fc.constantFrom(
    w,
    `${coreUser}:${w}`,
    `${w}.value`,
    ` ${w}`,
    `${w}[type eq "x"]`,
    `${w}[type eq "x"].value`,
  ),
);
const secret = fc.constantFrom<unknown>(canary, [canary], { value: canary }, [
  { value: canary, type: canary },
]);
const harmless = fc.dictionary(
  fc.constantFrom("userName", "title", "emails", "a", "é", "x y"),
  fc.oneof(fc.string(), fc.constantFrom<unknown>(1, null, true, [{ value: "v" }], { b: "c" })),
);

/** An object whose members stand in random order. */
function shuffled(entries: [string, unknown][]): fc.Arbitrary<Record<string, unknown>> {
  return fc.shuffledSubarray(entries, { minLength: entries.length }).map((all) => Object.fromEntries(all));
}

const member = fc
  .tuple(name, secret, harmless)
  .chain(([key, value, rest]) => shuffled([[key, value], ...Object.entries(rest)]));
const operation = fc
  .tuple(path, secret, cased("path"), cased("value"), cased("op"))
  .chain(([p, value, pathKey, valueKey, opKey]) =>
    shuffled([
      [opKey, "Replace"],
      [pathKey, p],
      [valueKey, value],
    ]),
  );
const pathless = fc.tuple(member, cased("value")).map(([value, key]) => ({ op: "add", [key]: value }));
const planted = fc.oneof(member, operation, pathless);
const wrapped = fc
  .tuple(
    planted,
    fc.array(fc.constantFrom("list", "object", "operations", "bulk", "text", "data"), { maxLength: 4 }),
  )
  .map(([inner, wraps]) =>
    wraps.reduce<unknown>((value, wrap) => {
      switch (wrap) {
        case "list":
          return { items: [1, value] };
        case "operations":
          return { schemas: ["x"], Operations: [{ op: "add", path: "title", value: "t" }, value] };
        case "bulk":
          return { Operations: [{ method: "POST", path: "/Users", bulkId: "q", data: value }] };
        case "text":
          return { note: JSON.stringify(value) };
        case "data":
          return { data: JSON.stringify(value) };
        default:
          return { outer: value };
      }
    }, inner),
  );

/** Writes some ASCII letters of the text's strings as escapes, as a client may. */
function escapeSome(json: string, every: number): string {
  if (every === 0) return json;
  let count = 0;
  return json.replace(/\\.|[a-z]/g, (found) => {
    if (found.startsWith("\\") || count++ % every !== 0) return found;
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

test("a planted canary never comes out, and the rest is JSON", () => {
  fc.assert(
    fc.property(wrapped, fc.nat(4), fc.constantFrom(undefined, 1), (value, every, indent) => {
      // true, false and null are words of the grammar, not strings: keep them out of the escaping.
      const json = JSON.stringify(value, (_, v) => (typeof v === "boolean" || v === null ? 0 : v), indent);
      const document = documentOf(escapeSome(json, every));
      const { bytes, redacted } = redact(document, none);
      const text = textOf(bytes);
      expect(() => JSON.parse(text)).not.toThrow();
      expect(JSON.stringify(JSON.parse(text)).replaceAll("\\", "")).not.toContain(canary);
      expect(redacted.length).toBeGreaterThan(0);
    }),
    { numRuns: 1500 },
  );
});

test("nothing to redact: the same buffer, also where every name was looked at", () => {
  fc.assert(
    fc.property(harmless, fc.nat(3), (value, every) => {
      const json = JSON.stringify(value, (_, v) => (typeof v === "boolean" || v === null ? 0 : v));
      const document = documentOf(escapeSome(json, every));
      expect(redact(document, none).bytes).toBe(document.bytes);
    }),
    { numRuns: 500 },
  );
});
