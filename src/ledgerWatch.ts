// Everything that watches one ledger beside its writer: the publisher of its tree, the anchors, the witnesses, the
// monitor, the alarms and their webhooks. It holds no state of its own and writes no entries itself: what must stand in
// the ledger it asks the writer for. Runs on the watch thread, so that verifying never takes a turn from the traffic.

import { join } from "node:path";
import { createAttachmentOpener } from "./keys/attachmentOpen.ts";
import { fastVerify } from "./keys/fastVerify.ts";
import { loadPinned } from "./keys/keyring.ts";
import { loadSealingKey } from "./keys/sealingKey.ts";
import { loadSigner } from "./keys/signer.ts";
import { type LogKey, makeLogKey, parseVerifierKey, type WitnessKey } from "./ledger/note/verifierKey.ts";
import { proveConsistency } from "./ledger/tree/tileProof.ts";
import { reloadSigner, type WriterSettings } from "./ledgerWriter.ts";
import { type Alarm, Alarms } from "./monitor/alarm/alarm.ts";
import { endsWhenPublished } from "./monitor/alarm/alarmCodes.ts";
import type { AlarmEvent } from "./monitor/alarm/alarmEvent.ts";
import { takeTurns } from "./monitor/alarm/alarmTurn.ts";
import { Webhooks, type WebhookTarget } from "./monitor/alarm/webhook.ts";
import { dataDirAnchor, directoryAnchor } from "./monitor/anchor/anchorFile.ts";
import { AnchorKeeper } from "./monitor/anchor/anchorKeeper.ts";
import { AnchorMark } from "./monitor/anchor/anchorMark.ts";
import { UrlAnchor } from "./monitor/anchor/anchorUrl.ts";
import { Monitor } from "./monitor/monitor.ts";
import { createPost } from "./monitor/post.ts";
import { Publisher } from "./monitor/publisher/publisher.ts";
import { WitnessClient, Witnesses } from "./monitor/witness/witnessClient.ts";
import { newUuid, nodeSha256 } from "./nodeCrypto.ts";
import { RecordedLeaves } from "./recordedLeaves.ts";
import { MonitorDatabase } from "./storage/monitorDatabase.ts";
import type { DatabaseAddress } from "./storage/postgres.ts";
import { LedgerReader } from "./storage/reader.ts";
import { type StoredCheckpoint, TreeStore } from "./storage/tree/treeStore.ts";
import type { WriterLog } from "./storage/writer/writer.ts";

/** Plain data; holds connection strings and secrets, so never to be logged. */
export interface WatchSettings {
  writer: WriterSettings;
  /** Of `RecordedLeaves`. */
  recorded: SharedArrayBuffer;
  reader: DatabaseAddress;
  dataDir: string;
  publish: { intervalMs: number; heartbeatMs: number };
  anchors: { directories: readonly string[]; url?: { url: string; token?: string } };
  witnesses: { threshold: number; list: readonly { vkey: string; url: string }[] };
  monitor: { onTamper: "refuse" | "alarm"; entriesPerSecond: number };
  webhooks: readonly WebhookTarget[];
}

/** What the rest of the process knows of it. */
export interface WatchState {
  /** The alarm for which the ledger must take no writes. */
  blocked?: Alarm;
  alarms: readonly Alarm[];
  /** Findings about tampering that were acknowledged and are not known to be mended. */
  acknowledged: number;
  /** Entries verified as they came. */
  verified: number;
  /** The tree of this size counts as anchored; 0: none does. */
  anchored: number;
  /** Leaves under the newest checkpoint. */
  published: number;
  /** The newest checkpoint that has the cosignatures its policy asks for, with them. */
  cosigned?: Cosigned;
}

/** A checkpoint's size, and its signed note. */
export interface Cosigned {
  size: number;
  note: string;
}

/** Before anything was looked at. */
export const NOTHING_WATCHED: WatchState = {
  alarms: [],
  acknowledged: 0,
  verified: 0,
  anchored: 0,
  published: 0,
};

export interface WatchDeps {
  log: WriterLog;
  /** Appends an event entry; resolves when its commit is proved. */
  record(event: AlarmEvent): Promise<unknown>;
  onRaised(alarm: Alarm): void;
  /** Whatever may have changed the state. */
  onChange(): void;
}

const TIMEOUT_MS = 30_000;

export class LedgerWatch {
  readonly #reader: LedgerReader;
  readonly #tree: TreeStore;
  readonly #keeper: AnchorKeeper;
  readonly #mark: AnchorMark;
  readonly #database: MonitorDatabase;
  readonly #witnesses: Witnesses;
  readonly #isWitnessed: boolean;
  readonly #alarms: Alarms;
  readonly #monitor: Monitor;
  readonly #publisher: Publisher;
  readonly #webhooks: Webhooks;
  readonly #post = createPost();
  #cosigned: Cosigned | undefined;

