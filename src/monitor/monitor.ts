// The monitor of one ledger: follows the head, goes through everything again at a measured pace, and looks at anchors,
// durability and clocks. What it finds becomes an alarm; it mends nothing and writes nothing itself. All state is the
// ledger's own or can be lost (the position of the pass). A database that is away is the writer's to tell of: here the
// look is repeated until it succeeds.

import { setTimeout as sleep } from "node:timers/promises";
import { fastVerify } from "../keys/fastVerify.ts";
import type { Entry } from "../ledger/entry.ts";
import type { Sha256 } from "../ledger/hash.ts";
import type { PublicKey } from "../ledger/key.ts";
import { type LogKey, makeLogKey } from "../ledger/note/verifierKey.ts";
import { rotatedKey } from "../ledger/rotation.ts";
import type { MonitorDatabase } from "../storage/monitorDatabase.ts";
import type { EntryReader } from "../storage/reader.ts";
import type { TreeStore } from "../storage/tree/treeStore.ts";
import type { Alarms, Finding } from "./alarm/alarm.ts";
import { endsWithPass } from "./alarm/alarmCodes.ts";
import { parseAlarmEvent } from "./alarm/alarmEvent.ts";
import { readHistory } from "./monitorEvents.ts";
import { HeadFollower } from "./monitorHead.ts";
import { RollingPass } from "./monitorPass.ts";
import { type Position, readPosition, writePosition } from "./monitorPosition.ts";

export interface MonitorLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface MonitorOptions {
  ledger: string;
  origin: string;
  pinned: readonly PublicKey[];
  reader: EntryReader;
  store: TreeStore;
  database: MonitorDatabase;
  alarms: Alarms;
  digest: Sha256;
  /**
   * Whether this process recorded the leaf with this hash: such an entry's signature is left to the rolling pass. Default:
   * nothing is known.
   */
  isRecorded?(seq: number, leafHash: Uint8Array): boolean;
  log: MonitorLog;
  /** Epoch milliseconds. */
  now(): number;
  /** Where the rolling pass keeps its place; its directory exists. */
  positionFile: string;
  /** Pace of the rolling pass; configuration `monitor.entriesPerSecond`. */
  entriesPerSecond: number;
  /** Checks the ledger against every anchor; the first finding (see AnchorKeeper.check). */
  checkAnchors?(): Promise<Finding | undefined>;
  /** Keeps how far the ledger reaches beyond anchors that it does not continue (see AnchorMark.follow). */
  keepReach?(): Promise<void>;
  /** Share of one core that the pass may take at most. */
  maxCoreShare?: number;
  headEveryMs?: number;
  /** Between two passes. */
  passPauseMs?: number;
}

export interface MonitorStatus {
  /** Entries up to here were verified as they came. */
  verified: number;
  pass: { next: number; startedAt: number } | undefined;
  /** The last pass that began at the first entry and reached the end. */
  lastWhole: { finishedAt: number; size: number } | undefined;
}

const MAX_CORE_SHARE = 0.05;
/**
 * Following the head may take this much of a core. What comes faster for longer than seconds is verified later: traffic must
 * not wait for its verification.
 */
const MAX_HEAD_SHARE = 0.2;
const HEAD_EVERY_MS = 1_000;
const PASS_PAUSE_MS = 2_000;
const AFTER_FAILURE_MS = 3_000;
const SERVER_EVERY_MS = 10_000;
const ANCHORS_EVERY_MS = 60_000;
const SAVE_EVERY_MS = 10_000;
const CLOCK_TOLERANCE_MS = 5_000;
const BLIND_AFTER_MS = 60_000;

