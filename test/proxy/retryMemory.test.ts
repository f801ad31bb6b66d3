import { expect, test } from "vitest";
import { RetryMemory } from "../../src/proxy/retryMemory.ts";

test("a transaction is told once", () => {
  const memory = new RetryMemory();
  memory.remember("key", "txn-1");
  expect(memory.take("other")).toBeUndefined();
  expect(memory.take("key")).toBe("txn-1");
  expect(memory.take("key")).toBeUndefined();
  expect(memory.isEmpty).toBe(true);
});

test("the latest transaction of a key counts", () => {
  const memory = new RetryMemory();
  memory.remember("key", "txn-1");
  memory.remember("key", "txn-2");
  expect(memory.take("key")).toBe("txn-2");
});

test("the oldest are forgotten first, and one that is remembered again is new", () => {
  const memory = new RetryMemory();
  const rememberFrom = (from: number, to: number) => {
    for (let i = from; i < to; i++) memory.remember(`key-${i}`, `txn-${i}`);
  };
  rememberFrom(0, 10_000);
  memory.remember("key-1", "again");
  rememberFrom(10_000, 19_999);
  for (const gone of ["key-0", "key-2", "key-9999"]) expect(memory.take(gone)).toBeUndefined();
  // The ten thousand that were remembered last.
  expect(memory.take("key-1")).toBe("again");
  for (const kept of [10_000, 15_000, 19_998]) expect(memory.take(`key-${kept}`)).toBe(`txn-${kept}`);
});
