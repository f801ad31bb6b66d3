// Looking is recorded (PCI DSS 10.2.1.3): what was shown, exported or refused, and who signed in, become event entries of
// the ledger that it is about. The leaf says who (a credential's name), what kind, how much and which seqs; filters, texts
// and ids may be personal and go to the attachment `facts`, which is sealed. Views and denials wait in memory and are
// written together, so that reading never waits for writing: if we crash here, the last seconds of looking are lost.
// Exports and sign-ins are written before anything is given out. Whoever asks in a loop makes no more entries than others.

import type { EntryBody, EventName } from "../../ledger/entry.ts";
import type { Draft } from "../../storage/writer/recorded.ts";
import type { AuditContext, Auditor, Denial, Look } from "../context.ts";
import { Problem } from "../http/problem.ts";

/** Takes the entries of one ledger. */
export interface LookingLedger {
  append(draft: Draft<Extract<EntryBody, { type: "event" }>>): Promise<unknown>;
}

export interface LookingOptions {
  ledgers: ReadonlyMap<string, LookingLedger>;
  /** Learns what could not be written; it stays in memory and is tried again. */
  onError(error: unknown, ledger: string): void;
  /** How long views and denials wait for more of their kind. */
  batchMs?: number;
  /** The same for denials of whoever proved to be nobody: anyone can cause them. */
  strangerBatchMs?: number;
  /** Milliseconds of a clock that is never set back. */
  now?: () => number;
}

const BATCH_MS = 10_000;
const STRANGER_BATCH_MS = 60_000;
const MAX_FACTS = 50;
const MAX_FACT_LENGTH = 1000;
/** Exports of one auditor, of which each is an entry for ever. */
const MAX_EXPORTS = 30;
const EXPORTS_WITHIN_MS = 60_000;

interface Batch {
  readonly ledger: string;
  readonly name: Extract<EventName, "entries-viewed" | "access-denied">;
  readonly auditor: Auditor | undefined;
  /** How often, by kind of view or reason of denial. */
  readonly times: Map<string, number>;
  count: number;
  from: number | undefined;
  to: number | undefined;
  readonly facts: Map<string, object>;
  factsLeftOut: number;
  timer: NodeJS.Timeout | undefined;
}

/** Writes down who looked at what. */
export class Looking implements Pick<AuditContext, "looked" | "exporting" | "signedIn" | "denied"> {
  readonly #options: LookingOptions;
  readonly #batches = new Map<string, Batch>();
  readonly #writing = new Set<Promise<void>>();
  /** When each auditor's last exports were recorded. */
  readonly #exports = new Map<string, number[]>();
  #isStopped = false;

  constructor(options: LookingOptions) {
    this.#options = options;
  }

  /** See AuditContext. */
  looked(ledger: string, { auditor, kind, count, from, to, facts }: Look): void {
    const batch = this.#batchOf("entries-viewed", ledger, auditor);
    if (!batch) return;
    batch.times.set(kind, (batch.times.get(kind) ?? 0) + 1);
    batch.count += count;
    widen(batch, from, to);
    if (facts && Object.keys(facts).length > 0) keepFacts(batch, { kind, ...tidy(facts) });
  }

  /** See AuditContext. */
  denied({ auditor, ledger, reason }: Denial): void {
    // What is asked for and not there is told to the ledgers of whoever asked.
    const asked = ledger !== undefined && this.#options.ledgers.has(ledger) ? [ledger] : undefined;
    for (const name of asked ?? this.#ledgersOf(auditor)) {
      const batch = this.#batchOf("access-denied", name, auditor);
      batch?.times.set(reason, (batch.times.get(reason) ?? 0) + 1);
    }
  }

  /** See AuditContext. */
  async exporting(ledger: string, { auditor, kind, count, from, to, facts }: Look): Promise<void> {
    this.#countExport(auditor);
    const event = {
      ...whoOf(auditor),
      kind,
      ...(count > 0 && { entries: count }),
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
    };
    try {
      await this.#append(ledger, "export-made", event, facts && tidy(facts));
    } catch (cause) {
      const problem =
        "An export is recorded in the ledger first, which takes no entries now; nothing was exported.";
      throw new Problem("not_recorded", problem, { cause });
    }
  }

