// A witness (C2SP tlog-witness, tlog-cosignature): for each log it knows it keeps the latest checkpoint, and cosigns a
// later one only if that is proved to be its consistent extension. What it has cosigned is on the disk before the answer
// leaves, and each log's requests are taken one at a time: so it never cosigns two histories of one log, across crashes
// too. State that cannot be read is an error, never "nothing seen yet". Whoever may reach it may ask: the log's
// signature is the only credential.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { fastVerify } from "../../keys/fastVerify.ts";
import { decodeBase64 } from "../../ledger/base64.ts";
import { equalBytes, HASH_BYTES } from "../../ledger/hash.ts";
import { type Checkpoint, parseCheckpoint } from "../../ledger/note/checkpoint.ts";
import { cosign, type WitnessSigner } from "../../ledger/note/cosignature.ts";
import { openCheckpoint } from "../../ledger/note/logPolicy.ts";
import { formatSignatures, parseNote } from "../../ledger/note/note.ts";
import { parseDecimal, readUtf8 } from "../../ledger/note/noteText.ts";
import type { LogKey } from "../../ledger/note/verifierKey.ts";
import { checkConsistency } from "../../ledger/tree/proof.ts";
import { emptyRoot } from "../../ledger/tree/tree.ts";
import { systemCode, writeDurably } from "../../storage/embedded/file.ts";

/** A log that the witness knows. */
export interface WitnessedLog {
  origin: string;
  keys: readonly LogKey[];
}

export interface WitnessLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface WitnessOptions {
  signer: WitnessSigner;
  logs: readonly WitnessedLog[];
  /** Existing directory of its own; one witness at a time. */
  stateDir: string;
  /** Epoch milliseconds. */
  now(): number;
  log: WitnessLog;
}

/** An answer as HTTP has it. */
export interface WitnessAnswer {
  status: 200 | 400 | 403 | 404 | 409 | 422 | 500 | 503;
  contentType: string;
  body: string;
}

/** The media type of an answer that is a tree size. */
export const SIZE_TYPE = "text/x.tlog.size";
/** The specification's bound on proof lines. */
export const MAX_PROOF_LINES = 63;
const MAX_REQUEST_BYTES = 64 * 1024;
const MAX_WAITING = 16;
const REQUEST_TIMEOUT_MS = 10_000;

interface Submission {
  oldSize: number;
  proof: Uint8Array[];
  note: string;
  checkpoint: Checkpoint;
}

/** The witness itself, without HTTP. */
export class Witness {
  readonly #options: WitnessOptions;
  readonly #logs: ReadonlyMap<string, LogState>;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#logs = new Map(
      options.logs.map(({ origin, keys }) => [origin, new LogState(keys, fileOf(options.stateDir, origin))]),
    );
  }

  /** Answers the body of an `add-checkpoint` request. Never rejects. */
  async addCheckpoint(body: Uint8Array): Promise<WitnessAnswer> {
    const submission = parseSubmission(body);
    if (typeof submission === "string") return plain(400, submission);
    const { origin } = submission.checkpoint;
    const state = this.#logs.get(origin);
    if (!state) return plain(404, "this witness does not know the log of this origin");
    const policy = { origin, logKeys: state.keys, threshold: 0, witnesses: [] };
    const opened = openCheckpoint(submission.note, policy, fastVerify);
    if (typeof opened === "string") return plain(403, opened);
    if (submission.oldSize > submission.checkpoint.size)
      return plain(400, "the old size is above the new one");
    try {
      return (
        (await state.inTurn(() => this.#cosign(state, submission, opened.text))) ??
        plain(503, "too many requests wait")
      );
    } catch (cause) {
      // Without its state, or a place to keep it, a witness must not sign.
      const error = cause instanceof Error ? cause.message : "error";
      this.#options.log.error({ origin, error }, "witness cannot read or keep its state");
      return plain(500, "the witness cannot keep its state");
    }
  }

  async #cosign(state: LogState, submission: Submission, text: string): Promise<WitnessAnswer> {
    const { oldSize, proof, note, checkpoint } = submission;
    const { log, now, signer } = this.#options;
    const { size, root } = await state.latest();
    if (oldSize !== size) return { status: 409, contentType: SIZE_TYPE, body: `${size}\n` };
    if (size === checkpoint.size && !equalBytes(root, checkpoint.root)) {
      log.error({ origin: checkpoint.origin, size }, "the log signed two trees of one size");
      return { status: 409, contentType: SIZE_TYPE, body: `${size}\n` };
    }
    if (!checkConsistency(proof, size, checkpoint.size, root, checkpoint.root)) {
      log.warn({ origin: checkpoint.origin, from: size, to: checkpoint.size }, "no proof of consistency");
      return plain(422, "the consistency proof does not lead from the latest checkpoint to this one");
    }
    // Crash after this line: it was seen and not cosigned, and the log asks again from its size.
    await state.keep(note, checkpoint);
    const signature = cosign(text, Math.floor(now() / 1000), signer);
    log.info({ origin: checkpoint.origin, size: checkpoint.size }, "cosigned");
    return { status: 200, contentType: "text/plain; charset=utf-8", body: formatSignatures([signature]) };
  }
}

