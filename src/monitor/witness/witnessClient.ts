// Asking witnesses to cosign a checkpoint (C2SP tlog-witness, `add-checkpoint`). A witness that stands at another size
// says so and is asked again from there; one that has seen another history refuses, and that is a finding: either the
// ledger was rewritten, or somebody else signs with its key. Late, broken or absent witnesses are no finding. Only a
// cosignature that verifies with the pinned key of that witness counts.

import { fastVerify } from "../../keys/fastVerify.ts";
import { encodeBase64 } from "../../ledger/base64.ts";
import { type Checkpoint, parseCheckpoint } from "../../ledger/note/checkpoint.ts";
import { checkCosignature } from "../../ledger/note/cosignature.ts";
import { formatSignatures, type NoteSignature, parseNote, parseSignatures } from "../../ledger/note/note.ts";
import { parseDecimal } from "../../ledger/note/noteText.ts";
import type { WitnessKey } from "../../ledger/note/verifierKey.ts";
import type { Proof } from "../../ledger/tree/proof.ts";
import type { Finding } from "../alarm/alarm.ts";
import { type PostAnswer, reasonOf, type SendPost } from "../post.ts";

/** A witness of the configuration. */
export interface WitnessAddress {
  key: WitnessKey;
  /** Submission prefix: `/add-checkpoint` is put behind it. */
  url: string;
}

export interface WitnessClientOptions {
  witness: WitnessAddress;
  post: SendPost;
  /** Proof that the tree of `oldSize` is the beginning of the one of `newSize`. */
  prove(oldSize: number, newSize: number): Promise<Proof>;
  /** Epoch milliseconds. */
  now(): number;
  timeoutMs?: number;
}

/** What became of one submission. */
export type WitnessResult =
  | { kind: "cosigned"; signature: NoteSignature; time: number }
  /** It has seen a larger tree of this log than the one submitted. */
  | { kind: "ahead"; size: number }
  /** It holds a history that this checkpoint does not continue. */
  | { kind: "inconsistent"; finding: Finding }
  /** It does not know the log (404) or none of the keys that signed (403): to be configured there. */
  | { kind: "not_accepted"; status: 403 | 404 }
  | { kind: "failed"; reason: string };

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 16 * 1024;
/** The first try from where we think it stands, the second from where it says; a third if another instance came between. */
const MAX_TRIES = 3;
/** A time further ahead of our clock is not believed. */
const MAX_AHEAD_S = 300;

export class WitnessClient {
  readonly #options: WitnessClientOptions;
  /** Where the witness stands, as far as this client knows; from 0 it tells. */
  #size = 0;

  constructor(options: WitnessClientOptions) {
    this.#options = options;
  }

  get key(): WitnessKey {
    return this.#options.witness.key;
  }

  /** Submits a signed checkpoint. Never rejects for what the witness does; rejects if no proof can be made. */
  async submit(note: string): Promise<WitnessResult> {
    const checkpoint = checkpointOf(note);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { size } = checkpoint;
      if (this.#size > size) return { kind: "ahead", size: this.#size };
      let answer: PostAnswer;
      const oldSize = this.#size;
      const proof = await this.#options.prove(oldSize, size);
      try {
        answer = await this.#send(oldSize, proof, note);
      } catch (cause) {
        return { kind: "failed", reason: reasonOf(cause) };
      }
      if (answer.status !== 409) return this.#judge(answer, note, oldSize, size);
      const told = parseSize(answer);
      if (told === undefined) return { kind: "failed", reason: "409 without a size" };
      if (told === oldSize) {
        // It stands where we said: of one size there are two trees. For any other size it contradicts itself.
        return oldSize === size
          ? this.#inconsistent(oldSize, size)
          : { kind: "failed", reason: "409 with the size that was sent" };
      }
      this.#size = told;
    }
    return { kind: "failed", reason: "its size keeps changing" };
  }

  #send(oldSize: number, proof: Proof, note: string): Promise<PostAnswer> {
    const { witness, post, timeoutMs = TIMEOUT_MS } = this.#options;
    return post({
      url: `${witness.url.replace(/\/+$/, "")}/add-checkpoint`,
      headers: { "content-type": "text/plain; charset=utf-8" },
      body: [`old ${oldSize}`, ...proof.map(encodeBase64), "", note].join("\n"),
      timeoutMs,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
  }

  #judge({ status, body }: PostAnswer, note: string, oldSize: number, size: number): WitnessResult {
    if (status === 422) return this.#inconsistent(oldSize, size);
    if (status === 403 || status === 404) return { kind: "not_accepted", status };
    if (status !== 200) return { kind: "failed", reason: `status ${status}` };
    const signatures = parseSignatures(body.toString("utf8"));
    if (typeof signatures === "string") return { kind: "failed", reason: "the answer is no signature lines" };
    const { key } = this;
    const text = textOf(note);
    for (const signature of signatures) {
      if (signature.name !== key.name || signature.keyId !== key.id) continue;
      const time = checkCosignature(text, key, signature.signature, fastVerify);
      if (time === undefined || time > this.#options.now() / 1000 + MAX_AHEAD_S) continue;
      this.#size = size;
      return { kind: "cosigned", signature, time };
    }
    return { kind: "failed", reason: "no good cosignature of the witness's key" };
  }

  #inconsistent(oldSize: number, size: number): WitnessResult {
    const detail = `witness ${this.key.name} holds another tree of size ${oldSize}: the checkpoint of size ${size} does not continue what it saw`;
    return {
      kind: "inconsistent",
      finding: { code: "witness_mismatch", seq: Math.max(0, oldSize - 1), detail },
    };
  }
}

