// A bounded memory: what was used last is there, what was not used for long is gone, and it never holds more than it may.

import fc from "fast-check";
import { expect, test } from "vitest";
import { RecentMap } from "../src/recentMap.ts";

test("what was used last is there, as many as promised and at most twice as many", () => {
  const step = fc.record({ kind: fc.constantFrom("set", "get", "delete"), key: fc.nat(12) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 200 }), (atLeast, steps) => {
      const memory = new RecentMap<number, { at: number }>(atLeast);
      // Every key with what it was set to last, in the order of use; one that was taken out counts as used then.
      const model = new Map<number, { at: number } | undefined>();
      for (const [at, { kind, key }] of steps.entries()) {
        const expected = model.get(key);
        if (kind === "set") {
          model.delete(key);
          model.set(key, { at });
          memory.set(key, { at });
        } else if (kind === "delete") {
          model.delete(key);
          model.set(key, undefined);
          memory.delete(key);
        } else {
          const found = memory.get(key);
          if (found !== undefined) expect(found).toEqual(expected);
          const rank = [...model.keys()].reverse().indexOf(key);
          if (rank >= 0 && rank < atLeast) expect(found).toEqual(expected);
          model.delete(key);
          if (found !== undefined) model.set(key, found);
        }
        expect(memory.size).toBeLessThanOrEqual(2 * atLeast);
        if (kind === "set") expect(memory.size).toBeGreaterThan(0);
        if (![...model.values()].some((one) => one !== undefined)) expect(memory.size).toBe(0);
      }
    }),
    { numRuns: 500 },
  );
});