  constructor(settings: WatchSettings, deps: WatchDeps) {
    const { writer, reader, dataDir, publish, monitor } = settings;
    const { ledger, origin } = writer;
    const { log } = deps;
    const pinned = loadPinned(writer.pinnedKeyFiles);
    const { now } = Date;
    const digest = nodeSha256;
    const opener = createAttachmentOpener(loadSealingKey(writer.sealingKeyFile, origin), origin);
    this.#reader = new LedgerReader(ledger, reader, { connections: 2, timeoutMs: TIMEOUT_MS, opener });
    this.#tree = new TreeStore(ledger, reader, { connections: 2, timeoutMs: TIMEOUT_MS, digest });
    this.#webhooks = new Webhooks({ targets: settings.webhooks, post: this.#post, now, log });
    const database = new MonitorDatabase(ledger, reader, { timeoutMs: TIMEOUT_MS });
    this.#database = database;
    this.#mark = new AnchorMark(join(dataDir, `anchor-mark-${ledger}.json`), this.#tree);
    this.#alarms = new Alarms({
      ledger,
      onTamper: monitor.onTamper,
      record: deps.record,
      turn: takeTurns({ database, ledger, origin, pinned, log }),
      log,
      onRecorded: ({ code }) => {
        if (!isAnchorCode(code)) return;
        this.#mark
          .told()
          .catch((cause) => log.warn({ err: cause }, "cannot keep that an alarm was recorded"));
      },
      onRaised: (alarm) => {
        deps.onRaised(alarm);
        deps.onChange();
      },
      notify: (alarm, isBlocked) => this.#webhooks.raise(alarm, { name: ledger, origin, isBlocked }),
      uuid: newUuid,
      now,
    });
    const onFinding = this.#alarms.raise.bind(this.#alarms);
    const keys = async (): Promise<LogKey[]> =>
      (await this.#tree.keys(pinned, fastVerify)).all.map(({ bytes }) => makeLogKey(origin, bytes));
    this.#keeper = new AnchorKeeper({
      anchors: anchorsOf(dataDir, ledger, settings.anchors),
      tree: this.#tree,
      keys,
      verify: fastVerify,
      digest,
      now,
      log,
      onFinding,
      mark: this.#mark,
      onNews: () => this.#alarms.forget(({ code }) => isAnchorCode(code)),
    });
    this.#witnesses = new Witnesses({
      clients: settings.witnesses.list.map(
        ({ vkey, url }) =>
          new WitnessClient({
            witness: { key: witnessKeyOf(vkey), url },
            post: this.#post,
            prove: (from, to) => proveConsistency({ size: to, reader: this.#tree }, from, to, digest),
            now,
          }),
      ),
      threshold: settings.witnesses.threshold,
      newestSize: async () => (await this.#tree.latestCheckpoint())?.size ?? 0,
      // An anchor keeps what the witnesses said, too.
      onAnchored: (note, { size, root }) => {
        this.#keeper.keep({ size, root, note });
        this.#cosigned = { size, note };
        deps.onChange();
      },
      onFinding,
      log,
      now,
    });
    this.#isWitnessed = settings.witnesses.threshold > 0;
    this.#publisher = new Publisher({
      ledger,
      origin,
      database: writer.database,
      signer: loadSigner(writer.signingKeyFile),
      reloadSigner: async (expected) => reloadSigner(writer.signingKeyFile, expected),
      pinned,
      verify: fastVerify,
      digest,
      intervalMs: publish.intervalMs,
      heartbeatMs: publish.heartbeatMs,
      now,
      log,
      guard: () => this.#keeper.check(),
      onCheckpoint: (checkpoint) => this.#published(checkpoint),
      onFinding,
    });
    const recorded = new RecordedLeaves(settings.recorded);
    this.#monitor = new Monitor({
      ledger,
      origin,
      pinned,
      reader: this.#reader,
      store: this.#tree,
      database,
      alarms: this.#alarms,
      digest,
      isRecorded: (seq, leafHash) => recorded.has(seq, leafHash),
      log,
      now,
      positionFile: join(dataDir, `monitor-${ledger}.json`),
      entriesPerSecond: monitor.entriesPerSecond,
      checkAnchors: () => this.#keeper.check(),
      keepReach: () => this.#mark.follow(),
    });
  }

  get state(): WatchState {
    const blocked = this.#alarms.isBlocked();
    return {
      ...(blocked ? { blocked } : {}),
      alarms: this.#alarms.open,
      acknowledged: this.#alarms.acknowledged,
      verified: this.#monitor.status.verified,
      anchored: this.#isWitnessed ? this.#witnesses.status.anchoredTo : this.#keeper.size,
      published: this.#publisher.status.size,
      ...(this.#cosigned ? { cosigned: this.#cosigned } : {}),
    };
  }

  /**
   * Resolves when this ledger may be written as far as the anchors and earlier alarms say; what is found then shows in
   * `state.blocked`. Rejects if the ledger cannot be read.
   */
  async start(): Promise<void> {
    await this.#monitor.start();
    await this.#keeper.check();
    await this.#publisher.start();
  }

  /** Ends everything in good order. */
  async stop(): Promise<void> {
    await this.#publisher.stop();
    await this.#monitor.stop();
    await this.#witnesses.stop();
    await this.#keeper.settled();
    await this.#alarms.settled();
    await this.#mark.settled();
    // A finding of the last moment may have opened it again.
    await this.#database.close();
    this.#webhooks.stop();
    this.#post.close();
    await this.#reader.close();
    await this.#tree.close();
  }

  #published(checkpoint: StoredCheckpoint): void {
    // It goes on from all that was published before: what was cut off is back, or none of its traces is left here.
    this.#alarms.forget(({ code }) => endsWhenPublished(code));
    this.#keeper.keep(checkpoint);
    this.#witnesses.offer(checkpoint.note);
  }
}

function isAnchorCode(code: string): boolean {
  return code.startsWith("anchor_");
}

function anchorsOf(dataDir: string, ledger: string, { directories, url }: WatchSettings["anchors"]) {
  const token = url?.token;
  return [
    dataDirAnchor(dataDir, ledger),
    ...directories.map((directory) => directoryAnchor(directory, ledger)),
    ...(url ? [new UrlAnchor({ url: url.url, ...(token === undefined ? {} : { token: () => token }) })] : []),
  ];
}

function witnessKeyOf(vkey: string): WitnessKey {
  const key = parseVerifierKey(vkey);
  // The configuration was checked when it was read.
  if (typeof key === "string" || key.type !== "witness") throw new Error(`${vkey} is not a witness's key`);
  return key;
}
