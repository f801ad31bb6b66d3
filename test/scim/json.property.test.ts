// The strict parser and JSON.parse agree on every text, but for SCIM's own rules.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type JsonNode, parseStrictJson } from "../../src/scim/json.ts";
import { textOf } from "./documents.ts";

/** What `JSON.parse` would have made of the tree; null-prototype objects, so that any name is just a name. */
function plainValueOf(node: JsonNode): unknown {
  if (node.kind === "array") return node.items.map(plainValueOf);
  if (node.kind !== "object") return node.value;
  const entries = node.members.map((member) => [member.name, plainValueOf(member.value)]);
  return Object.fromEntries(entries);
}

test("the tree says what JSON.parse says, and the text is the bytes", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom(undefined, 1, "\t"), (json, indent) => {
      const text = JSON.stringify(JSON.parse(json), null, indent);
      const bytes = new TextEncoder().encode(text);
      const result = parseStrictJson(bytes, { topLevel: "any" });
      if (!result.ok) {
        expect(result.refusal.code).toBe("duplicate_key");
        return;
      }
      expect(plainValueOf(result.document.root)).toEqual(JSON.parse(text));
      expect(result.document.text).toBe(textOf(bytes));
    }),
    { numRuns: 500 },
  );
});

test("mutated text is accepted only if JSON.parse accepts it", () => {
  const mutation = fc.record({
    json: fc.json({ maxDepth: 4 }),
    at: fc.nat(400),
    insert: fc.constantFrom(
      "",
      ",",
      '"',
      "\\",
      "}",
      "]",
      "{",
      "[",
      ":",
      "0",
      "e",
      "-",
      " ",
      "\u0000",
      "\ufeff",
    ),
    drop: fc.nat(2),
  });
  fc.assert(
    fc.property(mutation, ({ json, at, insert, drop }) => {
      const place = at % (json.length + 1);
      const text = (json.slice(0, place) + insert + json.slice(place + drop)).toWellFormed();
      const result = parseStrictJson(new TextEncoder().encode(text), { topLevel: "any" });
      let grammatical = true;
      try {
        JSON.parse(text);
      } catch {
        // The comparison is what this is for.
        grammatical = false;
      }
      if (result.ok) expect(grammatical).toBe(true);
      else if (grammatical) expect(["duplicate_key", "byte_order_mark"]).toContain(result.refusal.code);
    }),
    { numRuns: 2000 },
  );
});

test("any bytes get an answer", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const result = parseStrictJson(bytes);
      expect(result.ok || result.refusal.detail.length > 0).toBe(true);
    }),
    { numRuns: 1000 },
  );
});
