// What a client is told when the ledger takes no entry: whether another try can help.

import { expect, test } from "vitest";
import { Refusal } from "../../src/proxy/refusal.ts";
import { AppendError } from "../../src/storage/writer/appendError.ts";

const refuse = (code: ConstructorParameters<typeof AppendError>[0]) =>
  Refusal.ledgerUnavailable(new AppendError(code, "a detail for the log", "no"), 503);

test("a database that is away is worth a retry", () => {
  expect(refuse("database_unreachable").message).toBe(
    "ledger_unavailable: The audit record could not be written, so nothing was forwarded. Retry later.",
  );
});

test("whoever tried too many wrong tokens is told when to come back", () => {
  const { status, headers } = new Refusal("authentication_rate_limited");
  expect([status, headers]).toEqual([429, { "retry-after": "60" }]);
});

test("an open alarm is not, and the answer says who must act, under the same code", () => {
  const { message, status, code } = refuse("tampered");
  expect([status, code]).toEqual([503, "ledger_unavailable"]);
  expect(message).toMatch(/^ledger_unavailable: .*An alarm about the ledger is open, .* acknowledged it/);
  expect(message).not.toMatch(/Retry later|a detail for the log/);
});
