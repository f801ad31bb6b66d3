import { expect, test } from "vitest";
import { LocationRewriter, rewriteBytes } from "../../../src/proxy/target/rewriteStream.ts";

const FROM = "https://app.example.com/scim/v2";
const TO = "https://proxy.example.net/okta/scim/v2";
const rewrite = (text: string, from = FROM) =>
  Buffer.from(rewriteBytes(Buffer.from(text), from, TO)).toString();

test("only the values of location and $ref below the base change", () => {
  const text = `{ "meta" : {"location" : "${FROM}/Users/1"}, "x":"${FROM}/Users/1","a":[{"$ref":\n"${FROM}/Users/2"}] }`;
  expect(rewrite(text)).toBe(
    `{ "meta" : {"location" : "${TO}/Users/1"}, "x":"${FROM}/Users/1","a":[{"$ref":\n"${TO}/Users/2"}] }`,
  );
});

test("a list under the name, or the name as a value, is no location", () => {
  for (const text of [
    `{"location":["${FROM}/Users/1"]}`,
    `["location","${FROM}/Users/1"]`,
    `{"a":"location","b":"${FROM}/Users/1"}`,
    `{"location":{"a":"${FROM}/Users/1"}}`,
    `{"location":1,"b":"${FROM}/Users/1"}`,
  ]) {
    expect(rewrite(text)).toBe(text);
  }
});

test("at a root base a place that begins with a slash stays a place", () => {
  const root = "https://app.example.com";
  expect(rewrite('{"location":"/Building 4"}', root)).toBe('{"location":"/Building 4"}');
  expect(rewrite(`{"location":"${root}/Users/1"}`, root)).toBe(`{"location":"${TO}/Users/1"}`);
});

test("passwords are hidden in any spelling of the name, whatever their length", () => {
  for (const name of [
    "password",
    "PASSWORD",
    "p\\u0061ssword",
    "urn:ietf:params:scim:schemas:core:2.0:User:password",
  ]) {
    for (const secret of ["x", "x".repeat(100_000), '\\"\\\\', ""]) {
      expect(rewrite(`{"${name}" : "${secret}","b":1}`)).toBe(`{"${name}" : "[redacted]","b":1}`);
    }
  }
  for (const text of [
    '{"changePassword":"x"}',
    '{"name":"password"}',
    '{"passwords":"x"}',
    '{"password":true}',
  ]) {
    expect(rewrite(text)).toBe(text);
  }
});

test("a password that the answer breaks off in does not come out by halves", () => {
  expect(rewrite('{"a":1,"password":"half a sec')).toBe('{"a":1,"password":');
  expect(rewrite('{"a":1,"b":"half a str')).toBe('{"a":1,"b":"half a str');
});

test("a string longer than any location passes without being held back", () => {
  const stream = new LocationRewriter(FROM, TO);
  stream.write(`{"location":"${"x".repeat(20_000)}`);
  const early = Buffer.from((stream.read() as Buffer | null) ?? "").length;
  expect(early).toBeGreaterThan(11_000);
});
