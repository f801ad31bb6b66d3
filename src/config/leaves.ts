/**
 * The leaves of the configuration that are more than a value: paths, secrets, URLs, names.
 *
 * A secret is never written into the file (DESIGN §9): it is named by `{ env: NAME }` or `{ file: PATH }`, and an
 * inline string is refused with an explanation that does not repeat it.
 */
import { z } from "zod";
import { assertAllowedHost, isLoopbackHost } from "./address.ts";
import type { Secret } from "./secret.ts";

/** Names of connectors and credentials: they stand in paths, metrics and entries, so they are plain. */
export const NAME_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** What a name must look like, for people. */
export const NAME_RULE = "must be lower-case letters, digits and inner hyphens, at most 63 characters";

/**
 * Names of ledgers: a ledger's PostgreSQL schema is called `ledger_` and its name, and PostgreSQL cuts identifiers at 63
 * bytes with a mere notice, which would let two long names be one ledger.
 */
export const LEDGER_NAME_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,54}[a-z0-9])?$/;

/** What a ledger's name must look like, for people. */
export const LEDGER_NAME_RULE = "must be lower-case letters, digits and inner hyphens, at most 56 characters";

/** Where a secret is to be found. */
export type SecretSource = { kind: "env"; name: string } | { kind: "file"; path: string };

/** The file system and the environment, as the schema sees them. Each answers with a problem text instead of throwing. */
export interface Resolver {
  /** A path of the file, made absolute against the configuration file's directory. */
  path(text: string): string;
  /** What is wrong with a private file, if anything. */
  privateFile(path: string): string | undefined;
  /** The text of a secret. */
  secret(source: SecretSource): { secret: Secret } | { problem: string };
}

/** Marks in a schema's metadata that say how a leaf is written in the file. */
export type LeafMark = "secret" | "path";

/** Makes path and secret leaves over one resolver. */
export class Leaves {
  readonly #resolver: Resolver;

  constructor(resolver: Resolver) {
    this.#resolver = resolver;
  }

  /** A path, relative to the configuration file. */
  file(description: string) {
    return z
      .string()
      .min(1)
      .transform((text) => this.#resolver.path(text))
      .meta({ description, mark: "path" satisfies LeafMark });
  }

  /** A path to a file that only its owner may read. */
  privateFile(description: string) {
    return this.file(description)
      .superRefine((path, context) => {
        const problem = this.#resolver.privateFile(path);
        if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
      })
      .meta({ description, mark: "path" satisfies LeafMark });
  }

  /** A secret by reference; the output is a `Secret`. */
  secret(description: string) {
    return z
      .strictObject(
        {
          env: z.string().min(1).describe("Name of an environment variable that holds it.").exactOptional(),
          file: z.string().min(1).describe("Path of a file that holds it.").exactOptional(),
        },
        { error: (issue) => (typeof issue.input === "string" ? INLINE_SECRET : undefined) },
      )
      .transform((value, context): Secret => {
        const source = secretSource(value, this.#resolver);
        const found =
          source === undefined ? { problem: "say either env or file" } : this.#resolver.secret(source);
        if ("secret" in found) return found.secret;
        context.addIssue({ code: "custom", message: found.problem });
        return z.NEVER;
      })
      .meta({ description, mark: "secret" satisfies LeafMark });
  }

  /** A secret that is a PostgreSQL URL. */
  databaseUrl(description: string) {
    return this.secret(description)
      .superRefine((secret, context) => {
        const problem = databaseUrlProblem(secret);
        if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
      })
      .meta({ description, mark: "secret" satisfies LeafMark });
  }
}

const INLINE_SECRET =
  "holds a secret in clear, which is refused: put it into the environment and write { env: NAME }, or into a file of mode 0600 and write { file: PATH }";

function secretSource(value: { env?: string; file?: string }, resolver: Resolver): SecretSource | undefined {
  if (value.env !== undefined && value.file === undefined) return { kind: "env", name: value.env };
  if (value.file !== undefined && value.env === undefined)
    return { kind: "file", path: resolver.path(value.file) };
  return undefined;
}

/** A secret that may be missing for now (see `loadConfig`) is judged when it is used. */
function databaseUrlProblem(secret: Secret): string | undefined {
  const text = secret.peek();
  if (text === undefined) return undefined;
  if (URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol)) return undefined;
  return "is not a PostgreSQL URL: it must read postgresql://user:password@host:port/database, with special characters percent-encoded";
}

/**
 * An http or https URL that this proxy calls or is called at. The output has no slash at its end.
 * Refused: other schemes, credentials inside (they are secrets), query, fragment, addresses nobody may be made to call.
 */
export function networkUrl(description: string) {
  return z
    .string()
    .superRefine((text, context) => {
      const problem = urlProblem(text);
      if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    })
    .transform((text) => text.replace(/\/+$/, ""))
    .describe(description);
}

/** What is wrong with a URL to call, as a sentence that does not repeat it; undefined if nothing is. */
export function urlProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return "is not a URL: it must read https://host/path";
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return "must be an http or https URL";
  if (url.username !== "" || url.password !== "")
    return "holds credentials, which are refused in a URL: say them under auth";
  if (text.includes("?") || text.includes("#")) return "must end with the path: no query, no fragment";
  try {
    assertAllowedHost(url.hostname);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return undefined;
}

/** Whether a URL is fit to send a secret to: https, or this machine itself. What is no URL is judged by `networkUrl`. */
export function isSafeTransport(text: string): boolean {
  if (!URL.canParse(text)) return true;
  const url = new URL(text);
  return url.protocol === "https:" || isLoopbackHost(url.hostname);
}
