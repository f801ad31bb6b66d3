// The watch thread, seen from inside: makes a watch for each ledger, passes on what they say and ask for.

import { constants, setPriority } from "node:os";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { LedgerWatch, type WatchSettings } from "./ledgerWatch.ts";
import type { AlarmEvent } from "./monitor/alarm/alarmEvent.ts";
import type { WriterLog } from "./storage/writer/writer.ts";
import type { FromWatch, ToWatch } from "./watchThread.ts";

/** How often the states are looked at; what changed is told. */
const STATE_EVERY_MS = 500;

if (isMainThread || !parentPort) throw new Error("this file is a thread's, not a program's");
const port = parentPort;
const post = (message: FromWatch) => port.postMessage(message);

const logAs = (level: keyof WriterLog) => (fields: object, message: string) =>
  post({ kind: "log", level, fields: cloneable(fields), message });
const log: WriterLog = { info: logAs("info"), warn: logAs("warn"), error: logAs("error") };

const recording = new Map<number, { resolve(): void; reject(error: Error): void }>();
let nextId = 1;

// Verification gives way to traffic. On Linux this is about the calling thread; elsewhere it would slow the whole process.
if (process.platform === "linux") setPriority(constants.priority.PRIORITY_LOW);

// Passed as it was given by WatchThread.
await serve(workerData as readonly WatchSettings[]);

async function serve(ledgers: readonly WatchSettings[]): Promise<void> {
  const watches = new Map<string, { watch: LedgerWatch; tell(): void }>();
  // Before the watches start: an alarm at the start is recorded, and its answer comes this way.
  port.on("message", (message: ToWatch) => {
    if (message.kind === "recorded") settle(message);
    else void stop();
  });
  const stop = async () => {
    clearInterval(timer);
    for (const { watch } of watches.values()) await watch.stop();
    // Nothing keeps the thread any longer, so it ends.
    port.close();
  };
  const timer = setInterval(() => {
    for (const { tell } of watches.values()) tell();
  }, STATE_EVERY_MS);
  try {
    for (const settings of ledgers) {
      const { ledger } = settings.writer;
      let told = "";
      const watch = new LedgerWatch(settings, {
        log,
        record: (event) => record(ledger, event),
        onRaised: (alarm) => post({ kind: "raised", ledger, alarm }),
        onChange: () => watches.get(ledger)?.tell(),
      });
      const tell = () => {
        const { state } = watch;
        const text = JSON.stringify(state);
        if (text === told) return;
        told = text;
        post({ kind: "state", ledger, state });
      };
      watches.set(ledger, { watch, tell });
      await watch.start();
      tell();
    }
  } catch (cause) {
    const { name, message } = cause instanceof Error ? cause : new Error(String(cause));
    post({ kind: "not_started", name, message });
    await stop();
    return;
  }
  post({ kind: "started" });
}

function record(ledger: string, event: AlarmEvent): Promise<void> {
  const id = nextId++;
  return new Promise((resolve, reject) => {
    recording.set(id, { resolve, reject });
    post({ kind: "record", id, ledger, event });
  });
}

function settle({ id, error }: Extract<ToWatch, { kind: "recorded" }>): void {
  const waiting = recording.get(id);
  recording.delete(id);
  if (error === undefined) waiting?.resolve();
  else waiting?.reject(new Error(error));
}

/** Errors do not cross between threads as they are. */
function cloneable(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      value instanceof Error ? { type: value.name, message: value.message } : value,
    ]),
  );
}
