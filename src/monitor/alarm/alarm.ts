// Alarms: what the monitor found, said once and remembered until a person has taken note. An alarm is an event entry of
// the ledger itself, a line in the log, a metric and a webhook; while one about tampering is open and the policy is
// `refuse`, the ledger takes no writes. State comes from the ledger's own verified event entries, so it survives a
// restart and is the same for all instances. The adversary may cause floods of findings: open alarms are bounded.

import { isAtEnd, isTamper } from "./alarmCodes.ts";
import { type AlarmEvent, formatAcknowledged, formatRaised } from "./alarmEvent.ts";

/**
 * Runs a recording when no other instance records, and gives it the alarms that are open in the ledger by then. May come
 * back without having run it: it is another's turn. Rejects only with what `record` throws.
 */
export type RecordTurn = (record: (open: readonly AlarmEvent[]) => Promise<void>) => Promise<void>;

/** Something that is not as it must be. */
export interface Finding {
  /** From a closed set; the label of the metric. */
  code: string;
  /** The entry that it is about, if it is about one. */
  seq?: number;
  /** For people; no secret, no personal data. */
  detail: string;
}

/** A finding that was raised. */
export interface Alarm extends Finding {
  /** UUID; what `scimseal doctor --acknowledge --alarm` takes. */
  id: string;
  /** RFC 3339; empty for an alarm that was read from the ledger by its event alone. */
  raisedAt: string;
}

export interface AlarmLog {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

export interface AlarmsOptions {
  ledger: string;
  /** `refuse`: an open alarm about tampering blocks the ledger for writes. */
  onTamper: "refuse" | "alarm";
  /** Appends the event entry; resolves when its commit is proved, rejects when the ledger cannot be written now. */
  record(event: AlarmEvent): Promise<unknown>;
  log: AlarmLog;
  /** For the metric. */
  onRaised?(alarm: Alarm): void;
  /** Without it every instance records what it finds. */
  turn?: RecordTurn;
  /** Alarms about this code and seq stand in the ledger, ours or another instance's. */
  onRecorded?(finding: { code: string; seq?: number }): void;
  /** For the webhooks. Not called for what another instance recorded first: that one tells. */
  notify?(alarm: Alarm, isBlocked: boolean): void;
  uuid(): string;
  /** Epoch milliseconds. */
  now(): number;
}

const MAX_OPEN = 100;
const MAX_DETAIL = 300;
/** The webhooks are told after so long whatever becomes of the recording. */
const TELL_WITHIN_MS = 5_000;

/** The alarms of one ledger. */
export class Alarms {
  readonly #options: AlarmsOptions;
  readonly #open = new Map<string, Alarm>();
  /** Ids that are not in the ledger yet. */
  readonly #unrecorded = new Set<string>();
  /** The one of them that the writer has now. */
  #inFlight: string | undefined;
  /** By id, what the webhooks were not told of yet. */
  readonly #untold = new Map<string, { alarm: Alarm; timer: NodeJS.Timeout }>();
  /** Every id ever met: the ledger tells of our own alarms too, and of old ones again after a restart. */
  readonly #met = new Set<string>();
  /** What was acknowledged and is still found at every pass: known, not news. */
  readonly #acknowledged = new Set<string>();
  #suppressed = 0;
  #recording: Promise<void> | undefined;
  #following: Promise<void> | undefined;

  constructor(options: AlarmsOptions) {
    this.#options = options;
  }

