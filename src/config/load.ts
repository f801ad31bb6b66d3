/**
 * Reads the configuration file: YAML → overrides → schema → `Config`.
 *
 * It promises to report every problem of a pass at once, each with its path and the line of the file (or the
 * variable) it came from, and to repeat no value in a message, since a value in the wrong place may be a secret.
 */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { isMap, isPair, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from "yaml";
import { applyOverrides, type Environment, isRecord, processEnvironment } from "./environment.ts";
import type { Resolver, SecretSource } from "./leaves.ts";
import { outlineKeys } from "./outline.ts";
import { errorCode, privateFileProblem } from "./privateFile.ts";
import { ConfigError, type ConfigProblem, explain } from "./problem.ts";
import { type Config, configSchema } from "./schema.ts";
import { Secret } from "./secret.ts";

export { ConfigError, type ConfigProblem } from "./problem.ts";

/** How to read. */
export interface LoadOptions {
  /**
   * `required` (the default): every secret must be there and every private file must be private.
   * `deferred`: for commands that need only a part (verify, export, token): a secret that is not there throws when it
   * is revealed, and private files are judged by whoever opens them.
   */
  secrets?: "required" | "deferred";
  /** The environment; the process's own unless a test says otherwise. */
  environment?: Environment;
}

/** Reads and checks a configuration file. @throws {ConfigError} with every problem found. */
export async function loadConfig(file: string, options: LoadOptions = {}): Promise<Config> {
  const absolute = path.resolve(file);
  let text: string;
  try {
    text = await readFile(absolute, "utf8");
  } catch (cause) {
    const message = `cannot be read (${errorCode(cause)}): name the configuration with --config FILE, or make one with scimseal init`;
    throw new ConfigError(absolute, [{ path: "", message }], { cause });
  }
  return parseConfig(text, absolute, options);
}

/** Checks the text of a configuration. `file` is its absolute path: relative paths in it start there. @throws {ConfigError} */
export function parseConfig(text: string, file: string, options: LoadOptions = {}): Config {
  const environment = options.environment ?? processEnvironment();
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => ({
      path: "",
      line: lines.linePos(error.pos[0]).line,
      message: `is not valid YAML: ${error.message}`,
    }));
    throw new ConfigError(file, problems);
  }
  const root: unknown = document.toJS() ?? {};
  if (!isRecord(root))
    throw new ConfigError(file, [{ path: "", line: 1, message: "must be a mapping of keys" }]);

  const schema = configSchema(fileResolver(path.dirname(file), environment, options.secrets ?? "required"));
  const keys = outlineKeys(schema);
  const { overrides, strays } = applyOverrides(root, keys, environment);
  const problems: ConfigProblem[] = strays
    .filter(({ variable }) => !text.includes(variable)) // Named by a secret of the file.
    .map(({ variable, nearest }) => ({
      path: "",
      message: `the environment sets ${variable}, which is no key; did you mean ${nearest}?`,
    }));
  const parsed = schema.safeParse(root);
  if (!parsed.success) {
    const place = (segments: readonly PropertyKey[]) => lineOf(document.contents, segments, lines);
    problems.push(...parsed.error.issues.flatMap((issue) => explain(issue, root, keys, overrides, place)));
  }
  if (!parsed.success || problems.length > 0) {
    throw new ConfigError(
      file,
      problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)),
    );
  }
  return { ...parsed.data, file };
}

function fileResolver(
  directory: string,
  environment: Environment,
  secrets: "required" | "deferred",
): Resolver {
  return {
    path: (text) => path.resolve(directory, text),
    privateFile: (file) => (secrets === "required" ? privateFileProblem(file) : undefined),
    secret(source) {
      const found = readSecret(source, environment);
      if ("secret" in found || secrets === "required") return found;
      return {
        secret: new Secret(() => {
          throw new Error(`A secret of the configuration is needed now: ${found.problem}`);
        }),
      };
    },
  };
}

function readSecret(
  source: SecretSource,
  environment: Environment,
): { secret: Secret } | { problem: string } {
  let text: string | undefined;
  if (source.kind === "env") {
    text = environment[source.name];
    if (text === undefined || text === "")
      return { problem: `the environment variable ${source.name} is not set` };
  } else {
    try {
      text = readFileSync(source.path, "utf8").replace(/\r?\n$/, "");
    } catch (error) {
      return { problem: `the secret file ${source.path} cannot be read (${errorCode(error)})` };
    }
    if (text === "") return { problem: `the secret file ${source.path} is empty` };
  }
  // A line break in a header value would end the header; a NUL would end it in C.
  if (/\p{Cc}/u.test(text)) return { problem: "the secret holds a line break or another control character" };
  return { secret: new Secret(text) };
}

/** The line of the deepest part of a path that the file has: a missing key is shown at its parent. */
function lineOf(
  contents: Node | null,
  segments: readonly PropertyKey[],
  lines: LineCounter,
): number | undefined {
  let node: unknown = contents;
  let offset: number | undefined;
  for (const segment of segments) {
    if (isMap(node)) {
      const pair = findPair(node, String(segment));
      if (pair === undefined) break;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof segment === "number") {
      node = node.items[segment];
      offset = startOf(node) ?? offset;
    } else {
      break;
    }
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}

function findPair(map: YAMLMap<unknown, unknown>, key: string) {
  return map.items.find((pair) => isPair(pair) && String(pair.key) === key);
}

function startOf(node: unknown): number | undefined {
  if (typeof node !== "object" || node === null || !("range" in node) || !Array.isArray(node.range))
    return undefined;
  const start: unknown = node.range[0];
  return typeof start === "number" ? start : undefined;
}
