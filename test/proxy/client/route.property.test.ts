// Whatever is accepted means the same to every parser: to us, to WHATWG's URL, and to a target that decodes first.

import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRoute, type Route } from "../../../src/proxy/client/route.ts";
import { Refusal } from "../../../src/proxy/refusal.ts";

function route(target: string): Route | undefined {
  try {
    return parseRoute(target);
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

const piece = fc.oneof(
  fc.constantFrom(
    "/",
    "//",
    ".",
    "..",
    "%2e",
    "%2F",
    "%25",
    "%",
    ";",
    "\\",
    "?",
    "#",
    "%00",
    "%c3%a4",
    "~",
    "@",
    ":",
  ),
  fc.string({ maxLength: 4, unit: "binary-ascii" }),
  fc.string({ maxLength: 4, unit: fc.constantFrom(..."abc019-_%2eF") }),
);
const target = fc.array(piece, { maxLength: 8 }).map((pieces) => `/okta/scim/v2/${pieces.join("")}`);

test("a URL parser that normalises finds nothing to change in an accepted path", () => {
  fc.assert(
    fc.property(target, (text) => {
      const found = route(text);
      if (!found) return;
      const url = new URL(text, "http://target.example");
      expect(url.host).toBe("target.example");
      expect(url.pathname).toBe(`/okta/scim/v2${found.resourcePath}`);
    }),
    { numRuns: 2000 },
  );
});

test("decoding an accepted path, once or twice, makes no new segment and climbs nowhere", () => {
  fc.assert(
    fc.property(target, (text) => {
      const found = route(text);
      if (!found) return;
      const segments = found.resourcePath.split("/").length;
      const once = decodeURIComponent(found.resourcePath);
      const twice = once.replace(/%[0-9a-f]{2}/gi, (code) => decodeURIComponent(code));
      for (const decoded of [once, twice]) {
        expect(decoded.split(/[/\\]/).length).toBe(segments);
        expect(decoded.split("/").filter((segment) => segment === "." || segment === "..")).toEqual([]);
      }
    }),
    { numRuns: 2000 },
  );
});

test("path and query together are the bytes that came", () => {
  fc.assert(
    fc.property(target, (text) => {
      const found = route(text);
      if (!found) return;
      const again = `/okta/scim/v2${found.resourcePath}${found.query === undefined ? "" : `?${found.query}`}`;
      expect(again).toBe(text);
    }),
    { numRuns: 2000 },
  );
});
