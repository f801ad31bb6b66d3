// Documents for the tests of this room: a body as it would come off the wire, parsed strictly.
import { type JsonDocument, parseStrictJson } from "../../src/scim/json.ts";

export const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
export const coreUser = "urn:ietf:params:scim:schemas:core:2.0:User";

export function documentOf(text: string): JsonDocument {
  const result = parseStrictJson(new TextEncoder().encode(text), { topLevel: "any" });
  if (!result.ok) throw new Error(`fixture refused: ${result.refusal.code}`);
  return result.document;
}

export function bodyOf(value: unknown): JsonDocument {
  return documentOf(JSON.stringify(value));
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** A PATCH body around these operations. */
export function patchOf(...operations: unknown[]): JsonDocument {
  return bodyOf({ schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations: operations });
}

/**
 * How run time grows with input: the exponent of time over size, 1 is linear, 2 quadratic. Sixteen runs at `size`
 * stand against one at sixteen times that, so both make as much garbage; it is this thread's processor time that
 * counts, and the best of some tries: a busy machine makes linear work look worse, but never quadratic work look linear.
 */
export function growth(size: number, run: (size: number) => () => void): number {
  const factor = 16;
  const small = run(size);
  const large = run(size * factor);
  for (let i = 0; i < 3; i++) small(); // or the first small runs pay for compiling, and the large one looks cheap
  large();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 8 && least > 1.2; i++) {
    const apart = timeOf(() => {
      for (let repeat = 0; repeat < factor; repeat++) small();
    });
    const together = timeOf(large);
    least = Math.min(least, 1 + Math.log(together / apart) / Math.log(factor));
  }
  return least;
}

/** Microseconds of this thread, never 0. */
function timeOf(work: () => void): number {
  const start = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(start);
  return Math.max(1, user + system);
}