  /** See AuditContext. Recorded in every ledger that may be read; one that is away does not keep people from the others. */
  async signedIn(auditor: Auditor): Promise<void> {
    const names = this.#ledgersOf(auditor);
    const results = await Promise.allSettled(
      names.map((name) => this.#append(name, "signed-in", { ...whoOf(auditor), by: "link" })),
    );
    const failed = results.flatMap((result, i) =>
      result.status === "rejected" ? [{ reason: result.reason as unknown, name: names[i] ?? "" }] : [],
    );
    for (const { reason, name } of failed) this.#options.onError(reason, name);
    if (failed.length < results.length) return;
    throw new Problem(
      "not_recorded",
      "A sign-in is recorded first, and no ledger that this link is for takes entries now. The link is spent: make another.",
    );
  }

  /** Writes everything that waits, and takes no more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const key of [...this.#batches.keys()]) this.#write(key);
    await Promise.all(this.#writing);
  }

  /** @throws {Problem} rate_limited */
  #countExport({ auditor }: Auditor): void {
    const { now = () => performance.now() } = this.#options;
    const begin = now() - EXPORTS_WITHIN_MS;
    for (const [name, times] of this.#exports)
      if ((times.at(-1) ?? begin) <= begin) this.#exports.delete(name);
    const recent = (this.#exports.get(auditor) ?? []).filter((time) => time > begin);
    if (recent.length >= MAX_EXPORTS) {
      const problem = `At most ${MAX_EXPORTS} exports a minute: each is recorded for ever. Ask again in a minute, or for more at once.`;
      throw new Problem("rate_limited", problem);
    }
    this.#exports.set(auditor, [...recent, now()]);
  }

  #batchOf(name: Batch["name"], ledger: string, auditor: Auditor | undefined): Batch | undefined {
    if (this.#isStopped || !this.#options.ledgers.has(ledger)) return undefined;
    const key = JSON.stringify([name, ledger, auditor?.auditor ?? null]);
    const known = this.#batches.get(key);
    if (known) return known;
    const { batchMs = BATCH_MS, strangerBatchMs = STRANGER_BATCH_MS } = this.#options;
    const timer = setTimeout(() => this.#write(key), auditor ? batchMs : strangerBatchMs);
    timer.unref();
    const batch: Batch = {
      ledger,
      name,
      auditor,
      times: new Map(),
      count: 0,
      from: undefined,
      to: undefined,
      facts: new Map(),
      factsLeftOut: 0,
      timer,
    };
    this.#batches.set(key, batch);
    return batch;
  }

  #write(key: string): void {
    const batch = this.#batches.get(key);
    if (!batch) return;
    this.#batches.delete(key);
    clearTimeout(batch.timer);
    const writing = this.#append(batch.ledger, batch.name, eventOf(batch), factsOf(batch))
      .catch((error: unknown) => {
        this.#options.onError(error, batch.ledger);
        this.#keep(batch);
      })
      .finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
  }

  /** What could not be written is told with what comes next; a ledger that is closing takes nothing any more. */
  #keep({ name, ledger, auditor, times, count, from, to, facts, factsLeftOut }: Batch): void {
    const batch = this.#batchOf(name, ledger, auditor);
    if (!batch) return;
    for (const [kind, more] of times) batch.times.set(kind, (batch.times.get(kind) ?? 0) + more);
    batch.count += count;
    widen(batch, from, to);
    for (const fact of facts.values()) keepFacts(batch, fact);
    batch.factsLeftOut += factsLeftOut;
  }

  #ledgersOf(auditor: Auditor | undefined): string[] {
    const names = [...this.#options.ledgers.keys()];
    const readable = auditor?.ledgers ?? "*";
    return readable === "*" ? names : names.filter((name) => readable.has(name));
  }

  async #append(ledger: string, name: EventName, details: object, facts?: object): Promise<void> {
    const writer = this.#options.ledgers.get(ledger);
    if (!writer) throw new Error(`no ledger is called ${ledger}`);
    const bytes = facts && new TextEncoder().encode(JSON.stringify(facts));
    await writer.append({
      body: { type: "event", event: { name, ...details } },
      attachments: bytes ? [{ name: "facts", mediaType: "application/json", bytes }] : [],
    });
  }
}

function whoOf(auditor: Auditor | undefined): object {
  return auditor ? { auditor: auditor.auditor, role: auditor.role } : {};
}

function eventOf({ name, auditor, times, count, from, to }: Batch): object {
  const counted = Object.fromEntries(times);
  if (name === "access-denied") return { ...whoOf(auditor), reasons: counted };
  return {
    ...whoOf(auditor),
    kinds: counted,
    entries: count,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
}

function factsOf({ facts, factsLeftOut }: Batch): object | undefined {
  if (facts.size === 0) return undefined;
  return { looks: [...facts.values()], ...(factsLeftOut > 0 && { leftOut: factsLeftOut }) };
}

function widen(batch: Batch, from: number | undefined, to: number | undefined): void {
  if (from !== undefined) batch.from = Math.min(batch.from ?? from, from);
  if (to !== undefined) batch.to = Math.max(batch.to ?? to, to);
}

function keepFacts(batch: Batch, fact: object): void {
  const key = JSON.stringify(fact);
  if (batch.facts.has(key)) return;
  if (batch.facts.size < MAX_FACTS) batch.facts.set(key, fact);
  else batch.factsLeftOut++;
}

function tidy(facts: NonNullable<Look["facts"]>): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [
      name,
      typeof value === "string" && value.length > MAX_FACT_LENGTH
        ? `${value.slice(0, MAX_FACT_LENGTH)}…`
        : value,
    ]),
  );
}
