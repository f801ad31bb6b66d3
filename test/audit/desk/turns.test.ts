// What is heavy goes on a few at a time: who works, who waits and in which order, and who is refused.

import { expect, test } from "vitest";
import type { AuditContext } from "../../../src/audit/context.ts";
import { Turns } from "../../../src/audit/desk/turns.ts";
import { makeAuditor, serve } from "../harness.ts";

const [ada, bob] = [makeAuditor("ada"), makeAuditor("bob")];

function start(limits: { inAll: number; each: number; waiting: number }) {
  const turns = new Turns({ ...limits, detail: "too many" });
  const { context } = serve([]);
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const ask = (name: string, auditor = ada, at: AuditContext = context) =>
    turns.run(at, auditor, async () => {
      begun.push(name);
      await new Promise<void>((done) => ends.set(name, done));
      return name;
    });
  const settle = () => new Promise((done) => setImmediate(done));
  return { ask, begun, settle, end: (name: string) => ends.get(name)?.() };
}

test("one auditor who asks for much waits behind himself only", async () => {
  const { ask, begun, settle, end } = start({ inAll: 3, each: 2, waiting: 2 });
  const all = ["a1", "a2", "a3", "a4"].map((name) => ask(name));
  await expect(ask("a5")).rejects.toMatchObject({ code: "rate_limited", message: "too many" });
  all.push(ask("b1", bob), ask("b2", bob));
  await settle();
  expect(begun).toEqual(["a1", "a2", "b1"]);
  end("b1");
  await settle();
  expect(begun).toEqual(["a1", "a2", "b1", "b2"]);
  end("a2");
  await settle();
  expect(begun.slice(4)).toEqual(["a3"]);
  for (const name of ["a1", "a3", "b2"]) end(name);
  await settle();
  end("a4");
  expect(await Promise.all(all)).toEqual(["a1", "a2", "a3", "a4", "b1", "b2"]);
});

test("work that fails gives its turn back; another process's desk is another", async () => {
  const { ask, begun, settle, end } = start({ inAll: 1, each: 1, waiting: 0 });
  const turns = new Turns({ inAll: 1, each: 1, waiting: 0, detail: "too many" });
  const { context } = serve([]);
  for (let i = 0; i < 3; i++) {
    const failing = turns.run(context, ada, () => Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
  }
  const first = ask("here");
  const other = ask("there", ada, serve([]).context);
  await settle();
  expect(begun).toEqual(["here", "there"]);
  end("here");
  end("there");
  await Promise.all([first, other]);
});
