// The catalogue as data: nothing real in it, nothing left unfilled, every body what its provider would call JSON.

import { describe, expect, test } from "vitest";
import { idpShapes } from "../../src/demo/day.ts";
import { fillShape } from "../../src/demo/shape.ts";

describe("the catalogue", () => {
  test("names every shape once and covers every provider", () => {
    const names = idpShapes.map((shape) => shape.name);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(idpShapes.map((shape) => shape.idp))).toEqual(
      new Set(["Okta", "Entra", "authentik", "JumpCloud", "OneLogin", "SailPoint", "Ping", "SCIM"]),
    );
  });

  test.each(idpShapes.map((shape) => [shape.name, shape] as const))(
    "%s is sendable and invented",
    (_name, shape) => {
      const filled = fillShape(shape, {
        id: "u-1",
        groupId: "g-1",
        otherId: "u-2",
        password: "canary",
        run: "7",
      });
      const text = `${filled.target} ${filled.body?.toString("utf8") ?? ""}`;
      expect(text).not.toMatch(/\{(id|groupId|otherId|password|run)\}/);
      // A raw space or control byte would end the request line.
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(filled.target).not.toMatch(/[\x00-\x20]/);
      if (filled.body !== undefined) JSON.parse(filled.body.toString("utf8"));
      for (const [address] of text.matchAll(/[\w.ë]+(?:@|%40)[\w.]+/g))
        expect(address).toMatch(/example\.com$/);
      expect(filled.body === undefined).toBe(shape.method === "GET" || shape.method === "DELETE");
    },
  );

  test("passwords exist as placeholders only", () => {
    const withPassword = idpShapes.filter((shape) => /password/i.test(shape.body ?? ""));
    expect(withPassword.length).toBeGreaterThanOrEqual(10);
    for (const shape of withPassword) expect(shape.body).toContain('"{password}"');
  });

  test("a shape can be sent without any value given", () => {
    for (const shape of idpShapes) expect(fillShape(shape).target).not.toContain("{");
  });
});
