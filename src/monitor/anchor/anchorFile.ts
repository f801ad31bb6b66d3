// An anchor in a file: below the data directory, or in a directory of the operator's choice, on another disk or a share.
// Promise: after `write` resolves a power cut leaves the new note; before that the old or the new one, never half of
// one (temporary file, fsync, rename, fsync of the directory).

import { mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MAX_NOTE_BYTES } from "../../ledger/note/note.ts";
import { systemCode, writeDurably } from "../../storage/embedded/file.ts";
import type { Anchor } from "./anchor.ts";

export const ANCHOR_EXTENSION = ".checkpoint";

/** The anchor that every ledger has: `DATADIR/anchors/<ledger>.checkpoint`. Its directory is made, mode 0700. */
export function dataDirAnchor(dataDir: string, ledger: string): Anchor {
  return new FileAnchor(join(dataDir, "anchors", `${ledger}${ANCHOR_EXTENSION}`), { makeDirectory: true });
}

/**
 * `<ledger>.checkpoint` in a directory that must be there: one that is not is most likely a share that is not mounted,
 * and a note written below its mount point would be no anchor at all.
 */
export function directoryAnchor(directory: string, ledger: string): Anchor {
  return new FileAnchor(join(directory, `${ledger}${ANCHOR_EXTENSION}`), { makeDirectory: false });
}

export class FileAnchor implements Anchor {
  readonly name: string;
  readonly #makeDirectory: boolean;

  constructor(path: string, options: { makeDirectory: boolean }) {
    this.name = path;
    this.#makeDirectory = options.makeDirectory;
  }

  /** Rejects if there is a file and it cannot be read, or the directory is missing and is not this anchor's to make. */
  async read(): Promise<string | undefined> {
    try {
      return await readBounded(this.name);
    } catch (cause) {
      if (systemCode(cause) === "ENOENT" && (await this.#hasDirectory())) return undefined;
      throw new Error(`the anchor ${this.name} cannot be read (${systemCode(cause) ?? "error"})`, { cause });
    }
  }

  async write(note: string): Promise<void> {
    try {
      if (this.#makeDirectory) await mkdir(dirname(this.name), { recursive: true, mode: 0o700 });
      await writeDurably(this.name, note);
    } catch (cause) {
      throw new Error(`the anchor ${this.name} cannot be written (${systemCode(cause) ?? "error"})`, {
        cause,
      });
    }
  }

  async #hasDirectory(): Promise<boolean> {
    if (this.#makeDirectory) return true;
    try {
      await (await open(dirname(this.name), "r")).close();
      return true;
    } catch (cause) {
      if (systemCode(cause) === "ENOENT") return false;
      throw cause;
    }
  }
}

/** A file that is longer than any note is cut: it is no note, and must not fill the memory. */
async function readBounded(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(MAX_NOTE_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) return buffer.toString("utf8", 0, length);
    }
  } finally {
    await file.close();
  }
}
