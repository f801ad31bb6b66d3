// UUIDs of version 7: RFC 9562 §5.7 in form, strictly increasing whatever the clock does.

import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { uuidSource } from "../../../src/storage/writer/uuid.ts";

test("version, variant and time are where RFC 9562 puts them", () => {
  const next = uuidSource({ now: () => 0x017f22e279b0, randomBytes });
  expect(next()).toMatch(/^017f22e2-79b0-7000-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(next()).toMatch(/^017f22e2-79b0-7001-/);
});

// case 67
test("ids increase over any clock: frozen, set back, leaping", () => {
  const steps = fc.array(fc.constantFrom(0, 0, 0, 1, -3_600_000, 31_536_000_000), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (clock) => {
      let now = 1_750_000_000_000;
      const next = uuidSource({ now: () => now, randomBytes });
      let last = "";
      for (const step of clock) {
        now += step;
        const id = next();
        expect(id > last).toBe(true);
        last = id;
      }
    }),
  );
});

test("ten thousand in one millisecond are ten thousand, in order", () => {
  const next = uuidSource({ now: () => 1_750_000_000_000, randomBytes });
  const ids = Array.from({ length: 10_000 }, next);
  expect(new Set(ids).size).toBe(10_000);
  expect(ids).toEqual(ids.toSorted());
});
