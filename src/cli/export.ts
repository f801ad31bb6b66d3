// `scimseal export`: the leaves of a ledger, one compact JWS a line, in order. That is all it takes to check chain and
// signatures elsewhere: `scimseal verify --export FILE --key KEY`, or any JOSE library.

import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { openLedgerSource, type SourceOptions } from "./ledgerSource.ts";

/** Adds the command. */
export function registerExport(program: Command): void {
  program
    .command("export")
    .description("write the entries of a ledger as compact JWS, one a line")
    .option("--config <file>", "configuration file of the ledger")
    .option("--data-dir <dir>", "data directory with an embedded database (default: .scimseal)")
    .option("--ledger <name>", "which ledger, if there are several")
    .option("--out <file>", "file to make; must not exist (default: standard output)")
    .action(async (options: SourceOptions & { out?: string }) => {
      const source = await openLedgerSource(options);
      try {
        const lines = Readable.from(leaves(source.reader.all(false)));
        if (options.out === undefined) await pipeline(lines, process.stdout, { end: false });
        else await pipeline(lines, createWriteStream(options.out, { flags: "wx", mode: 0o600 }));
      } finally {
        await source.close();
      }
    });
}

async function* leaves(entries: AsyncIterable<{ leaf: string }>): AsyncGenerator<string> {
  for await (const { leaf } of entries) yield `${leaf}\n`;
}
