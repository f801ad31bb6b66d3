// Failing open is a compile error: `forward` takes nothing but a recorded request and `reply` nothing but a recorded
// outcome. Checked by tsc; a draft that was merely written down must not fit.

import { expectTypeOf, test } from "vitest";
import type { reply } from "../../src/proxy/reply.ts";
import type { forward } from "../../src/proxy/target/forward.ts";
import type { Recorded, RequestDraft, ResponseDraft } from "../../src/storage/writer/recorded.ts";

type Forwarded = Parameters<typeof forward>[0];
type Proof = Parameters<typeof reply>[1];

test("an intent can be forwarded only once it is recorded", () => {
  expectTypeOf<Recorded<RequestDraft>>().toExtend<Forwarded>();
  expectTypeOf<RequestDraft>().not.toExtend<Forwarded>();
  expectTypeOf<{ draft: RequestDraft; seq: number; id: string }>().not.toExtend<Forwarded>();
  expectTypeOf<Recorded<ResponseDraft>>().not.toExtend<Forwarded>();
});

test("an answer can be given only once its outcome is recorded", () => {
  expectTypeOf<Recorded<ResponseDraft>>().toExtend<Proof>();
  expectTypeOf<ResponseDraft>().not.toExtend<Proof>();
  expectTypeOf<Recorded<RequestDraft>>().not.toExtend<Proof>();
});