export class Monitor {
  readonly #options: MonitorOptions;
  readonly #head: HeadFollower;
  readonly #logKeys: LogKey[] = [];
  readonly #rotations: number[] = [];
  readonly #stopping = new AbortController();
  /** Checks that do not go through, and since when. */
  readonly #failing = new Map<string, number>();
  #breath = { cpu: process.threadCpuUsage(), at: performance.now() };
  #pass: RollingPass | undefined;
  /** A pass of this process came to its end: the next one begins at the first entry. */
  #hasPassed = false;
  #passStartedAt = 0;
  #lastWhole: MonitorStatus["lastWhole"];
  #serverAt = Number.NEGATIVE_INFINITY;
  #anchorsAt = Number.NEGATIVE_INFINITY;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: MonitorOptions) {
    this.#options = options;
    const { reader, store, origin, pinned, digest, isRecorded } = options;
    this.#head = new HeadFollower({
      reader,
      store,
      origin,
      digest,
      verifier: { origin, pinned, verify: fastVerify, digest, ...(isRecorded && { isSigned: isRecorded }) },
      logKeys: () => this.#logKeys,
      rotations: () => this.#rotations,
      onEntry: (claims) => this.#follow(claims),
      breathe: () => this.#breathe(),
    });
  }

  /** Every key that may have signed checkpoints: of the pinned keys and of the rotations known so far. */
  get logKeys(): readonly LogKey[] {
    return this.#logKeys;
  }

  get status(): MonitorStatus {
    const pass = this.#pass && { next: this.#pass.next, startedAt: this.#passStartedAt };
    return { verified: this.#head.verified, pass, lastWhole: this.#lastWhole };
  }

  /**
   * Resolves once the alarms of earlier runs are known, so that a blocked ledger is blocked from the beginning; the
   * checks run from then on. Rejects if the ledger cannot be read.
   */
  async start(): Promise<void> {
    const { database, origin, pinned, alarms } = this.#options;
    const history = await readHistory((after, limit) => database.events(after, limit), { origin, pinned });
    for (const key of history.keys) this.#logKeys.push(makeLogKey(origin, key.bytes));
    this.#rotations.push(...history.rotations);
    for (const { event, time } of history.alarms) alarms.apply(event, time);
    this.#running = Promise.all([this.#followHead(), this.#passOverAndOver()]);
  }

  /** Ends both loops and the session. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#attempt("reach", async () => this.#options.keepReach?.());
    await this.#options.database.close();
  }

  /** What every entry that the head follower verified may mean for the monitor itself. */
  #follow(claims: Entry): void {
    if (claims.type !== "event") return;
    const key = rotatedKey(claims);
    if (key && !this.#rotations.includes(claims.seq)) {
      this.#logKeys.push(makeLogKey(this.#options.origin, key.bytes));
      this.#rotations.push(claims.seq);
    }
    const event = parseAlarmEvent(claims.event);
    if (event) this.#options.alarms.apply(event, claims.time);
  }

  async #followHead(): Promise<void> {
    const { alarms, headEveryMs = HEAD_EVERY_MS } = this.#options;
    while (!this.#stopping.signal.aborted) {
      await this.#attempt("head", async () => this.#raise(await this.#head.look()));
      await this.#attempt("server", () => this.#checkServer());
      if (performance.now() - this.#anchorsAt > ANCHORS_EVERY_MS)
        await this.#attempt("anchors", () => this.#checkAnchors());
      await this.#attempt("reach", async () => this.#options.keepReach?.());
      await alarms.recordPending();
      await this.#pause(headEveryMs);
    }
  }

  async #checkServer(): Promise<void> {
    if (performance.now() - this.#serverAt < SERVER_EVERY_MS) return;
    const { database, alarms, now } = this.#options;
    const { weakness, clockOffsetMs } = await database.inspect(now);
    this.#serverAt = performance.now();
    if (weakness === undefined) alarms.forget(({ code }) => code === "database_weak");
    else alarms.raise({ code: "database_weak", detail: weakness });
    if (Math.abs(clockOffsetMs) <= CLOCK_TOLERANCE_MS)
      alarms.forget(({ code, seq }) => code === "clock_anomaly" && seq === undefined);
    else {
      const detail = `the database's clock is ${Math.round(clockOffsetMs / 1000)} s from this machine's`;
      alarms.raise({ code: "clock_anomaly", detail });
    }
  }

  async #checkAnchors(): Promise<void> {
    const { checkAnchors, alarms } = this.#options;
    this.#anchorsAt = performance.now();
    if (!checkAnchors) return;
    const finding = await checkAnchors();
    if (finding) alarms.raise(finding);
    else alarms.forget(({ code }) => code.startsWith("anchor_"));
  }

  async #passOverAndOver(): Promise<void> {
    const { positionFile, passPauseMs = PASS_PAUSE_MS } = this.#options;
    while (!this.#stopping.signal.aborted) {
      // After a failure as after a restart: on from where the file says.
      const position =
        this.#hasPassed && !this.#failing.has("pass") ? undefined : await readPosition(positionFile);
      const isOver = await this.#attempt("pass", () => this.#passOnce(position));
      this.#pass = undefined;
      await this.#pause(isOver ? passPauseMs : AFTER_FAILURE_MS);
    }
  }

  async #passOnce(position: Position | undefined): Promise<void> {
    const { reader, store, database, origin, pinned, digest, alarms, now } = this.#options;
    const pass = await RollingPass.begin(
      {
        reader,
        store,
        database,
        origin,
        digest,
        verifier: { origin, pinned, verify: fastVerify, digest },
        logKeys: () => this.#logKeys,
      },
      position,
    );
    this.#pass = pass;
    this.#passStartedAt = now();
    await this.#checkAnchors();
    const found = new Set<string>();
    const firstOf = new Map<string, number>();
    let savedAt = performance.now();
    for (let isDone = false; !isDone; ) {
      if (this.#stopping.signal.aborted) {
        await this.#save(pass);
        return;
      }
      const startedAt = performance.now();
      const cpu = process.threadCpuUsage();
      const step = await pass.step();
      const { user, system } = process.threadCpuUsage(cpu);
      for (const { code, seq = 0 } of step.findings) {
        found.add(`${code} ${seq}`);
        firstOf.set(code, Math.min(firstOf.get(code) ?? seq, seq));
      }
      this.#raise(step.findings);
      isDone = step.isDone;
      if (performance.now() - savedAt > SAVE_EVERY_MS) {
        savedAt = performance.now();
        await this.#save(pass);
      }
      if (!isDone)
        await this.#pause(this.#paceMs(step.count, (user + system) / 1000, performance.now() - startedAt));
    }
    this.#hasPassed = true;
    if (!pass.isWhole) return;
    this.#lastWhole = { finishedAt: now(), size: pass.next };
    alarms.forget(
      ({ code, seq = 0 }) =>
        endsWithPass(code) && !found.has(`${code} ${seq}`) && !isHidden({ code, seq }, firstOf),
    );
  }

  async #save({ position }: RollingPass): Promise<void> {
    if (position) await writePosition(this.#options.positionFile, position);
  }

  /** False when everything ends: a stop does not wait for what a long burst left to verify. */
  async #breathe(): Promise<boolean> {
    const { user, system } = process.threadCpuUsage(this.#breath.cpu);
    const restMs = (user + system) / 1000 / MAX_HEAD_SHARE - (performance.now() - this.#breath.at);
    await this.#pause(Math.max(restMs, 0));
    this.#breath = { cpu: process.threadCpuUsage(), at: performance.now() };
    return !this.#stopping.signal.aborted;
  }

  /** How long to rest after a step, for the pace and for the share of a core. */
  #paceMs(count: number, cpuMs: number, elapsedMs: number): number {
    const { entriesPerSecond, maxCoreShare = MAX_CORE_SHARE } = this.#options;
    return Math.max(0, (count / entriesPerSecond) * 1000 - elapsedMs, cpuMs / maxCoreShare - elapsedMs);
  }

  #raise(findings: readonly Finding[]): void {
    for (const finding of findings) this.#options.alarms.raise(finding);
  }

  /** Whether it went through. A database that is away is told of once. */
  async #attempt(check: string, action: () => Promise<void>): Promise<boolean> {
    const { ledger, log, alarms } = this.#options;
    try {
      await action();
      if (this.#failing.delete(check)) {
        log.info({ ledger, check }, "monitor goes on");
        if (this.#failing.size === 0) alarms.forget(({ code }) => code === "monitor_blind");
      }
      return true;
    } catch (cause) {
      const error = cause instanceof Error ? cause.message : "error";
      const since = this.#failing.get(check);
      if (since === undefined) {
        this.#failing.set(check, performance.now());
        log.warn({ ledger, check, error }, "monitor cannot look; it tries again");
      } else if (performance.now() - since > BLIND_AFTER_MS && !this.#failing.has("server")) {
        // The database answers, and yet the check does not come to an end: perhaps somebody wants it so.
        alarms.raise({
          code: "monitor_blind",
          detail: `the check "${check}" fails again and again: ${error}`,
        });
      }
      return false;
    }
  }

  async #pause(ms: number): Promise<void> {
    try {
      await sleep(ms, undefined, { signal: this.#stopping.signal });
    } catch (cause) {
      // A stop ends the pause; the loop sees why.
      if (!this.#stopping.signal.aborted) throw cause;
    }
  }
}

/**
 * Whether a pass would not have told of this though it were still so: of the checkpoints that sign another tree it names
 * the first, of those beyond the end one, and behind a gap it knows nothing of the tree. `firstOf`: by code, where it
 * found that first.
 */
function isHidden(
  { code, seq }: { code: string; seq: number },
  firstOf: ReadonlyMap<string, number>,
): boolean {
  const isBehind = (other: string) => (firstOf.get(other) ?? Number.POSITIVE_INFINITY) < seq;
  if (code === "checkpoint_ahead") return firstOf.has(code);
  if (code === "checkpoint_mismatch") return isBehind(code) || isBehind("missing");
  return code.startsWith("tile_") && isBehind("missing");
}
