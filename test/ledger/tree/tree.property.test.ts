// A builder restored at any size goes on as if it had never stopped.

import fc from "fast-check";
import { expect, test } from "vitest";
import { bitsOf, TreeBuilder } from "../../../src/ledger/tree/tree.ts";
import { countedLeafHashes, nodeDigest, ReferenceTree } from "../../vectors/treeReference.ts";

const leaves = countedLeafHashes(1_200);
const reference = new ReferenceTree(leaves);

test("restored from its edge at any size, a tree grows on as before", () => {
  const sizes = fc.uniqueArray(fc.integer({ min: 0, max: leaves.length }), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(sizes, (stops) => {
      let builder = new TreeBuilder(nodeDigest);
      for (const stop of stops.toSorted((a, b) => a - b)) {
        builder = TreeBuilder.restore(builder.size, builder.edge, nodeDigest);
        const told: string[] = [];
        const from = builder.size;
        for (const leaf of leaves.slice(from, stop)) {
          builder.append(leaf, (level, index) => level === 1 && told.push(String(index)));
        }
        expect(told).toHaveLength(Math.floor(stop / 256) - Math.floor(from / 256));
        expect(Buffer.from(builder.root())).toEqual(Buffer.from(reference.root(stop)));
      }
    }),
  );
});

test("an edge has a hash for each bit of the size, for sizes of any magnitude", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (size) => {
      const bits = bitsOf(size);
      expect(bits.reduce((sum, bit) => sum + 2 ** bit, 0)).toBe(size);
      const edge = leaves.slice(0, bits.length);
      expect(TreeBuilder.restore(size, edge, nodeDigest).edge.map(Buffer.from)).toEqual(edge);
      expect(() => TreeBuilder.restore(size, leaves.slice(0, bits.length + 1))).toThrow(RangeError);
    }),
  );
});
