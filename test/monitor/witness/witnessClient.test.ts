// The witness client against the real witness, and against what a witness must not do. Only a good cosignature counts;
// another history is a finding, and a witness that is late or broken is none.

import { createServer, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { fastVerify } from "../../../src/keys/fastVerify.ts";
import { formatCheckpoint } from "../../../src/ledger/note/checkpoint.ts";
import { cosign } from "../../../src/ledger/note/cosignature.ts";
import { openCheckpoint } from "../../../src/ledger/note/logPolicy.ts";
import { formatSignatures } from "../../../src/ledger/note/note.ts";
import { makeWitnessKey } from "../../../src/ledger/note/verifierKey.ts";
import type { Finding } from "../../../src/monitor/alarm/alarm.ts";
import { createPost } from "../../../src/monitor/post.ts";
import { WitnessClient, Witnesses } from "../../../src/monitor/witness/witnessClient.ts";
import { createWitnessServer } from "../../../src/monitor/witness/witnessServer.ts";
import { until } from "../../storage/writerHarness.ts";
import { makeKeys } from "../monitorHarness.ts";
import {
  drained,
  FORK,
  HISTORY,
  listen,
  logKey,
  NOW,
  newStateDir,
  newWitness,
  noteOf,
  ORIGIN,
  proofOf,
  quiet,
  rootOf,
  signer,
  submit,
} from "./witnessHarness.ts";

let stateDir: string;
beforeEach(async () => {
  stateDir = await newStateDir();
});

describe("the client", () => {
  test("gets a cosignature from a witness at any size that it has not heard of", async () => {
    const witness = newWitness(stateDir);
    const url = await listen(createWitnessServer(witness));
    await submit(witness, 0, 200);
    const client = clientOf(url);
    expect(await client.submit(noteOf(300))).toMatchObject({ kind: "cosigned", time: NOW / 1000 });
    expect(await client.submit(noteOf(300))).toMatchObject({ kind: "cosigned" });
    // Somebody else moved it on meanwhile.
    await submit(witness, 300, 400);
    expect(await client.submit(noteOf(600))).toMatchObject({ kind: "cosigned" });
    expect(await client.submit(noteOf(500))).toEqual({ kind: "ahead", size: 600 });
    expect(await clientOf(url).submit(noteOf(500))).toEqual({ kind: "ahead", size: 600 });
  });

  test("a rewritten ledger is a finding: another extension, and another tree of the same size", async () => {
    const witness = newWitness(stateDir);
    const url = await listen(createWitnessServer(witness));
    await submit(witness, 0, 300);
    for (const size of [300, 600]) {
      expect(await clientOf(url, FORK).submit(noteOf(size, { history: FORK }))).toMatchObject({
        kind: "inconsistent",
        finding: { code: "witness_mismatch", seq: 299 },
      });
    }
  });

  test("an origin or a key that the witness does not know", async () => {
    const client = clientOf(await listen(createWitnessServer(newWitness(stateDir))));
    expect(await client.submit(noteOf(10, { origin: "other.example.com" }))).toEqual({
      kind: "not_accepted",
      status: 404,
    });
    expect(await client.submit(noteOf(10, { keys: makeKeys() }))).toEqual({
      kind: "not_accepted",
      status: 403,
    });
  });

  const text = `${noteOf(10).split("\n\n")[0]}\n`;
  const good = formatSignatures([cosign(text, NOW / 1000, signer)]);
  const stranger = makeKeys();
  const imposter = { key: signer.key, sign: (bytes: Uint8Array) => stranger.signer.sign(bytes) };
  const cases: [string, (response: ServerResponse) => unknown, string | RegExp][] = [
    ["nothing at all", () => {}, "timeout"],
    ["a broken answer", (response) => response.destroy(), "ECONNRESET"],
    ["a long answer", (response) => response.end("x".repeat(20_000)), /above 16384 bytes/],
    ["no signature", (response) => response.end("ok\n"), "the answer is no signature lines"],
    [
      "another's signature",
      (response) => response.end(formatSignatures([cosign(text, 5, imposter)])),
      /no good cosignature/,
    ],
    [
      "a time far ahead",
      (response) => response.end(formatSignatures([cosign(text, NOW / 1000 + 9000, signer)])),
      /no good cosignature/,
    ],
    [
      "a cosignature of another tree",
      (response) =>
        response.end(
          formatSignatures([
            cosign(formatCheckpoint({ origin: ORIGIN, size: 9, root: rootOf(HISTORY, 9) }), 5, signer),
          ]),
        ),
      /no good cosignature/,
    ],
    [
      "a redirect",
      (response) => response.writeHead(307, { location: "http://127.0.0.1:9/" }).end(),
      "status 307",
    ],
    ["a fault", (response) => response.writeHead(500).end(), "status 500"],
    ["409 without a size", (response) => response.writeHead(409).end("5\n"), "409 without a size"],
    [
      "409 with the size that was sent",
      (response) => response.writeHead(409, { "content-type": "text/x.tlog.size" }).end("0\n"),
      "409 with the size that was sent",
    ],
  ];

  test.for(cases)("%s from a witness is a failure, not a finding", async ([, handler, reason]) => {
    const client = clientOf(
      await listen(createServer((request, response) => drained(request, () => handler(response)))),
    );
    const result = await client.submit(noteOf(10));
    expect(result).toMatchObject({ kind: "failed", reason: expect.stringMatching(reason) });
  });

  test("a witness whose size changes every time is given up", async () => {
    let size = 0;
    const url = await listen(
      createServer((request, response) =>
        drained(request, () =>
          response.writeHead(409, { "content-type": "text/x.tlog.size" }).end(`${++size}\n`),
        ),
      ),
    );
    expect(await clientOf(url).submit(noteOf(10))).toMatchObject({ kind: "failed" });
    expect(size).toBe(3);
  });

  test("unknown signatures beside the right one are ignored", async () => {
    const other = {
      ...imposter,
      key: makeWitnessKey("other.example.com", stranger.pinned[0]?.bytes ?? new Uint8Array()),
    };
    const url = await listen(
      createServer((request, response) =>
        drained(request, () => response.end(formatSignatures([cosign(text, 5, other)]) + good)),
      ),
    );
    expect(await clientOf(url).submit(noteOf(10))).toMatchObject({ kind: "cosigned" });
  });

  test("an address that nobody may call is not called", async () => {
    expect(await clientOf("http://169.254.169.254").submit(noteOf(10))).toEqual({
      kind: "failed",
      reason: "ETARGETREFUSED",
    });
  });
});

describe("several witnesses", () => {
  test("enough of them anchor a checkpoint; the newest offered is the one that is asked for", async () => {
    const urls = await Promise.all(
      [1, 2].map(async () => listen(createWitnessServer(newWitness(await newStateDir())))),
    );
    const anchored: number[] = [];
    const witnesses = witnessesOf([...urls.map((url) => clientOf(url)), clientOf("http://127.0.0.1:9")], {
      threshold: 2,
      onAnchored: (_, { size }) => anchored.push(size),
    });
    expect(witnesses.status).toEqual({ anchoredTo: 0, notAnchoredSince: undefined });
    for (const size of [10, 11, 12]) witnesses.offer(noteOf(size));
    expect(witnesses.status).toEqual({ anchoredTo: 0, notAnchoredSince: NOW });
    await until(() => anchored.length > 0, "anchored");
    expect(witnesses.status).toEqual({ anchoredTo: 12, notAnchoredSince: undefined });
    witnesses.offer(noteOf(300));
    await until(() => anchored.length > 1, "anchored again");
    expect(anchored).toEqual([12, 300]);
  });

  test("none is needed: what is cosigned is told all the same, and nothing is waited for", async () => {
    const url = await listen(createWitnessServer(newWitness(stateDir)));
    const notes: string[] = [];
    const witnesses = witnessesOf([clientOf("http://127.0.0.1:9"), clientOf(url)], {
      threshold: 0,
      onAnchored: (note) => notes.push(note),
    });
    witnesses.offer(noteOf(10));
    expect(witnesses.status.notAnchoredSince).toBeUndefined();
    await until(() => notes.length > 0, "cosigned");
    const policy = { origin: ORIGIN, logKeys: [logKey], threshold: 1, witnesses: [signer.key] };
    expect(openCheckpoint(notes[0] ?? "", policy, fastVerify)).toMatchObject({ checkpoint: { size: 10 } });
    expect(witnesses.status.notAnchoredSince).toBeUndefined();
  });

  test("too few: it stays not anchored, since when is told", async () => {
    const url = await listen(createWitnessServer(newWitness(stateDir)));
    const witnesses = witnessesOf([clientOf(url), clientOf("http://127.0.0.1:9")], {
      threshold: 2,
      onAnchored: () => expect.fail("one is not two"),
    });
    witnesses.offer(noteOf(10));
    await sleep(200);
    expect(witnesses.status).toEqual({ anchoredTo: 0, notAnchoredSince: NOW });
  });

  test("a witness that saw more than the database has: the newest were cut off", async () => {
    const witness = newWitness(stateDir);
    await submit(witness, 0, 600);
    const findings: Finding[] = [];
    const witnesses = witnessesOf([clientOf(await listen(createWitnessServer(witness)))], {
      threshold: 1,
      newestSize: async () => 595,
      onFinding: (finding) => findings.push(finding),
    });
    witnesses.offer(noteOf(595));
    await until(() => findings.length > 0, "a finding");
    expect(findings).toEqual([expect.objectContaining({ code: "witness_ahead", seq: 595 })]);
  });
});

function clientOf(url: string, history = HISTORY): WitnessClient {
  const post = createPost();
  onTestFinished(() => post.close());
  return new WitnessClient({
    witness: { key: signer.key, url },
    post,
    prove: (from, to) => proofOf(history, from, to),
    now: () => NOW,
    timeoutMs: 500,
  });
}

function witnessesOf(
  clients: WitnessClient[],
  more: Partial<ConstructorParameters<typeof Witnesses>[0]>,
): Witnesses {
  const witnesses = new Witnesses({
    clients,
    threshold: 1,
    newestSize: async () => 600,
    onAnchored: () => {},
    onFinding: () => {},
    log: quiet,
    now: () => NOW,
    everyMs: 20,
    ...more,
  });
  onTestFinished(() => witnesses.stop());
  return witnesses;
}
