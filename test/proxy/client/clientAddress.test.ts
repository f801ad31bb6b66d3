// The client's address: the peer's own, or what trusted proxies say, no further left than they reach.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clientAddress, clientProtocol } from "../../../src/proxy/client/clientAddress.ts";

const isTrusted = (address: string) => address.startsWith("10.") || address === "::1";

test.each<[string, string, string | undefined, boolean, string]>([
  ["a terminator says how the client spoke", "10.0.0.1", "https", false, "https"],
  ["in any case", "10.0.0.1", " HTTPS ", false, "https"],
  ["the nearest terminator's word", "10.0.0.1", "https, http", false, "http"],
  ["a peer that nobody trusts may say what it likes", "203.0.113.9", "https", false, "http"],
  ["nor can it hide TLS", "203.0.113.9", "http", true, "https"],
  ["what is no scheme is no word", "10.0.0.1", "gopher", true, "https"],
  ["no header", "10.0.0.1", undefined, false, "http"],
  ["an IPv4 peer in IPv6 clothes", "::ffff:10.0.0.1", "https", false, "https"],
])("clientProtocol: %s", (_name, peer, header, isEncrypted, protocol) => {
  expect(clientProtocol(isEncrypted, peer, header, isTrusted)).toBe(protocol);
});

describe("clientAddress", () => {
  test.each<[string, string | undefined, string | undefined, string]>([
    ["a peer that nobody trusts is the client", "203.0.113.9", "198.51.100.1", "203.0.113.9"],
    ["no header", "10.0.0.1", undefined, "10.0.0.1"],
    ["one hop", "10.0.0.1", "198.51.100.1", "198.51.100.1"],
    ["the rightmost hop that is not trusted", "10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"],
    ["all hops trusted: the leftmost", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["an IPv4 peer in IPv6 clothes", "::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"],
    ["an IPv6 peer", "::1", "2001:db8::1", "2001:db8::1"],
    ["a port behind the address", "10.0.0.1", "198.51.100.1:443", "198.51.100.1"],
    ["brackets and a port", "10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"],
    ["brackets alone", "10.0.0.1", "[2001:db8::1]", "2001:db8::1"],
    ["a name is not an address", "10.0.0.1", "evil.example", "10.0.0.1"],
    ["an obfuscated identifier", "10.0.0.1", "_hidden", "10.0.0.1"],
    ["an empty hop stops the walk", "10.0.0.1", "198.51.100.1,", "10.0.0.1"],
    ["a socket that is gone", undefined, "198.51.100.1", ""],
  ])("%s", (_name, peer, header, address) => {
    expect(clientAddress(peer, header, isTrusted)).toBe(address);
  });

  test("what stands left of the first untrusted hop changes nothing", () => {
    fc.assert(
      fc.property(fc.string(), (invented) => {
        expect(clientAddress("10.0.0.1", `${invented}, 198.51.100.1`, isTrusted)).toBe("198.51.100.1");
        expect(clientAddress("203.0.113.9", invented, isTrusted)).toBe("203.0.113.9");
      }),
    );
  });
});
