// `scimseal verify`: checks a ledger in its database, as it is published, or what was taken from it: an evidence pack
// or its leaves; with keys pinned outside of it. Exit status 0 only if all is well, 1 if something was found, 2 if it
// could not be checked.

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Command } from "commander";
import { fastVerify } from "../../keys/fastVerify.ts";
import type { ExpectedCheckpoint } from "../../ledger/evidence/treeAudit.ts";
import { verifyPack } from "../../ledger/evidence/verifyPack.ts";
import { readCheckpoint, WHOLE_NOTE } from "../../ledger/note/logPolicy.ts";
import { LedgerVerifier } from "../../ledger/verify.ts";
import { nodeCodec, nodeSha256 } from "../../nodeCrypto.ts";
import { readGiven, requireFile } from "../givenFile.ts";
import { openLedgerSource, type SourceOptions } from "../ledgerSource.ts";
import { readPinnedKeys, readWitnesses } from "./pinnedKeys.ts";
import { PreparedRows } from "./preparedRows.ts";
import { Progress } from "./progress.ts";
import { SignatureThreads } from "./signatureThreads.ts";
import { verifyLinks } from "./verifyLinks.ts";
import { verifyLive } from "./verifyLive.ts";
import {
  describeLedger,
  describeLinks,
  describePack,
  type LedgerReport,
  printReport,
} from "./verifyReport.ts";
import { verifyUrl } from "./verifyUrl.ts";

interface VerifyOptions extends SourceOptions {
  pack?: string;
  url?: string;
  export?: string;
  checkpoint?: string;
  tokenFile?: string;
  origin?: string;
  witness?: string[];
  witnessesNeeded?: number;
  threads?: number;
  signatures: boolean;
  json?: true;
}

interface Tools {
  threads: SignatureThreads;
  progress: Progress;
}

const PAGE_LINES = 1_000;

/** Adds the command. */
export function registerVerify(program: Command): void {
  program
    .command("verify")
    .description(
      "check every entry, signature, link, attachment and proof of a ledger or of an evidence pack",
    )
    .option("--config <file>", "configuration file of the ledger")
    .option("--data-dir <dir>", "data directory with an embedded database (default: .scimseal)")
    .option("--ledger <name>", "which ledger, if there are several")
    .option("--pack <file>", "an evidence pack instead of a database; needs --key")
    .option("--url <prefix>", "a published ledger (…/ledgers/NAME) instead of a database; needs --key")
    .option("--export <file>", "leaves, one a line, instead of a database; needs --key")
    .option(
      "--key <key...>",
      "pinned public key: vkey, or file with vkey, JWK or JWKS; default: the configuration's",
    )
    .option(
      "--sealing-key <file>",
      "key file that opens attachments (default: the ledger's own, if it is here)",
    )
    .option("--checkpoint <file>", "a signed checkpoint from earlier or elsewhere that must be continued")
    .option("--origin <name>", "the ledger's origin, for --pack and --url")
    .option("--witness <vkey...>", "witnesses that must have cosigned the checkpoint of --pack")
    .option("--witnesses-needed <count>", "how many of them (default: all)", parseCount)
    .option("--token-file <file>", "file with an auditor's token for --url")
    .option("--threads <count>", "threads for signatures (default: one a core, at most 8)", parseCount)
    .option(
      "--no-signatures",
      "hash, link and tree only: the signatures of checkpoints stand for the entries'",
    )
    .option("--json", "print the report as JSON")
    .action(async (options: VerifyOptions) => {
      const tools = { threads: new SignatureThreads(options.threads), progress: new Progress() };
      try {
        await verify(options, tools);
      } finally {
        tools.progress.end();
        await tools.threads.close();
      }
    });
}