export interface WitnessesOptions {
  clients: readonly WitnessClient[];
  /** Cosignatures that make a checkpoint count as anchored; 0: none are needed, and any is told. */
  threshold: number;
  /** Size of the newest checkpoint in the database, read now. */
  newestSize(): Promise<number>;
  /** Told when enough witnesses cosigned: the note with their lines added. */
  onAnchored(note: string, checkpoint: Checkpoint): void;
  onFinding(finding: Finding): void;
  log: { warn(fields: object, message: string): void };
  /** Epoch milliseconds. */
  now(): number;
  /** Size of the newest checkpoint that enough witnesses cosigned in an earlier run. */
  anchoredTo?: number;
  /** Least time between two rounds. */
  everyMs?: number;
}

/** How far the witnesses have come. */
export interface AnchoredStatus {
  /** Entries covered by the newest checkpoint that enough witnesses cosigned. */
  anchoredTo: number;
  /** Since when (epoch milliseconds) there is a newer checkpoint that they did not; undefined if there is none. */
  notAnchoredSince: number | undefined;
}

const EVERY_MS = 10_000;

/** Hands each new checkpoint, or the newest of several, to all witnesses. */
export class Witnesses {
  readonly #options: WitnessesOptions;
  readonly #troubled = new Map<string, string>();
  #next: { note: string; offeredAt: number } | undefined;
  #round: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #endedAt = Number.NEGATIVE_INFINITY;
  #isStopped = false;
  #anchoredTo: number;
  #since: number | undefined;

  constructor(options: WitnessesOptions) {
    this.#options = options;
    this.#anchoredTo = options.anchoredTo ?? 0;
  }

  get status(): AnchoredStatus {
    return { anchoredTo: this.#anchoredTo, notAnchoredSince: this.#since };
  }

  /** Offers a signed checkpoint; one that is not asked for yet is replaced. Returns at once. */
  offer(note: string): void {
    const { size } = checkpointOf(note);
    const offeredAt = this.#next?.offeredAt ?? this.#options.now();
    if (this.#options.threshold > 0 && size > this.#anchoredTo) this.#since ??= offeredAt;
    this.#next = { note, offeredAt };
    this.#schedule();
  }

  /** Waits for the round under way and begins no other. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  #schedule(): void {
    if (this.#round || this.#timer || this.#isStopped || !this.#next) return;
    const waitMs = Math.max(0, this.#endedAt + (this.#options.everyMs ?? EVERY_MS) - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#round = this.#goRound().finally(() => {
        this.#round = undefined;
        this.#endedAt = performance.now();
        this.#schedule();
      });
    }, waitMs);
  }

  async #goRound(): Promise<void> {
    const offered = this.#takeNext();
    if (!offered) return;
    const { clients, threshold, onAnchored } = this.#options;
    const results = await Promise.all(clients.map((client) => this.#ask(client, offered.note)));
    const signatures = results.filter((signature) => signature !== undefined);
    // Where none is needed, whatever was cosigned is worth having.
    if (signatures.length < Math.max(threshold, 1)) return;
    const checkpoint = checkpointOf(offered.note);
    this.#anchoredTo = Math.max(this.#anchoredTo, checkpoint.size);
    this.#since = threshold > 0 ? this.#next?.offeredAt : undefined;
    onAnchored(offered.note + formatSignatures(signatures), checkpoint);
  }

  #takeNext(): { note: string } | undefined {
    const next = this.#next;
    this.#next = undefined;
    return next;
  }

  async #ask(client: WitnessClient, note: string): Promise<NoteSignature | undefined> {
    const { onFinding, newestSize } = this.#options;
    const { name } = client.key;
    try {
      const result = await client.submit(note);
      if (result.kind === "cosigned") {
        this.#troubled.delete(name);
        return result.signature;
      }
      if (result.kind === "inconsistent") onFinding(result.finding);
      else if (result.kind === "ahead") {
        // Another instance may have published it; but if the database has no such checkpoint, it has lost some.
        const newest = await newestSize();
        if (result.size > newest) onFinding(lost(name, result.size, newest));
      } else this.#complain(name, result.kind === "failed" ? result.reason : `status ${result.status}`);
    } catch (cause) {
      this.#complain(name, `no proof for it: ${cause instanceof Error ? cause.message : "error"}`);
    }
    return undefined;
  }

  #complain(witness: string, reason: string): void {
    if (this.#troubled.get(witness) === reason) return;
    this.#troubled.set(witness, reason);
    this.#options.log.warn({ witness, reason }, "witness did not cosign");
  }
}

function lost(witness: string, size: number, newest: number): Finding {
  const detail = `witness ${witness} cosigned ${size} entries, and the newest checkpoint here has ${newest}: the newest were cut off`;
  return { code: "witness_ahead", seq: newest, detail };
}

function checkpointOf(note: string): Checkpoint {
  const checkpoint = parseCheckpoint(textOf(note));
  if (typeof checkpoint === "string") throw new RangeError(`only checkpoints are cosigned: ${checkpoint}`);
  return checkpoint;
}

function textOf(note: string): string {
  const parsed = parseNote(note);
  if (typeof parsed === "string") throw new RangeError(`only checkpoints are cosigned: ${parsed}`);
  return parsed.text;
}

function parseSize({ contentType, body }: PostAnswer): number | undefined {
  const text = body.toString("latin1");
  return contentType.split(";")[0]?.trim() === "text/x.tlog.size" && text.endsWith("\n")
    ? parseDecimal(text.slice(0, -1))
    : undefined;
}
