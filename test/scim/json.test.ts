// The strict parser against a corpus in JSONTestSuite's manner, and SCIM's own rules on top of the grammar.
import { describe, expect, test } from "vitest";
import { applyEdits, type JsonRefusal, memberOf, parseStrictJson } from "../../src/scim/json.ts";
import { documentOf, growth, textOf } from "./documents.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function codeOf(bytes: Uint8Array, topLevel: "any" | "object" = "any"): JsonRefusal["code"] | "accepted" {
  const result = parseStrictJson(bytes, { topLevel });
  return result.ok ? "accepted" : result.refusal.code;
}

describe("grammar: must be accepted", () => {
  test.each([
    "{}",
    "[]",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1e1",
    "1E+2",
    "1e-2",
    "1.5e300",
    "1e400",
    "123456789012345678901234567890",
    "0.1",
    '""',
    '"a"',
    '" "',
    '"\\""',
    '"\\\\"',
    '"\\/\\b\\f\\n\\r\\t"',
    '"\\u0000"',
    '"\\u00e9"',
    '"\\uD83D\\uDE00"',
    '"\\uD800"',
    '"\\uDC00\\uD800"',
    '"\u2028\u2029"',
    '"\u007f"',
    '"é😀"',
    '"\uFEFF"',
    " {} ",
    "\t\r\n []\n",
    '{"":0}',
    '{"a":{}}',
    '{"a":[],"b":[[]]}',
    "[1,2,3]",
    "[[],{}]",
    '{"a":null,"b":true,"c":false,"d":-1.5E-3}',
    '[{"a":1},{"a":2}]',
    '{"__proto__":1,"constructor":2,"toString":3}',
    '{"a\\u0000b":1}',
    '{"a":"\\\\"}',
    '["\\\\\\"]"]',
    '[ 1 , "," , "]" ]',
    '{ "a" : "}" , "b" : "{" }',
  ])("y %j", (text) => {
    expect(codeOf(bytesOf(text))).toBe("accepted");
    const document = documentOf(text);
    expect(document.value).toEqual(JSON.parse(text));
    // The tree covers the text exactly, less the white space around it.
    expect(text.slice(document.root.start, document.root.end)).toBe(text.trim());
  });
});

describe("grammar: must be refused", () => {
  test.each([
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "{]",
    "[}",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1 2]",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{,"a":1}',
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{"a":1}}',
    "{}{}",
    "{} x",
    "nul",
    "True",
    "NaN",
    "Infinity",
    "-",
    "+1",
    "01",
    "-01",
    "1.",
    ".1",
    "1e",
    "1e+",
    "0x10",
    "1_000",
    "１",
    '"',
    '"a',
    '"\\"',
    '"\\x"',
    '"\\u12"',
    '"\\u12G4"',
    '"\\U0041"',
    '"\t"',
    '"\n"',
    '"\u0000"',
    "'a'",
    "/* */{}",
    "{}//",
    "#{}",
    "[1]\u0000",
    "\u00a0{}",
    "\u000b[]",
    "\u000c[]",
    "\u2028[]",
    "[\u0000]",
    "{}\uFEFF",
    "undefined",
    '["a\\',
    '{"a":"b}',
  ])("n %j", (text) => {
    expect(codeOf(bytesOf(text))).toBe("invalid_json");
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
  });
});

describe("encoding", () => {
  test.each<[string, number[]]>([
    ["a lone continuation byte", [0x22, 0x80, 0x22]],
    ["an overlong slash", [0x22, 0xc0, 0xaf, 0x22]],
    ["an overlong NUL", [0x22, 0xe0, 0x80, 0x80, 0x22]],
    ["a surrogate in UTF-8", [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ["beyond U+10FFFF", [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]],
    ["a cut-off sequence", [0x22, 0xc3, 0x22]],
    ["a cut-off sequence at the end", [0x22, 0xf0, 0x9f]],
    ["Latin-1", [0x22, 0xe9, 0x22]],
    ["UTF-16 little endian with mark", [0xff, 0xfe, 0x7b, 0, 0x7d, 0]],
    ["UTF-16 big endian with mark", [0xfe, 0xff, 0, 0x7b, 0, 0x7d]],
  ])("%s is refused", (_, bytes) => {
    expect(codeOf(Uint8Array.from(bytes))).toBe("invalid_utf8");
  });

  test("a byte order mark is refused, UTF-16 without one is no JSON", () => {
    expect(codeOf(Uint8Array.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]))).toBe("byte_order_mark");
    expect(codeOf(Uint8Array.from([0x7b, 0, 0x7d, 0]))).toBe("invalid_json");
  });
});

