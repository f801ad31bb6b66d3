// Makes dist/dashboard: the page, its scripts and its styles under names that hold their own digests, each beside a gzip
// and a brotli copy, so that the server compresses nothing while it serves. Run by `npm run build:dashboard`. It answers
// with what a first visit loads, since that is bounded.

import { existsSync } from "node:fs";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build } from "vite";

const HERE = fileURLToPath(new URL(".", import.meta.url));
/** Where the server looks for it. */
export const DASHBOARD_DIR = fileURLToPath(new URL("../../dist/dashboard", import.meta.url));
/** The first page's JavaScript, gzipped, stays below this. */
export const FIRST_PAGE_LIMIT_BYTES = 120_000;

const toGzip = promisify(gzip);
const toBrotli = promisify(brotliCompress);

/** What was made. */
export interface DashboardSize {
  readonly files: number;
  /** JavaScript of the first page: what index.html names, and all that this imports at once; gzipped. */
  readonly firstPageBytes: number;
  /** All JavaScript, gzipped. */
  readonly allBytes: number;
}

/**
 * Builds it beside a directory and then puts it in its place, so that a server which starts meanwhile does not find half of
 * it. What is the same already stays as it is. @throws if the first page grew beyond its limit
 */
export async function buildDashboard(finalDir: string = DASHBOARD_DIR): Promise<DashboardSize> {
  const outDir = `${finalDir}.${process.pid}`;
  try {
    const size = await buildInto(outDir);
    if (!(await isSame(outDir, finalDir))) {
      if (existsSync(finalDir)) await rename(finalDir, `${outDir}.old`);
      await rename(outDir, finalDir);
    }
    return size;
  } finally {
    for (const dir of [outDir, `${outDir}.old`]) await rm(dir, { recursive: true, force: true });
  }
}

/** Names hold digests of what is in the files, so that the names and the page that lists them are enough to compare. */
async function isSame(one: string, other: string): Promise<boolean> {
  const read = async (dir: string) => [
    ...(await readdir(dir, { recursive: true })).sort(),
    await readFile(join(dir, "index.html"), "utf8"),
  ];
  if (!existsSync(join(other, "index.html"))) return false;
  return (await read(one)).join("\n") === (await read(other)).join("\n");
}

async function buildInto(outDir: string): Promise<DashboardSize> {
  const built = await build({
    configFile: false,
    root: HERE,
    logLevel: "error",
    publicDir: false,
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      outDir,
      target: "es2023",
      minify: true,
      cssTarget: ["chrome123", "firefox128", "safari17.5"],
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  });
  const [result] = Array.isArray(built) ? built : [built];
  if (!result || !("output" in result)) throw new Error("the bundler gave nothing");
  const chunks = new Map(
    result.output.flatMap((one) => (one.type === "chunk" ? [[one.fileName, one] as const] : [])),
  );
  const sizes = new Map<string, number>();
  for (const { fileName } of result.output) {
    const bytes = await readFile(join(outDir, fileName));
    const [gz, br] = await Promise.all([
      toGzip(bytes, { level: 9 }),
      toBrotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } }),
    ]);
    sizes.set(fileName, gz.length);
    await Promise.all([
      writeFile(join(outDir, `${fileName}.gz`), gz),
      writeFile(join(outDir, `${fileName}.br`), br),
    ]);
  }
  const first = new Set<string>();
  const add = (fileName: string): void => {
    if (first.has(fileName)) return;
    first.add(fileName);
    for (const next of chunks.get(fileName)?.imports ?? []) add(next);
  };
  for (const { fileName, isEntry } of chunks.values()) if (isEntry) add(fileName);
  const sum = (names: Iterable<string>) => [...names].reduce((all, name) => all + (sizes.get(name) ?? 0), 0);
  const size = { files: sizes.size, firstPageBytes: sum(first), allBytes: sum(chunks.keys()) };
  if (size.firstPageBytes > FIRST_PAGE_LIMIT_BYTES)
    throw new Error(
      `the first page's scripts are ${size.firstPageBytes} bytes, above ${FIRST_PAGE_LIMIT_BYTES}`,
    );
  return size;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { files, firstPageBytes, allBytes } = await buildDashboard();
  console.info(
    `dist/dashboard: ${files} files; JavaScript, gzipped: first page ${firstPageBytes} bytes, all ${allBytes} bytes`,
  );
}
