// Makes dist/verifier.html: the page with its style and its bundled script inside, and a Content-Security-Policy that
// allows exactly these two by their hashes and no network at all. Run by `npm run build:verifier`. The same sources
// give the same bytes.

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** The whole page as text. */
export async function buildVerifier(): Promise<string> {
  const [template, style, script] = await Promise.all([
    readFile(`${HERE}page.html`, "utf8"),
    readFile(`${HERE}page.css`, "utf8"),
    bundle(),
  ]);
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const parts: Record<string, string> = {
    "default-src 'none'": policy,
    "<!-- style -->": `<style>${style}</style>`,
    "<!-- script -->": `<script>${script}</script>`,
  };
  // A function, since `$` in a replacement text has a meaning of its own.
  return Object.entries(parts).reduce((page, [mark, part]) => page.replace(mark, () => part), template);
}

/** Writes the page. */
export async function writeVerifier(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, await buildVerifier());
}

async function bundle(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "error",
    publicDir: false,
    build: {
      write: false,
      target: "es2023",
      minify: true,
      modulePreload: false,
      rolldownOptions: { input: `${HERE}page.ts`, output: { format: "iife" } },
    },
  });
  const [result] = Array.isArray(built) ? built : [built];
  const code =
    result && "output" in result ? result.output.find((one) => one.type === "chunk")?.code : undefined;
  if (code === undefined) throw new Error("the bundler gave no script");
  // Inside HTML, this sequence would end the script early, wherever it stands.
  return code.replace(/<\/(script)/gi, "<\\/$1").replaceAll("<!--", "<\\!--");
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeVerifier("dist/verifier.html");
  process.stderr.write("made dist/verifier.html: one file, to be opened in any browser\n");
}
