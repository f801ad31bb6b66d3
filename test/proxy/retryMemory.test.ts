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
  for (let i = 0; i < 10_000; i++) memory.remember(`key-${i}`, `txn-${i}`);
  memory.remember("key-1", "again");
  memory.remember("key-new", "txn-new");
  expect(memory.take("key-0")).toBeUndefined();
  expect(memory.take("key-5001")).toBe("txn-5001");
  expect(memory.take("key-1")).toBe("again");
  expect(memory.take("key-new")).toBe("txn-new");
});
