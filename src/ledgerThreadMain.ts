// A ledger's writer on a thread of its own, seen from the thread: unpacks appends, hands them to the writer, tells what
// became of them. It decides nothing.

import { isMainThread, parentPort, workerData } from "node:worker_threads";
import type { AppendMessage, FromThread, Settled, ThreadState, ToThread } from "./ledgerThread.ts";
import { createWriter, type WriterSettings } from "./ledgerWriter.ts";
import { AppendError } from "./storage/appendError.ts";
import type { LedgerWriter, WriterLog } from "./storage/writer.ts";

/** How often the state is looked at; what changed is told. */
const STATE_EVERY_MS = 50;

if (isMainThread || !parentPort) throw new Error("this file is a thread's, not a program's");
const port = parentPort;
const post = (message: FromThread) => port.postMessage(message);

const logAs = (level: keyof WriterLog) => (fields: object, message: string) =>
  post({ kind: "log", level, fields, message });
const log: WriterLog = { info: logAs("info"), warn: logAs("warn"), error: logAs("error") };

let settled: Settled[] = [];
let told = "";

// Passed as it was given by LedgerThread.
await serve(workerData as WriterSettings);

async function serve(settings: WriterSettings): Promise<void> {
  let writer: LedgerWriter;
  try {
    writer = createWriter(settings, log, {
      batchCommitted: (entries, durationMs) => post({ kind: "batch", entries, durationMs }),
    });
    await writer.start();
  } catch (cause) {
    const { name, message } = cause instanceof Error ? cause : new Error(String(cause));
    post({ kind: "not_started", name, message });
    port.close();
    return;
  }
  tellState(writer);
  const timer = setInterval(() => tellState(writer), STATE_EVERY_MS);
  port.on("message", async (message: ToThread) => {
    if (message.kind === "append") {
      // Written by LedgerThread of this very program.
      const appends = JSON.parse(message.appends) as AppendMessage[];
      for (const append of appends) take(writer, append, message.bytes);
      return;
    }
    await writer.stop();
    clearInterval(timer);
    tellSettled();
    tellState(writer);
    // Nothing keeps the thread any longer, so it ends.
    port.close();
  });
  post({ kind: "started" });
}

function take(writer: LedgerWriter, { id, body, attachments }: AppendMessage, bytes: ArrayBuffer): void {
  const draft = {
    body,
    attachments: attachments.map(({ at, size, ...rest }) => ({
      ...rest,
      bytes: new Uint8Array(bytes, at, size),
    })),
  };
  writer.append(draft).then(
    ({ seq, id: entryId }) => settle({ id, seq, entryId }),
    (error) => {
      if (!(error instanceof AppendError)) throw error;
      settle({ id, code: error.code, message: error.message, durable: error.durable });
    },
  );
}

/** What a batch settles goes over in one message. */
function settle(one: Settled): void {
  if (settled.push(one) === 1) setImmediate(tellSettled);
}

function tellSettled(): void {
  if (settled.length === 0) return;
  post({ kind: "settled", settled });
  settled = [];
}

function tellState(writer: LedgerWriter): void {
  const { status, size, openTransactions } = writer;
  const state: ThreadState = { status, size, openTransactions };
  const text = JSON.stringify(state);
  if (text === told) return;
  told = text;
  post({ kind: "state", state });
}
