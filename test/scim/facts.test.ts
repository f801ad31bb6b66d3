// The personal facts: what is kept, what is not, and that nothing personal stands outside them.
import { describe, expect, test } from "vitest";
import { understand } from "../../src/scim/operation.ts";
import { oktaUser, patchGroup, post } from "./requests.ts";

describe("facts", () => {
  test("who a create is about", () => {
    const { facts } = understand(post("/Users", { ...oktaUser, roles: ["admin"] }));
    expect(facts).toEqual({
      userName: "anna@example.com",
      externalId: "00u1",
      displayName: "Anna Schmidt",
      formattedName: "Anna Schmidt",
      emails: ["anna@example.com"],
      roles: ["admin"],
    });
  });

  test("configured secrets and passwords are no facts", () => {
    const input = {
      ...post("/Users", { ...oktaUser, password: "t0p" }),
      query: "filter=password%20eq%20%22t0p%22&access_token=t0p&t0p&count=2",
      secretAttributes: ["userName", "emails.value", "name.formatted"],
    };
    const { facts } = understand(input);
    expect(facts).toMatchObject({ displayName: "Anna Schmidt", query: "filter=?&access_token=?&?&count=2" });
    expect(facts.filter).toBe("[redacted]");
    expect(JSON.stringify(facts)).not.toMatch(/t0p|anna@/);
  });

  test("a document in place of a name is no fact", () => {
    const { facts } = understand(
      post("/Users", { userName: '{"\\u0070assword":"t0p"}', displayName: "[x] Bo" }),
    );
    expect(facts).toEqual({ userName: "[redacted]", displayName: "[x] Bo" });
  });

  test("leaf parts hold no personal data", () => {
    const { facts, resourceId, ...leaf } = understand({
      ...patchGroup(
        { op: "remove", path: 'members[value eq "anna@example.com"]' },
        { op: "replace", path: 'emails[value co "anna"].value', value: "anna" },
        { op: "replace", value: { "anna smith": "anna", "urn:anna b:c": 1 } },
      ),
      query: "filter=userName%20eq%20%22anna%22",
    });
    expect(JSON.stringify(leaf)).not.toContain("anna");
    expect(resourceId).toBe("g1");
    expect(facts.filter).toBe('userName eq "anna"');
  });

  test.each([
    ["\u0430dmin", ["mixed_script"]],
    ["\u0418\u0432\u0430\u043d Petrov", undefined],
    ["Ame\u0301lie", ["not_nfc"]],
    ["Amélie", undefined],
    ["a\u202Egnp.exe", ["bidi_control"]],
    ['x\r\n{"level":30}', ["control_character"]],
    ["\u001b[31mred", ["control_character"]],
    ["山田 Taro", undefined],
  ])("unicode in %j", (userName, unicode) => {
    const { facts } = understand(post("/Users", { userName }));
    expect(facts.userName).toBe(userName);
    expect(facts.unicode).toEqual(unicode);
  });

  test("bounded", () => {
    const members = Array.from({ length: 1500 }, (_, i) => ({ value: String(i) }));
    const { facts } = understand(patchGroup({ op: "add", path: "members", value: members }));
    expect(facts.members?.added).toHaveLength(1000);
    expect(facts.truncated).toBe(true);
    expect(understand(post("/Users", { userName: "x".repeat(5000) })).facts.userName).toHaveLength(1024);
  });

  test("cut between two characters, never within one", () => {
    const beginning = "x".repeat(1023);
    for (const character of ["\u{1f600}", "\u{1d49c}"]) {
      const { facts } = understand(post("/Users", { userName: `${beginning}${character}y` }));
      expect(facts).toMatchObject({ userName: beginning, truncated: true });
    }
    const whole = `${"x".repeat(1022)}\u{1f600}`;
    expect(understand(post("/Users", { userName: `${whole}y` })).facts.userName).toBe(whole);
    expect(understand(post("/Users", { userName: whole })).facts).toMatchObject({ userName: whole });
  });

  test.each([
    "filter=password%20eq%20%22hidden%22",
    "filter=%70assword%20eq%20%22hidden%22",
    "filter=%2570assword%2520eq%2520%2522hidden%2522",
    "filter=%25252570assword%20eq%20%22hidden%22",
    "filter=%EF%BD%90assword%20eq%20%22hidden%22",
    "filter=pa%E2%80%8Bssword%20eq%20%22hidden%22",
  ])("a secret in %s stays out of query and filter, however often it is encoded", (query) => {
    const { facts } = understand({ method: "GET", resourcePath: "/Users", query });
    expect(JSON.stringify(facts)).not.toContain("hidden");
  });

  test("a search request's filter", () => {
    const searched = understand(post("/Users/.search", { filter: 'userName sw "a"' }));
    expect(searched).toMatchObject({ action: "search", parsed: true, facts: { filter: 'userName sw "a"' } });
  });
});
