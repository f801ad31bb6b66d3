// `scimseal export`: an evidence pack of a range, a transaction or an account's entries: what an auditor takes home and
// checks without us. With --leaves the leaves alone, one compact JWS a line. Both stream, whatever their size. A pack
// that is too large for one file is made in parts: --from where the last one ended.

import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { PROGRAM } from "../config/version.ts";
import type { EvidenceQuery, Statement } from "../ledger/evidence/statement.ts";
import { writeEvidence } from "../ledger/evidence/writeEvidence.ts";
import { parseCheckpoint } from "../ledger/note/checkpoint.ts";
import { parseNote } from "../ledger/note/note.ts";
import { nodeSha256 } from "../nodeCrypto.ts";
import { DatabaseEvidence } from "../storage/evidenceSource.ts";
import { readGiven } from "./givenFile.ts";
import { type LedgerSource, openLedgerSource, type SourceOptions } from "./ledgerSource.ts";
import { printable } from "./printable.ts";

interface ExportOptions extends SourceOptions {
  from?: number;
  to?: number;
  txn?: string;
  account?: string;
  attachments: boolean;
  checkpoint?: string[];
  leaves?: true;
  out?: string;
}

/** What was written, as far as it is known by now. */
interface Made {
  leaves: number;
  /** Of a pack. */
  statement?: Statement;
}

const TIMEOUT_MS = 120_000;

/** Adds the command. */
export function registerExport(program: Command): void {
  program
    .command("export")
    .description(
      "make an evidence pack: entries, proofs, checkpoints and attachments, for an auditor to check offline",
    )
    .option("--config <file>", "configuration file of the ledger")
    .option("--data-dir <dir>", "data directory with an embedded database (default: .scimseal)")
    .option("--ledger <name>", "which ledger, if there are several")
    .option("--from <seq>", "first entry (default: 0)", parseSeq)
    .option("--to <seq>", "last entry (default: the last one under the newest checkpoint)", parseSeq)
    .option("--txn <uuid>", "the entries of one transaction")
    .option("--account <type/id>", "the entries that name a resource, such as User/2819c223")
    .option("--no-attachments", "leave out what entries commit to: bodies and personal facts")
    .option(
      "--sealing-key <file>",
      "key file that opens attachments (default: the ledger's own, if it is here)",
    )
    .option("--checkpoint <file...>", "checkpoints the auditor has: the pack proves that it continues them")
    .option("--leaves", "only the entries from the first on, one compact JWS a line; no proofs")
    .option("--out <file>", "file to make; must not exist (default: standard output)")
    .action(async (options: ExportOptions, command: Command) => {
      const query = readQuery(options);
      if (options.leaves !== true && options.out === undefined && process.stdout.isTTY)
        throw new Error("a pack is not for a terminal: give --out FILE");
      const source = await openLedgerSource(options);
      const made: Made = { leaves: 0 };
      try {
        const chunks =
          options.leaves === true ? leaves(source, made) : readPack(source, query, options, made);
        await write(Readable.from(chunks), options.out);
        // Standard output may be the pack itself.
        command.configureOutput().writeErr?.(`${options.out ?? "standard output"}: ${describeMade(made)}\n`);
      } finally {
        await source.close();
      }
    });
}

async function* readPack(
  source: LedgerSource,
  query: EvidenceQuery,
  options: ExportOptions,
  made: Made,
): AsyncGenerator<Uint8Array> {
  const { name, address, origin, pinned, tree, opener } = source;
  const settings = {
    origin,
    keys: pinned,
    tree,
    connections: 2,
    timeoutMs: TIMEOUT_MS,
    ...(opener && { opener }),
  };
  const evidence = new DatabaseEvidence(name, address, settings);
  try {
    yield* writeEvidence(evidence, {
      query,
      madeBy: PROGRAM,
      now: Date.now(),
      digest: nodeSha256,
      onStatement: (statement) => {
        made.statement = statement;
      },
      earlierSizes: (options.checkpoint ?? []).map(readSize),
      ...withoutAttachments(options.attachments, opener !== undefined),
    });
  } finally {
    await evidence.close();
  }
}

function withoutAttachments(isWanted: boolean, canOpen: boolean): { withoutAttachments?: string } {
  if (!isWanted) return { withoutAttachments: "left out by whoever exported" };
  return canOpen ? {} : { withoutAttachments: "sealed, and whoever exported did not have the key" };
}

async function* leaves({ reader }: LedgerSource, made: Made): AsyncGenerator<string> {
  for await (const { leaf } of reader.all(false)) {
    made.leaves++;
    yield `${leaf}\n`;
  }
}

/** For whoever made it, and will hand it to somebody: above all whether it names people. */
function describeMade({ statement, leaves }: Made): string {
  if (!statement) return `${leaves} leaves, without attachments, so without personal data in clear`;
  const { count, firstSeq, lastSeq, query, checkpoints, attachments } = statement;
  const what =
    query.kind === "range"
      ? `entries ${firstSeq} to ${lastSeq}`
      : `${count} entries of ${query.kind === "transaction" ? `transaction ${query.txn}` : `${query.resourceType} ${query.resourceId}`}, from ${firstSeq} to ${lastSeq}`;
  const personal = attachments === "included" ? "holds personal data" : "without attachments";
  return `${printable(what)}, proved in a tree of ${checkpoints.last} entries; ${personal}`;
}

async function write(chunks: Readable, out: string | undefined): Promise<void> {
  if (out === undefined) {
    await pipeline(chunks, process.stdout, { end: false });
    return;
  }
  const file = createWriteStream(out, { flags: "wx", mode: 0o600, flush: true });
  let isOurs = false;
  file.once("open", () => {
    isOurs = true;
  });
  try {
    await pipeline(chunks, file);
  } catch (cause) {
    // Half a pack verifies nowhere; a file that was there before is not ours to remove.
    if (isOurs) await rm(out, { force: true });
    throw cause;
  }
}

function readQuery({ from, to, txn, account, leaves: isLeaves }: ExportOptions): EvidenceQuery {
  const isRange = from !== undefined || to !== undefined;
  if (txn !== undefined && (account !== undefined || isRange)) throw new Error("--txn stands alone");
  if (isLeaves === true && (txn !== undefined || account !== undefined || isRange))
    throw new Error("--leaves writes all entries: leave out --from, --to, --txn and --account");
  if (txn !== undefined) return { kind: "transaction", txn: txn.toLowerCase() };
  if (account === undefined) return { kind: "range", from: from ?? 0, ...(to !== undefined && { to }) };
  const slash = account.indexOf("/");
  if (slash < 1 || slash === account.length - 1)
    throw new Error("--account is TYPE/ID, such as User/2819c223-7f76-453a-919d-413861904646");
  return {
    kind: "account",
    resourceType: account.slice(0, slash),
    resourceId: account.slice(slash + 1),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
}

function readSize(file: string): number {
  const note = parseNote(readGiven("--checkpoint", file));
  const checkpoint = typeof note === "string" ? note : parseCheckpoint(note.text);
  if (typeof checkpoint === "string") throw new Error(`--checkpoint ${file}: ${checkpoint}`);
  return checkpoint.size;
}

function parseSeq(text: string): number {
  const seq = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(seq)) throw new Error(`${text} is no place of an entry: a whole number from 0`);
  return seq;
}