async function verify(options: VerifyOptions, tools: Tools): Promise<void> {
  const chosen = (["pack", "url", "export"] as const).filter((name) => options[name] !== undefined);
  if (chosen.length > 1) throw new Error(`say one of ${chosen.map((name) => `--${name}`).join(", ")}`);
  if (options.witness && options.pack === undefined) throw new Error("--witness is for --pack");
  if (!options.signatures && chosen.length > 0)
    throw new Error(`--no-signatures is for a ledger in its database, not for --${chosen[0]}`);
  const asJson = options.json === true;
  const outside = options.checkpoint === undefined ? [] : [readGivenCheckpoint(options.checkpoint)];
  if (options.pack !== undefined) {
    const report = await checkPack(options.pack, options, outside[0]?.note, tools);
    return printReport(report, describePack(report), asJson);
  }
  if (options.export !== undefined) {
    if (outside.length > 0)
      throw new Error("--checkpoint is not for --export, which has no tree; use --pack");
    const report = await verifyLeaves(options.export, options, tools);
    return printReport(report, describeLedger(report), asJson);
  }
  if (options.url !== undefined) {
    const { keys, origin } = pinnedOf(options, "--url");
    const token = options.tokenFile && readGiven("--token-file", options.tokenFile).trim();
    const report = await verifyUrl({
      ...tools,
      url: options.url,
      origin: options.origin ?? origin,
      pinned: keys,
      outside,
      ...(token && { token }),
    });
    return printReport(report, describeLedger(report), asJson);
  }
  const source = await openLedgerSource(options);
  try {
    const expected = [...outside, ...source.anchors];
    if (!options.signatures) {
      const report = await verifyLinks(source, { ...tools, outside: expected });
      return printReport(report, describeLinks(report), asJson);
    }
    const report = await verifyLive(source, { ...tools, outside: expected });
    printReport(report, describeLedger(report), asJson);
  } finally {
    await source.close();
  }
}

function readGivenCheckpoint(file: string): ExpectedCheckpoint {
  const note = readGiven("--checkpoint", file);
  const read = readCheckpoint(note);
  if (typeof read === "string")
    throw new Error(`--checkpoint ${file}: this is no checkpoint (${read}); give ${WHOLE_NOTE}`);
  return { name: file, note, isGiven: true };
}

async function checkPack(file: string, options: VerifyOptions, earlier: string | undefined, tools: Tools) {
  const pinned = pinnedOf(options, "--pack");
  requireFile("--pack", file);
  const origin = options.origin ?? pinned.origin;
  const witnesses = options.witness && readWitnesses(options.witness, options.witnessesNeeded);
  let done = 0;
  return verifyPack(createReadStream(file, { highWaterMark: 1 << 20 }), {
    pinned: pinned.keys,
    verify: fastVerify,
    verifyBatch: tools.threads.verifyBatch,
    digest: nodeSha256,
    onEntry: () => tools.progress.show(++done, 0, "entries"),
    ...(origin !== undefined && { origin }),
    ...(earlier !== undefined && { earlier }),
    ...(witnesses && { witnesses }),
  });
}

async function verifyLeaves(file: string, options: VerifyOptions, tools: Tools): Promise<LedgerReport> {
  const { keys } = pinnedOf(options, "--export");
  requireFile("--export", file);
  const rows = new PreparedRows(tools.threads, keys);
  const verifier = new LedgerVerifier({ pinned: keys, verify: rows.verify, ...nodeCodec });
  for await (const row of rows.rows(readLines(file))) {
    verifier.push(row);
    tools.progress.show(row.seq + 1, 0, "entries");
  }
  if (verifier.size === 0)
    verifier.findings.push({ seq: 0, code: "ledger_empty", detail: "the export has no entries" });
  const { findings, size, head, open, sealed } = verifier;
  return {
    ok: findings.length === 0,
    size,
    sealed,
    findings,
    head: Buffer.from(head.hash).toString("base64url"),
    open: open.size,
  };
}

async function* readLines(file: string): AsyncGenerator<{ seq: number; leaf: string }[]> {
  let page: { seq: number; leaf: string }[] = [];
  let seq = 0;
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const leaf of lines) {
    page.push({ seq: seq++, leaf });
    if (page.length < PAGE_LINES) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

function pinnedOf(options: VerifyOptions, what: string) {
  if (!options.key) throw new Error(`${what} needs --key: a key that comes with the evidence proves nothing`);
  return readPinnedKeys(options.key);
}

function parseCount(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new Error(`${text} is not a number from 0 to 999`);
  return Number(text);
}
