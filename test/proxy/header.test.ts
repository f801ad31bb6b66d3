// Headers that cross, in both directions, and media types.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isScimMediaType, mediaTypeOf, requestHeaders, responseHeaders } from "../../src/proxy/header.ts";

const client = { address: "203.0.113.9", protocol: "https", host: "proxy.example" } as const;
const own = {
  "x-forwarded-for": "203.0.113.9",
  "x-forwarded-host": "proxy.example",
  "x-forwarded-proto": "https",
  "accept-encoding": "identity",
};

describe("requestHeaders", () => {
  test("only what is listed crosses, beside the proxy's own word", () => {
    const received = {
      accept: "*/*",
      authorization: "Bearer secret",
      cookie: "a=b",
      "content-length": "2",
      "transfer-encoding": "chunked",
      "if-match": '"1"',
      "x-forwarded-for": "6.6.6.6",
      "accept-encoding": "gzip",
    };
    expect(requestHeaders(received, client)).toEqual({ ...own, accept: "*/*", "if-match": '"1"' });
  });

  test("no header of a client changes the proxy's own, whatever its name", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), (received) => {
        const headers = requestHeaders({ ...received, authorization: "Bearer secret" }, client);
        expect(headers).toMatchObject(own);
        expect(headers.authorization).toBeUndefined();
      }),
    );
  });

  test("what Connection names ends here, in any case and place", () => {
    const received = { accept: "a", prefer: "b", "user-agent": "c", connection: "close,  Prefer ,ACCEPT" };
    expect(requestHeaders(received, client)).toEqual({ ...own, "user-agent": "c" });
  });
});

test("responseHeaders keeps the target's credentials, cookies and framing", () => {
  const received = {
    etag: 'W/"1"',
    "set-cookie": ["a=b"],
    authorization: "x",
    "proxy-authenticate": "x",
    "www-authenticate": "Bearer",
    "content-length": "5",
    "transfer-encoding": "chunked",
    location: "http://target/x",
    vary: "accept",
    connection: "vary",
  };
  expect(responseHeaders(received)).toEqual({ etag: 'W/"1"' });
});

describe("media types", () => {
  test.each([
    "application/scim+json",
    "application/json",
    "Application/SCIM+JSON",
    "application/scim+json; charset=utf-8",
    'application/json;charset="UTF-8"',
    "application/json ; charset=utf8",
    "application/json; odata=verbose",
  ])("%s is SCIM's", (type) => {
    // case 51
    expect(isScimMediaType(type)).toBe(true);
  });
  test.each([
    undefined,
    "",
    "text/plain",
    "text/json",
    "multipart/form-data; boundary=application/json",
    "application/json, text/plain",
    "application/jsonx",
    "application/json; charset=utf-16",
    "application/json; charset=utf-7",
    "application/json; charset=utf-8; charset=utf-16",
    "application/json; charset",
    "application/json; charset=",
  ])("%s is not", (type) => {
    expect(isScimMediaType(type)).toBe(false);
  });
  test("what is recorded of a media type is a media type", () => {
    expect(mediaTypeOf("Application/SCIM+JSON; charset=utf-8")).toBe("application/scim+json");
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(mediaTypeOf(text)).toMatch(/^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/);
      }),
    );
  });
});
