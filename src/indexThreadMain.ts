// The index thread, seen from inside: makes an indexer for each ledger and passes on where they stand.

import { constants, setPriority } from "node:os";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { Indexer, indexVersion, NOTHING_INDEXED } from "./indexer/indexer.ts";
import type { FromIndex, IndexSettings, ToIndex } from "./indexThread.ts";
import { createAttachmentOpener } from "./keys/attachmentOpen.ts";
import { createIndexKey } from "./keys/indexKey.ts";
import { KeyError } from "./keys/keyFile.ts";
import { loadSealingKey } from "./keys/sealingKey.ts";
import { loadTokenKey } from "./keys/tokenKey.ts";
import { recordedId } from "./proxy/draft.ts";
import { IndexWriter } from "./storage/index/indexWriter.ts";
import { LedgerReader } from "./storage/reader.ts";
import type { WriterLog } from "./storage/writer/writer.ts";

/** How often the positions are looked at; what changed is told. */
const TELL_EVERY_MS = 250;
const TIMEOUT_MS = 30_000;

if (isMainThread || !parentPort) throw new Error("this file is a thread's, not a program's");
const port = parentPort;
const post = (message: FromIndex) => port.postMessage(message);

const logAs = (level: keyof WriterLog) => (fields: object, message: string) =>
  post({ kind: "log", level, fields, message });
const log: WriterLog = { info: logAs("info"), warn: logAs("warn"), error: logAs("error") };

// The index gives way to traffic. On Linux this is about the calling thread; elsewhere it would slow the whole process.
if (process.platform === "linux") setPriority(constants.priority.PRIORITY_LOW);

// Passed as it was given by IndexThread.
serve(workerData as readonly IndexSettings[]);

function serve(ledgers: readonly IndexSettings[]): void {
  const told = new Map<string, string>();
  const running = ledgers.flatMap((settings) => {
    const opened = tryOpen(settings);
    return opened ? [{ settings, ...opened }] : [];
  });
  const tell = () => {
    for (const { settings, indexer } of running) {
      const { ledger } = settings;
      const position = indexer.position();
      const text = JSON.stringify(position);
      if (told.get(ledger) === text) continue;
      told.set(ledger, text);
      post({ kind: "position", ledger, position });
    }
  };
  const timer = setInterval(tell, TELL_EVERY_MS);
  port.on("message", (_message: ToIndex) => void stop());
  const stop = async () => {
    clearInterval(timer);
    for (const { indexer, reader } of running) {
      await indexer.stop();
      await reader.close();
    }
    tell();
    // Nothing keeps the thread any longer, so it ends.
    port.close();
  };
  for (const { indexer } of running) indexer.start();
}

/** Without a key that it can use a ledger has no index; the others have theirs. */
function tryOpen(settings: IndexSettings) {
  try {
    return open(settings);
  } catch (cause) {
    if (!(cause instanceof KeyError)) throw cause;
    const { ledger } = settings;
    log.error({ ledger, detail: cause.message }, "the ledger has no index: a key file cannot be used");
    post({
      kind: "position",
      ledger,
      position: { ...NOTHING_INDEXED, state: "failing", error: "key_unusable" },
    });
    return undefined;
  }
}

function open(settings: IndexSettings): { indexer: Indexer; reader: LedgerReader } {
  const { ledger, origin, connectors, coreShare } = settings;
  const sealingKey = loadSealingKey(settings.sealingKeyFile, origin);
  const key = createIndexKey(sealingKey.derive);
  const tokenKey = loadTokenKey(settings.tokenKeyFile, origin);
  const reader = new LedgerReader(ledger, settings.reader, {
    connections: 1,
    timeoutMs: TIMEOUT_MS,
    opener: createAttachmentOpener(sealingKey, origin),
  });
  const writer = new IndexWriter({
    ledger,
    database: settings.writer,
    sealer: key,
    version: indexVersion(key.id),
    timeoutMs: TIMEOUT_MS,
  });
  const indexer = new Indexer({
    ledger,
    reader,
    writer,
    recordedId: (connector, id) => recordedId({ connector, ids: idsOf(connectors, connector), tokenKey }, id),
    coreShare,
    log,
  });
  return { indexer, reader };
}

function idsOf(connectors: IndexSettings["connectors"], connector: string): "opaque" | "personal" {
  return (Object.hasOwn(connectors, connector) ? connectors[connector] : undefined) ?? "personal";
}
