// The container of a pack: what is written is read again and by others; of everything else there is one verdict, no.

import { describe, expect, test } from "vitest";
import {
  formatTarEnd,
  formatTarHeader,
  formatTarMember,
  looksLikeTar,
  readTar,
  TarError,
} from "../../../src/ledger/evidence/tar.ts";
import { putTogether, takeApart } from "./packs.ts";

const text = (content: string) => new TextEncoder().encode(content);
const some = putTogether([
  { name: "a.txt", bytes: text("hello") },
  { name: "empty", bytes: text("") },
  { name: "b/c-1.jws", bytes: text("x".repeat(512)) },
]);

async function failureOf(
  bytes: Uint8Array,
  limit: (name: string) => number | undefined = () => 1_000,
): Promise<string> {
  try {
    for await (const member of readTar([bytes], limit)) void member;
  } catch (cause) {
    if (cause instanceof TarError) return cause.message;
    throw cause;
  }
  return "none";
}

test("members come back as they were", async () => {
  expect((await takeApart(some)).map(({ name, bytes }) => [name, bytes.length])).toEqual([
    ["a.txt", 5],
    ["empty", 0],
    ["b/c-1.jws", 512],
  ]);
  expect([looksLikeTar(some), looksLikeTar(text("no tar at all"))]).toEqual([true, false]);
});

describe("what is no tar of a pack", () => {
  test.each([
    ["an unpacked path", "../x"],
    ["an absolute path", "/etc/passwd"],
    ["a hidden file", "a/.x"],
    ["a doubled separator", "a//b"],
    ["a backslash", "a\\b"],
    ["a space", "a b"],
    ["nothing", ""],
    ["a long name", "a".repeat(100)],
  ])("a name with %s", (_, name) => {
    expect(() => formatTarHeader(name, 0)).toThrow(RangeError);
  });

  test("every single changed bit of a header", async () => {
    const header = formatTarHeader("a.txt", 5);
    const rest = some.subarray(512);
    for (let at = 0; at < 512; at++) {
      const bad = header.with(at, (header[at] ?? 0) ^ 1);
      expect([at, await failureOf(Buffer.concat([bad, rest]))]).not.toEqual([at, "none"]);
    }
  });

  test("links, directories and devices, with a right checksum", async () => {
    for (const type of ["1", "2", "5", "x", "L"]) {
      const header = Buffer.from(formatTarHeader("a.txt", 0));
      header.write(type, 156);
      header.write("        ", 148);
      header.write(
        `${header
          .reduce((sum, byte) => sum + byte, 0)
          .toString(8)
          .padStart(6, "0")}\0 `,
        148,
      );
      expect(await failureOf(Buffer.concat([header, formatTarEnd()]))).toContain("not that of a plain file");
    }
  });

  test("a name or a size that is not allowed, before a byte of it is kept", async () => {
    expect(await failureOf(some, (name) => (name === "empty" ? undefined : 1_000))).toBe(
      "a pack has no member empty",
    );
    expect(await failureOf(some, () => 511)).toContain("at most 511");
  });

  test("an early end, a late one, and bytes where zeros belong", async () => {
    for (let at = 0; at < some.length; at += 100)
      expect(await failureOf(some.subarray(0, at))).toContain("ends too early");
    expect(await failureOf(Buffer.concat([some, text("x")]))).toContain("after the end");
    const [header = text(""), body = text("")] = [...formatTarMember("a.txt", text("hello"))];
    const padded = Buffer.concat([header, body, text("x"), new Uint8Array(506), formatTarEnd()]);
    expect(await failureOf(padded)).toContain("behind the end of a.txt");
    expect(await failureOf(Buffer.concat([new Uint8Array(512), text("x".repeat(512))]))).toContain("damaged");
  });

  test("the source is closed when reading stops", async () => {
    let isClosed = false;
    const source = (async function* () {
      try {
        for (;;) yield text("x".repeat(512));
      } finally {
        isClosed = true;
      }
    })();
    await expect(
      readTar(source, () => 1)
        [Symbol.asyncIterator]()
        .next(),
    ).rejects.toThrow(TarError);
    expect(isClosed).toBe(true);
  });
});
