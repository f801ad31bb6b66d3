// `scimseal verify`: checks a whole ledger, from its database or from an export, with keys pinned outside of it. Exit
// status 0 only if all is well, 1 if something was found, 2 if it could not be checked.

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Command } from "commander";
import { fastVerify } from "../keys/fastVerify.ts";
import { loadPinned } from "../keys/keyring.ts";
import { type Finding, LedgerVerifier } from "../ledger/verify.ts";
import { nodeSha256 } from "../ledgerWriter.ts";
import { openLedgerSource, type SourceOptions } from "./ledgerSource.ts";
import { printable } from "./printable.ts";

interface VerifyOptions extends SourceOptions {
  export?: string;
  json?: true;
}

interface Report {
  ok: boolean;
  size: number;
  findings: readonly Finding[];
  head: string;
  open: number;
}

/** Adds the command. */
export function registerVerify(program: Command): void {
  program
    .command("verify")
    .description("check every entry, signature, link and attachment of a ledger")
    .option("--config <file>", "configuration file of the ledger")
    .option("--data-dir <dir>", "data directory with an embedded database (default: .scimseal)")
    .option("--export <file>", "an export instead of a database; needs --key")
    .option("--ledger <name>", "which ledger, if there are several")
    .option("--key <file...>", "pinned public key (JWK or JWKS); default: the configuration's")
    .option("--json", "print the report as JSON")
    .action(async (options: VerifyOptions) => {
      const report =
        options.export === undefined
          ? await verifyLive(options)
          : await verifyExport(options.export, options);
      print(report, options.json === true);
      process.exitCode = report.ok ? 0 : 1;
    });
}

async function verifyLive(options: VerifyOptions): Promise<Report> {
  const source = await openLedgerSource(options);
  try {
    const { origin, pinned } = source;
    return await source.reader.verify({ origin, pinned, verify: fastVerify, digest: nodeSha256 });
  } finally {
    await source.close();
  }
}

async function verifyExport(file: string, options: VerifyOptions): Promise<Report> {
  if (!options.key)
    throw new Error("--export needs --key: a key that comes with the evidence proves nothing");
  const verifier = new LedgerVerifier({
    pinned: loadPinned(options.key),
    verify: fastVerify,
    digest: nodeSha256,
  });
  let seq = 0;
  for await (const leaf of createInterface({
    input: createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    verifier.push({ seq: seq++, leaf });
  }
  if (seq === 0)
    verifier.findings.push({ seq: 0, code: "ledger_empty", detail: "the export has no entries" });
  const { findings, size, head, open } = verifier;
  return {
    ok: findings.length === 0,
    size,
    findings,
    head: Buffer.from(head.hash).toString("base64url"),
    open: open.size,
  };
}

function print(report: Report, asJson: boolean): void {
  if (asJson) {
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    return;
  }
  const { ok, size, findings, head, open } = report;
  for (const { seq, code, detail } of findings)
    process.stdout.write(`entry ${seq}: ${code}: ${printable(detail)}\n`);
  const opened = open > 0 ? ` ${open} transaction(s) have no outcome yet.` : "";
  process.stdout.write(
    ok
      ? `OK: ${size} entries, every signature, link and attachment checked. Head ${head}.${opened}\n`
      : `BROKEN: ${findings.length} finding(s) in ${size} entries.${opened}\n`,
  );
}
