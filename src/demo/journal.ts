// The demo target's own journal: what really arrived, written down before it is applied.
// It is the other side of invariants I1 and I2: a test compares it with the ledger, so it shares no code with the proxy.
// A line holds a digest of the body, never the body, so no password can get in. The file has one line per write and no
// status: the line must exist before the write is applied, and a line written twice would make counting ambiguous.

import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";

/** One write as the target received it. `n` counts from 1 within one target process. */
export interface JournalLine {
  readonly n: number;
  /** RFC 3339, UTC, milliseconds: when the last byte of the body had arrived. */
  readonly time: string;
  readonly method: string;
  /** The request target exactly as on the wire, query included. */
  readonly path: string;
  /** Hex SHA-256 of the body's exact bytes. */
  readonly sha256: string;
  readonly size: number;
  /** False when the connection broke inside the body: these bytes arrived, and nothing was applied. */
  readonly complete: boolean;
  /** Only content-type, if-match and x-forwarded-*. */
  readonly headers: Readonly<Record<string, string>>;
  /** The status answered; only in memory, and absent until the answer was made. */
  status?: number;
}

/** A write as it came off the socket. */
export interface ArrivedWrite {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly complete: boolean;
}

/** A journal being kept. */
export interface Journal {
  /** Writes the line to the file, if there is one, before returning; throws when the file cannot be written. */
  record(write: ArrivedWrite): JournalLine;
  /** A copy of all lines so far, oldest first. */
  lines(): JournalLine[];
}

/**
 * Opens a journal in memory and, with `file`, also as JSON lines. The file is appended to without a buffer of its own:
 * a SIGKILL of the target loses no line of a write that was applied. (It is not fsynced: a power cut is not in its promise.)
 */
export function openJournal(file?: string): Journal {
  const lines: JournalLine[] = [];
  return {
    record(write) {
      const line: JournalLine = {
        n: lines.length + 1,
        time: new Date().toISOString(),
        method: write.method,
        path: write.path,
        sha256: createHash("sha256").update(write.body).digest("hex"),
        size: write.body.length,
        complete: write.complete,
        headers: pickHeaders(write.headers),
      };
      if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`, { mode: 0o600 });
      lines.push(line);
      return line;
    },
    lines: () => lines.map((line) => ({ ...line })),
  };
}

function pickHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    if (name !== "content-type" && name !== "if-match" && !name.startsWith("x-forwarded-")) continue;
    picked[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return picked;
}