  /** Raised and not acknowledged, the oldest first. */
  get open(): readonly Alarm[] {
    return [...this.#open.values()];
  }

  /** Findings about tampering that were acknowledged, and that no later check has shown to be mended. */
  get acknowledged(): number {
    return [...this.#acknowledged].filter((key) => isTamper(parseKey(key).code)).length;
  }

  /** Findings that were not raised because too many alarms are open. */
  get suppressed(): number {
    return this.#suppressed;
  }

  /** The alarm for which the ledger must take no writes; undefined if it may. */
  isBlocked(): Alarm | undefined {
    if (this.#options.onTamper !== "refuse") return undefined;
    return this.open.find(({ code }) => isTamper(code));
  }

  /** Raises an alarm, unless one about the same is open, or acknowledged and found ever since. */
  raise(finding: Finding): void {
    if (this.#isAcknowledged(finding) || this.open.some((alarm) => isSame(alarm, finding))) return;
    const { log, ledger, uuid, now } = this.#options;
    if (this.#open.size >= MAX_OPEN) {
      if (this.#suppressed++ === 0)
        log.error({ ledger, open: MAX_OPEN }, "too many alarms: further findings are only counted");
      return;
    }
    const alarm: Alarm = {
      ...finding,
      detail: tidy(finding.detail),
      id: uuid(),
      raisedAt: new Date(now()).toISOString(),
    };
    this.#met.add(alarm.id);
    this.#open.set(alarm.id, alarm);
    this.#unrecorded.add(alarm.id);
    const { id, code, seq, detail } = alarm;
    const isBlocking = this.isBlocked() !== undefined;
    log.error({ ledger, alarm: id, code, seq, detail, blocked: isBlocking }, "alarm");
    this.#options.onRaised?.(alarm);
    const timer = setTimeout(() => this.#tell(id), TELL_WITHIN_MS).unref();
    this.#untold.set(id, { alarm, timer });
    void this.recordPending();
  }

  /**
   * Acknowledges an open alarm, by an entry of the ledger. `by` says where from, never a person's name. Rejects if the
   * ledger cannot be written: then it stays open. @throws {RangeError} if no such alarm is open.
   */
  async acknowledge(id: string, by: string): Promise<void> {
    const alarm = this.#open.get(id);
    if (!alarm) throw new RangeError(`no alarm ${id} is open`);
    await this.#options.record(formatAcknowledged(alarm, by));
    this.#close(id);
  }

  /** Takes in what a *verified* event entry says: another instance's alarm, or an acknowledgement. In ledger order. */
  apply(event: AlarmEvent, time = ""): void {
    if (event.name === "alarm-acknowledged") {
      this.#met.add(event.alarm);
      // Acknowledged before this instance learned of it counts as much.
      this.#acknowledged.add(keyOf(seqOf(event)));
      this.#close(event.alarm);
      return;
    }
    this.#unrecorded.delete(event.alarm);
    if (this.#met.has(event.alarm)) return;
    this.#met.add(event.alarm);
    const key = keyOf(seqOf(event));
    const own = this.#giveWay(seqOf(event));
    const detail = own?.detail ?? "raised earlier, or by another instance";
    const alarm = { ...seqOf(event), detail, id: event.alarm, raisedAt: time || (own?.raisedAt ?? "") };
    this.#acknowledged.delete(key);
    this.#open.set(alarm.id, alarm);
    this.#options.onRecorded?.(seqOf(event));
  }

  /**
   * What was acknowledged and is not found any more is mended: found again, it is news. To be called after a whole pass
   * or check; `isOver` says whether the finding belongs to that check and was not among what it found.
   */
  forget(isOver: (finding: { code: string; seq?: number }) => boolean): void {
    for (const key of this.#acknowledged) if (isOver(parseKey(key))) this.#acknowledged.delete(key);
  }

  /** Tries again to write what could not be written. Never rejects; one attempt at a time. */
  recordPending(): Promise<void> {
    if (this.#recording) {
      // The attempt under way may be past what was raised since.
      this.#following ??= this.#recording.then(() => {
        this.#following = undefined;
        return this.recordPending();
      });
      return this.#following;
    }
    this.#recording = this.#recordAll().finally(() => {
      this.#recording = undefined;
    });
    return this.#recording;
  }

  /** Resolves when no attempt is under way. */
  async settled(): Promise<void> {
    await this.#following;
    await this.#recording;
  }

  async #recordAll(): Promise<void> {
    if (this.#unrecorded.size === 0) return;
    const { turn } = this.#options;
    if (!turn) return this.#recordOwn();
    await turn(async (open) => {
      // Whoever was first speaks for all.
      for (const event of open) this.apply(event);
      await this.#recordOwn();
    });
  }

  async #recordOwn(): Promise<void> {
    for (const id of this.#unrecorded) {
      const alarm = this.#open.get(id);
      this.#inFlight = id;
      try {
        if (alarm) await this.#options.record(formatRaised(alarm));
        this.#unrecorded.delete(id);
        if (alarm) this.#options.onRecorded?.(alarm);
      } catch (cause) {
        // The ledger is away or broken; log and webhook tell. The next call tries again.
        const error = cause instanceof Error ? cause.name : "error";
        this.#options.log.warn({ ledger: this.#options.ledger, alarm: id, error }, "alarm not recorded yet");
        for (const untold of this.#untold.keys()) this.#tell(untold);
        return;
      } finally {
        this.#inFlight = undefined;
      }
      this.#tell(id);
    }
  }

  #tell(id: string): void {
    const untold = this.#untold.get(id);
    if (!untold) return;
    this.#untold.delete(id);
    clearTimeout(untold.timer);
    this.#options.notify?.(untold.alarm, this.isBlocked() !== undefined);
  }

  #isAcknowledged(finding: Finding): boolean {
    if (this.#acknowledged.has(keyOf(finding))) return true;
    if (!isAtEnd(finding.code)) return false;
    return [...this.#acknowledged].some((key) => isSame(parseKey(key), finding));
  }

  /** Drops our own alarm about the same if it is not in the ledger, and not on its way there. */
  #giveWay(other: { code: string; seq?: number }): Alarm | undefined {
    for (const id of this.#unrecorded) {
      const alarm = this.#open.get(id);
      if (!alarm || id === this.#inFlight || !isSame(other, alarm)) continue;
      this.#open.delete(id);
      this.#unrecorded.delete(id);
      clearTimeout(this.#untold.get(id)?.timer);
      this.#untold.delete(id);
      const { log, ledger } = this.#options;
      log.info({ ledger, alarm: id, code: alarm.code }, "another instance raised the same alarm");
      return alarm;
    }
    return undefined;
  }

  #close(id: string): void {
    const alarm = this.#open.get(id);
    if (!alarm) return;
    this.#open.delete(id);
    this.#unrecorded.delete(id);
    this.#acknowledged.add(keyOf(alarm));
    if (this.#open.size === 0) this.#suppressed = 0;
    const { log, ledger } = this.#options;
    log.info(
      { ledger, alarm: id, code: alarm.code, blocked: this.isBlocked() !== undefined },
      "alarm acknowledged",
    );
  }
}

/** Whether a finding says no more than a known one: the same place, or an end of the ledger that has moved on since. */
function isSame(
  known: { code: string; seq?: number },
  { code, seq }: { code: string; seq?: number },
): boolean {
  if (known.code !== code) return false;
  return known.seq === seq || (isAtEnd(code) && (known.seq ?? 0) <= (seq ?? 0));
}

function seqOf({ code, at }: AlarmEvent): { code: string; seq?: number } {
  return { code, ...(at === undefined ? {} : { seq: at }) };
}

/** One line of bounded length: details quote what stands in the database, which may be anything. */
function tidy(detail: string): string {
  const line = detail.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
  return line.length > MAX_DETAIL ? `${line.slice(0, MAX_DETAIL)}…` : line;
}

function keyOf({ code, seq }: { code: string; seq?: number }): string {
  return seq === undefined ? code : `${code} ${seq}`;
}

function parseKey(key: string): { code: string; seq?: number } {
  const [code = "", seq] = key.split(" ");
  return seq === undefined ? { code } : { code, seq: Number(seq) };
}
