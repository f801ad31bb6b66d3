// `scimseal verify --url`: a ledger as it is published (C2SP tlog-tiles): checkpoint, entry bundles and tiles, from any
// server that has them. Everything is downloaded and checked; the server is trusted for nothing. Answers are bounded in
// size and time, and redirects are not followed: a token goes where it was meant to go.

import { fastVerify } from "../../keys/fastVerify.ts";
import { type ExpectedCheckpoint, TreeAudit } from "../../ledger/evidence/treeAudit.ts";
import { HASH_BYTES, hashLeaf } from "../../ledger/hash.ts";
import type { PublicKey } from "../../ledger/key.ts";
import { MAX_NOTE_BYTES } from "../../ledger/note/note.ts";
import { type FilledTile, TILE_BYTES, TILE_WIDTH } from "../../ledger/tree/tile.ts";
import { parseBundle } from "../../ledger/tree/tileBundle.ts";
import { formatBundlePath, formatTilePath } from "../../ledger/tree/tilePath.ts";
import { LedgerVerifier } from "../../ledger/verify.ts";
import { nodeCodec, nodeSha256 } from "../../nodeCrypto.ts";
import { PreparedRows } from "./preparedRows.ts";
import type { Progress } from "./progress.ts";
import type { SignatureThreads } from "./signatureThreads.ts";
import type { TreeReport } from "./verifyReport.ts";

export interface UrlOptions {
  /** Prefix of the published log. */
  url: string;
  origin: string | undefined;
  pinned: readonly PublicKey[];
  /** Auditor's token, if the entries are not public. */
  token?: string;
  outside: readonly ExpectedCheckpoint[];
  threads: SignatureThreads;
  progress: Progress;
}

interface Row {
  seq: number;
  leaf: string;
}

const TIMEOUT_MS = 30_000;
const MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + 65_535);

/** Verifies a published ledger up to its present checkpoint. Rejects if it cannot be had. */
export async function verifyUrl(options: UrlOptions): Promise<TreeReport> {
  const log = new PublishedLog(options.url, options.token);
  const note = new TextDecoder().decode(await log.get("checkpoint", MAX_NOTE_BYTES));
  const { pinned, threads, progress, origin = note.slice(0, note.indexOf("\n")) } = options;
  const audit = new TreeAudit({ origin, pinned, verify: fastVerify, digest: nodeSha256 });
  const published = { name: "the published checkpoint", note };
  const size = audit.readSize(published);
  if (size === undefined) throw new Error(`${options.url}/checkpoint is no checkpoint`);
  const outside = options.outside.flatMap((checkpoint) => {
    const ofSize = audit.readSize(checkpoint);
    return ofSize === undefined ? [] : [{ size: ofSize, checkpoint }];
  });
  const rows = new PreparedRows(threads, pinned);
  const verifier = new LedgerVerifier({ origin, pinned, verify: rows.verify, ...nodeCodec });
  let comparedUpTo: number | undefined;
  const compareOutside = (): void => {
    for (const { checkpoint } of outside.filter((one) => one.size === audit.size))
      if (audit.compare(checkpoint)) comparedUpTo = audit.size;
  };
  compareOutside();
  try {
    for await (const { seq, leaf } of rows.rows(readBundles(log, size))) {
      const claims = verifier.push({ seq, leaf });
      for (const full of audit.append(hashLeaf(Buffer.from(leaf, "latin1"), nodeSha256)))
        audit.compareTile(full, await log.tile(full));
      const next = rows.signer && audit.followSigned(leaf, rows.signer, claims?.type === "event");
      if (next) rows.expect(next);
      compareOutside();
      progress.show(audit.size, size, "entries");
    }
    for (const partial of audit.partialTiles()) audit.compareTile(partial, await log.tile(partial));
    audit.compare(published);
  } finally {
    progress.end();
  }
  for (const one of outside.filter((other) => other.size > size)) audit.findAhead(one.checkpoint, one.size);
  const findings = [...verifier.findings, ...audit.findings];
  return {
    ok: findings.length + audit.notCompared.length === 0,
    size,
    sealed: 0,
    head: Buffer.from(verifier.head.hash).toString("base64url"),
    open: verifier.open.size,
    findings,
    root: Buffer.from(audit.root()).toString("base64"),
    checkpoints: audit.checkpoints,
    tiles: audit.tiles,
    comparedUpTo,
    notCompared: audit.notCompared,
  };
}

async function* readBundles(log: PublishedLog, size: number): AsyncGenerator<Row[]> {
  for (let index = 0; index * TILE_WIDTH < size; index++) {
    const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
    const path = formatBundlePath({ index, width });
    const bytes = await log.getPart(path, formatBundlePath({ index, width: TILE_WIDTH }), MAX_BUNDLE_BYTES);
    // A full bundle may stand for a partial one: then it has more entries than were asked for.
    const entries = parseBundle(bytes, width) ?? parseBundle(bytes, countEntries(bytes));
    if (!entries || entries.length < width) throw new Error(`${path} is no bundle of ${width} entries`);
    yield entries.slice(0, width).map((leaf, i) => ({
      seq: index * TILE_WIDTH + i,
      // One character a byte: what is not ASCII is refused by the verifier, and the hash is over these bytes.
      leaf: Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString("latin1"),
    }));
  }
}

function countEntries(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let count = 0;
  for (let at = 0; at + 2 <= bytes.length; at += 2 + view.getUint16(at)) count++;
  return count;
}

/** The files of a published log. */
class PublishedLog {
  readonly #prefix: string;
  readonly #headers: Record<string, string>;

  constructor(url: string, token: string | undefined) {
    const { protocol, hostname, href } = new URL(url);
    const isLoopback = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
    if (protocol !== "https:" && protocol !== "http:") throw new Error(`--url ${url}: not an HTTP address`);
    if (token !== undefined && protocol === "http:" && !isLoopback)
      throw new Error(`--url ${url}: a token is sent by https only`);
    this.#prefix = href.replace(/\/+$/, "");
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  async tile({ tile }: FilledTile): Promise<Uint8Array> {
    const bytes = await this.getPart(
      formatTilePath(tile),
      formatTilePath({ ...tile, width: TILE_WIDTH }),
      TILE_BYTES,
    );
    return bytes.subarray(0, tile.width * HASH_BYTES);
  }

  /** A partial file, or where it is gone since the log has grown, the full one in its place. */
  async getPart(path: string, fullPath: string, maxBytes: number): Promise<Uint8Array> {
    const part = await this.#fetch(path, maxBytes);
    if (part) return part;
    return this.get(fullPath, maxBytes);
  }

  async get(path: string, maxBytes: number): Promise<Uint8Array> {
    const bytes = await this.#fetch(path, maxBytes);
    if (!bytes) throw new Error(`${this.#prefix}/${path} is not there (404)`);
    return bytes;
  }

  /** undefined for 404. */
  async #fetch(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const url = `${this.#prefix}/${path}`;
    let response: Response;
    try {
      response = await fetch(url, {
        headers: this.#headers,
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (cause) {
      throw new Error(`${url} cannot be reached`, { cause });
    }
    if (response.status === 404) {
      await response.body?.cancel();
      return undefined;
    }
    if (response.status === 401 || response.status === 403)
      throw new Error(`${url} needs an auditor's token: --token-file FILE`);
    if (response.status !== 200) throw new Error(`${url} answers ${response.status}`);
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of response.body ?? []) {
      size += part.length;
      if (size > maxBytes) throw new Error(`${url} is longer than ${maxBytes} bytes`);
      parts.push(part);
    }
    return Buffer.concat(parts);
  }
}