describe("SCIM's rules", () => {
  test.each([
    '{"active":true,"active":false}',
    '{"active":true,"Active":false}',
    '{"active":true,"\\u0061ctive":false}',
    '{"a":{"b":[{"c":1,"C":2}]}}',
    '{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"B":11}',
    '{"__proto__":1,"__PROTO__":2}',
    '{"É":1,"é":2}',
    '{"":1,"":2}',
  ])("the same name twice is refused: %s", (text) => {
    expect(codeOf(bytesOf(text))).toBe("duplicate_key");
  });

  test("names alike in other objects, or in value, are no duplicates", () => {
    expect(codeOf(bytesOf('{"a":{"a":[{"a":"a"},{"a":"a"}]},"b":"a"}'))).toBe("accepted");
  });

  test("depth: 64 levels pass, 65 do not, and brackets in strings are no levels", () => {
    const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
    expect(codeOf(bytesOf(nested(64)))).toBe("accepted");
    expect(codeOf(bytesOf(nested(65)))).toBe("too_deep");
    expect(codeOf(bytesOf("[".repeat(1_000_000)))).toBe("too_deep");
    expect(codeOf(bytesOf(JSON.stringify({ a: `"\\${"[".repeat(500)}` })))).toBe("accepted");
    expect(parseStrictJson(bytesOf("[[1]]"), { maxDepth: 1, topLevel: "any" }).ok).toBe(false);
  });

  test.each(["null", "[]", "1", '"x"', "true"])("a request body must be an object: %s", (text) => {
    expect(codeOf(bytesOf(text), "object")).toBe("not_an_object");
    expect(codeOf(bytesOf(text), "any")).toBe("accepted");
  });

  test("a refusal tells the place in bytes and quotes nothing", () => {
    const result = parseStrictJson(bytesOf('{"é":1,"secretName":2,"SECRETNAME":3}'));
    expect(result).toMatchObject({ ok: false, refusal: { code: "duplicate_key", offset: 23 } });
    expect(JSON.stringify(result)).not.toMatch(/secretname/i);
    for (const text of ['{"pin": hunter2}', '{"pin":"hunter2" "x"}', '{"hunter2']) {
      const refused = parseStrictJson(bytesOf(text));
      expect(refused.ok).toBe(false);
      expect(JSON.stringify(refused)).not.toContain("hunter2");
    }
    expect(parseStrictJson(bytesOf('{"a":1 "b":2}'))).toMatchObject({ refusal: { offset: 7 } });
  });

  test("__proto__ and constructor are names like any other", () => {
    const document = documentOf(
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
    );
    expect(Reflect.get({}, "polluted")).toBeUndefined();
    expect(memberOf(memberOf(document.root, "__proto__"), "polluted")).toMatchObject({ value: true });
    expect(memberOf(documentOf("{}").root, "constructor")).toBeUndefined();
  });
});

describe("positions", () => {
  test("every value's span is its text, whatever stands before it", () => {
    const text = '{ "é😀" : "\\ud83d\\ude00\\"", "n":[ -1.5e3 ,true,{"x" :null} ] }';
    const { root } = documentOf(text);
    const slice = (node: { start: number; end: number } | undefined): string =>
      node === undefined ? "" : text.slice(node.start, node.end);
    expect(slice(memberOf(root, "é😀"))).toBe('"\\ud83d\\ude00\\""');
    expect(memberOf(root, "é😀")).toMatchObject({ value: '😀"' });
    const list = memberOf(root, "n");
    expect(list?.kind === "array" ? list.items.map(slice) : []).toEqual(["-1.5e3", "true", '{"x" :null}']);
  });

  test("edits replace their spans only; none leave the same buffer", () => {
    const document = documentOf('{"é":"x","😀": 1e400 }');
    const target = memberOf(document.root, "é");
    expect(applyEdits(document, [])).toBe(document.bytes);
    const edited = applyEdits(document, [{ start: target?.start ?? 0, end: target?.end ?? 0, text: '"yy"' }]);
    expect(textOf(edited)).toBe('{"é":"yy","😀": 1e400 }');
  });
});

describe("time grows with size and no faster", () => {
  const parse = (text: string) => {
    const bytes = bytesOf(text);
    return () => void parseStrictJson(bytes, { topLevel: "any" });
  };
  test.each<[string, (n: number) => string]>([
    ["many names in one object", (n) => `{${Array.from({ length: n }, (_, i) => `"n${i}":1`).join(",")}}`],
    ["many small objects", (n) => `[${'{"a":{"b":1}},'.repeat(n)}1]`],
    ["an escape far behind many strings", (n) => `[${'"abc",'.repeat(n * 16)}"\\n"]`],
    ["many escapes", (n) => `["${'\\"\\u0041'.repeat(n)}"]`],
    ["deep nesting", (n) => `["${"[".repeat(n * 8)}",${"[".repeat(n * 8)}`],
    ["deep nesting, again and again", (n) => `[${`${"[".repeat(50)}${"]".repeat(50)},`.repeat(n / 16)}1]`],
  ])("%s", (_, textOfSize) => {
    expect(growth(2_000, (size) => parse(textOfSize(size)))).toBeLessThan(1.6);
  });
});
