// Looks for a secret in everything that stays behind, in every spelling bytes can have there: as it is, in UTF-16, in hex
// and in base64 at any alignment. A canary is random letters and digits, so that no escaping can change it.

import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import pg from "pg";

/** 28 random letters and digits with a recognisable beginning. */
export function newCanary(): string {
  return `Canary${randomBytes(11).toString("hex")}`;
}

export interface Needle {
  spelling: string;
  bytes: Buffer;
}

/** All spellings of a secret. */
export function needlesOf(secret: string): Needle[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString("hex");
  const found: Needle[] = [
    { spelling: "as it is", bytes },
    { spelling: "in lower case", bytes: Buffer.from(secret.toLowerCase()) },
    { spelling: "UTF-16", bytes: Buffer.from(secret, "utf16le") },
    { spelling: "hex", bytes: Buffer.from(hex) },
    { spelling: "upper-case hex", bytes: Buffer.from(hex.toUpperCase()) },
  ];
  for (const offset of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]);
    for (const encoding of ["base64", "base64url"] as const) {
      // The characters at either end also carry bits of the neighbours.
      const inner = shifted
        .toString(encoding)
        .replace(/=+$/, "")
        .slice(Math.ceil((offset * 8) / 6), -1);
      found.push({ spelling: `${encoding} at ${offset}`, bytes: Buffer.from(inner) });
    }
  }
  return found;
}

/** Where in some bytes a secret stands; empty if nowhere. */
export function findIn(place: string, bytes: Buffer | string, needles: readonly Needle[]): string[] {
  const hay = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes);
  return needles
    .filter((needle) => hay.includes(needle.bytes))
    .map(({ spelling }) => `${place}: ${spelling}`);
}

/**
 * Every file below a directory, whole, except those named. Files of a running process come and go (an anchor is written
 * beside itself and renamed): if one was gone before it was read, its bytes may stand where we have looked already, so
 * the whole is looked at again.
 * @throws ENOENT if not one of ten passes found every file still there.
 */
export async function findInFiles(
  directory: string,
  needles: readonly Needle[],
  except: readonly string[] = [],
): Promise<string[]> {
  for (let pass = 1; ; pass += 1) {
    try {
      return await findInFilesOnce(directory, needles, except);
    } catch (error) {
      if (pass === 10 || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

async function findInFilesOnce(
  directory: string,
  needles: readonly Needle[],
  except: readonly string[],
): Promise<string[]> {
  const found: string[] = [];
  for (const item of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!item.isFile()) continue;
    const file = join(item.parentPath, item.name);
    const name = relative(directory, file);
    if (!except.includes(name)) found.push(...findIn(name, await readFile(file), needles));
  }
  return found;
}

/** Every row of every table, as text (bytea in hex) and every bytea and every base64 part of a leaf decoded. */
export async function findInDatabase(superuserUrl: string, needles: readonly Needle[]): Promise<string[]> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const found: string[] = [];
    const tables = await client.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
       WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
       UNION ALL SELECT 'pg_catalog.pg_stat_activity'`,
    );
    for (const { name } of tables.rows) {
      const text = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
      for (const { row } of text.rows) found.push(...findIn(`${name} as text`, row, needles));
      const { rows } = await client.query<Record<string, unknown>>(`SELECT * FROM ${name}`);
      for (const row of rows) {
        for (const [column, value] of Object.entries(row)) {
          if (Buffer.isBuffer(value)) found.push(...findIn(`${name}.${column}`, value, needles));
          if (typeof value !== "string") continue;
          for (const part of value.split(".")) {
            found.push(...findIn(`${name}.${column} decoded`, Buffer.from(part, "base64url"), needles));
          }
        }
      }
    }
    return [...new Set(found)];
  } finally {
    await client.end();
  }
}

/** Writes what the server still holds in memory to its files. */
export async function flushDatabase(superuserUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    await client.query("CHECKPOINT");
  } finally {
    await client.end();
  }
}
