/** Addresses that may not be called, in every spelling, and the lookup that checks them at dial time (case 93). */
import type { LookupAddress } from "node:dns";
import http from "node:http";
import type { AddressInfo } from "node:net";
import net from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  assertAllowedHost,
  compileNetworks,
  createGuardedLookup,
  guardedLookup,
  isLoopbackHost,
  refusedAddress,
} from "../../src/config/address.ts";

test.each([
  "169.254.169.254",
  "169.254.0.1",
  "169.254.255.255",
  "0.0.0.0",
  "0.1.2.3",
  "100.100.100.200",
  "168.63.129.16",
  "192.0.0.192",
  "224.0.0.1",
  "239.255.255.255",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "fe80::1",
  "fe80::1%eth0",
  "febf::1",
  "fec0::1",
  "ff02::1",
  "fd00:ec2::254",
  "::ffff:169.254.169.254",
  "::ffff:a9fe:a9fe",
  "::ffff:0.0.0.0",
  "::a9fe:a9fe",
  "64:ff9b::a9fe:a9fe",
  "2002:a9fe:a9fe::1",
  "not an address",
  "",
])("%s is refused", (ip) => {
  expect(refusedAddress(ip)).toEqual(expect.any(String));
});

test.each([
  "127.0.0.1",
  "::1",
  "10.0.0.1",
  "172.16.0.1",
  "192.168.1.1",
  "100.64.0.1",
  "8.8.8.8",
  "169.253.255.255",
  "169.255.0.0",
  "223.255.255.255",
  "fd00:ec2::253",
  "fd12::1",
  "2606:4700::1111",
  "::ffff:10.0.0.1",
  "::ffff:127.0.0.1",
  "64:ff9b::808:808",
])("%s is allowed", (ip) => {
  expect(refusedAddress(ip)).toBeUndefined();
});

test("no spelling of a link-local IPv4 address passes", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff }), (low) => {
      const number = 0xa9fe0000 + low;
      const hex = number.toString(16);
      const [a, b, c, d] = [0xa9, 0xfe, low >> 8, low & 255];
      const spellings = [
        `${a}.${b}.${c}.${d}`,
        String(number),
        `0x${hex}`,
        `0${a?.toString(8)}.0${b?.toString(8)}.0${c?.toString(8)}.0${d?.toString(8)}`,
        `${a}.${b}.${low}`,
        `[::ffff:${hex.slice(0, 4)}:${hex.slice(4)}]`,
        `[64:ff9b::${hex.slice(0, 4)}:${hex.slice(4)}]`,
        `${a}.${b}.${c}.${d}.`,
      ];
      for (const host of spellings) expect(() => assertAllowedHost(host), host).toThrow(/refused/);
    }),
    { numRuns: 200 },
  );
});

test("a name passes the check of literals; the lookup will judge it", () => {
  expect(() => assertAllowedHost("metadata.google.internal")).not.toThrow();
  expect(() => assertAllowedHost("127.0.0.1")).not.toThrow();
  expect(() => assertAllowedHost("[::1]")).not.toThrow();
});

function lookupOver(answers: LookupAddress[][]) {
  let call = 0;
  return createGuardedLookup((_host, _options, callback) => callback(null, answers[call++] ?? []));
}

function ask(lookup: typeof guardedLookup, all: boolean) {
  return new Promise((resolve, reject) =>
    lookup("name.example", { all }, (error, address, family) =>
      error ? reject(error) : resolve([address, family]),
    ),
  );
}

test("one refused address among good ones refuses the name", async () => {
  const good = { address: "93.184.216.34", family: 4 };
  const bad = { address: "169.254.169.254", family: 4 };
  for (const answers of [[bad], [good, bad], [bad, good]]) {
    await expect(ask(lookupOver([answers]), true)).rejects.toMatchObject({ code: "ETARGETREFUSED" });
  }
  expect(await ask(lookupOver([[good]]), true)).toEqual([[good], undefined]);
  expect(await ask(lookupOver([[good]]), false)).toEqual([good.address, 4]);
  await expect(ask(lookupOver([[]]), false)).rejects.toMatchObject({ code: "ENOTFOUND" });
});

test("a name that answers well at first and badly later is refused at the later dial, before any connection", async () => {
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // A TCP server's address is never a string.
  const lookup = lookupOver([[{ address: "127.0.0.1", family: 4 }], [{ address: "0.0.0.0", family: 4 }]]);
  const dial = () =>
    new Promise<string>((resolve) => {
      const socket = net.connect({ host: "rebinding.example", port, lookup });
      socket.on("connect", () => resolve("connected"));
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    });
  expect(await dial()).toBe("connected");
  expect(await dial()).toBe("ETARGETREFUSED");
  await new Promise((resolve) => server.close(resolve));
});

test("the system's resolver works through it, with node:http", async () => {
  const server = http.createServer((_request, response) => response.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // A TCP server's address is never a string.
  const status = await new Promise((resolve, reject) => {
    http
      .get({ host: "localhost", port, lookup: guardedLookup, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
      .on("error", reject);
  });
  expect(status).toBe(200);
  await new Promise((resolve) => server.close(resolve));
});

test("networks hold their members, mapped peers too, and nothing else", () => {
  const trusted = compileNetworks(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1"]);
  for (const ip of ["10.255.0.1", "::ffff:10.0.0.1", "192.0.2.7", "2001:db8::9", "::1"])
    expect(trusted(ip), ip).toBe(true);
  for (const ip of ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::2", "", "10.0.0.0/8", "evil"])
    expect(trusted(ip), ip).toBe(false);
  expect(() => compileNetworks(["10.0.0.0/33"])).toThrow();
  expect(() => compileNetworks(["example.com"])).toThrow();
});

test.each([
  ["localhost", true],
  ["127.8.0.1", true],
  ["[::1]", true],
  ["0.0.0.0", false],
  ["localhost.example.com", false],
  ["::ffff:127.0.0.1", true],
])("%s is loopback: %s", (host, expected) => {
  expect(isLoopbackHost(host)).toBe(expected);
});