/** One log: its latest checkpoint, on the disk and in memory, and whose turn it is. */
class LogState {
  readonly keys: readonly LogKey[];
  readonly #file: string;
  #latest: { size: number; root: Uint8Array } | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(keys: readonly LogKey[], file: string) {
    this.keys = keys;
    this.#file = file;
  }

  /** Runs after all that came before; undefined if too many wait. */
  async inTurn<T>(action: () => Promise<T>): Promise<T | undefined> {
    if (this.#waiting >= MAX_WAITING) return undefined;
    this.#waiting++;
    const mine = this.#turn.then(action);
    this.#turn = mine.then(
      () => {},
      () => {}, // whoever asked gets the error; the next one's turn comes all the same
    );
    try {
      return await mine;
    } finally {
      this.#waiting--;
    }
  }

  async latest(): Promise<{ size: number; root: Uint8Array }> {
    this.#latest ??= await readState(this.#file);
    return this.#latest;
  }

  async keep(note: string, { size, root }: Checkpoint): Promise<void> {
    await writeDurably(this.#file, note);
    this.#latest = { size, root };
  }
}

/** Reads the body of `add-checkpoint`; a string says what is wrong with it. Nothing is verified. */
export function parseSubmission(body: Uint8Array): Submission | string {
  const text = readUtf8(body, MAX_REQUEST_BYTES);
  if (text === undefined) return `the request is not UTF-8, or longer than ${MAX_REQUEST_BYTES} bytes`;
  const end = text.indexOf("\n\n");
  if (end < 0) return "there is no empty line before the checkpoint";
  const [first = "", ...lines] = text.slice(0, end).split("\n");
  const oldSize = first.startsWith("old ") ? parseDecimal(first.slice("old ".length)) : undefined;
  if (oldSize === undefined) return "the first line is not: old, a space and a size";
  if (lines.length > MAX_PROOF_LINES) return `there are more than ${MAX_PROOF_LINES} lines of proof`;
  const proof = lines.map(decodeBase64);
  if (!proof.every((hash) => hash?.length === HASH_BYTES)) return "a line of the proof is no hash in base64";
  const note = text.slice(end + 2);
  const parsed = parseNote(note);
  if (typeof parsed === "string") return parsed;
  const checkpoint = parseCheckpoint(parsed.text);
  if (typeof checkpoint === "string") return checkpoint;
  return { oldSize, proof: proof.filter((hash) => hash !== undefined), note, checkpoint };
}

/** The witness over HTTP: `POST /add-checkpoint`. */
export function createWitnessServer(witness: Witness): Server {
  const server = createServer((request, response) => {
    void handle(witness, request, response);
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = 256;
  return server;
}

async function handle(witness: Witness, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const send = (status: number, contentType: string, body: string, headers: Record<string, string> = {}) => {
    response.writeHead(status, {
      "content-type": contentType,
      "content-length": Buffer.byteLength(body),
      ...headers,
    });
    response.end(body);
  };
  if (request.url !== "/add-checkpoint") return send(404, TEXT, "there is POST /add-checkpoint only\n");
  if (request.method !== "POST") return send(405, TEXT, "POST only\n", { allow: "POST" });
  try {
    const body = await readRequest(request);
    if (!body) return send(413, TEXT, "the request is too long\n", { connection: "close" });
    const answer = await witness.addCheckpoint(body);
    send(answer.status, answer.contentType, answer.body);
  } catch (cause) {
    // Its client broke off while sending: nobody is there to be answered.
    if (!(cause instanceof Error)) throw cause;
    response.destroy();
  }
}

const TEXT = "text/plain; charset=utf-8";

async function readRequest(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_REQUEST_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function readState(file: string): Promise<{ size: number; root: Uint8Array }> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return { size: 0, root: emptyRoot() };
    throw cause;
  }
  const note = parseNote(text);
  const checkpoint = typeof note === "string" ? note : parseCheckpoint(note.text);
  if (typeof checkpoint === "string")
    throw new Error(`${file} is damaged: ${checkpoint}; restore it from a backup`);
  return checkpoint;
}

function fileOf(stateDir: string, origin: string): string {
  return join(stateDir, `${createHash("sha256").update(origin).digest("hex")}.checkpoint`);
}

function plain(status: WitnessAnswer["status"], message: string): WitnessAnswer {
  return { status, contentType: TEXT, body: `${message}\n` };
}
