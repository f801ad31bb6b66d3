/**
 * What is wrong with a configuration, said for the person who edits it: where, what, and the likely remedy.
 * No message repeats a value of the file: a value in the wrong place may be a secret.
 */
import type { z } from "zod";
import { nearestName, type Override } from "./environment.ts";
import type { KeyOutline } from "./outline.ts";

/** One thing that is wrong with the configuration. */
export interface ConfigProblem {
  /** Dotted path of the key; empty for the file as a whole. */
  path: string;
  /** Line of the file, from 1; absent if the file does not say it. */
  line?: number;
  /** What is wrong and what to do, without the value. */
  message: string;
}

/** The configuration cannot be used. The message lists every problem, one a line. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[], options?: ErrorOptions) {
    const lines = problems.map(({ path: key, line, message }) => {
      const where = line === undefined ? file : `${file}:${line}`;
      return key === "" ? `${where}: ${message}` : `${where}: ${key}: ${message}`;
    });
    super(lines.join("\n"), options);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** Turns a schema issue into sentences for the person who edits the file. */
export function explain(
  issue: z.core.$ZodIssue,
  root: unknown,
  keys: readonly KeyOutline[],
  overrides: readonly Override[],
  lineAt: (segments: readonly PropertyKey[]) => number | undefined,
): ConfigProblem[] {
  const problem = (segments: readonly PropertyKey[], message: string): ConfigProblem => {
    const key = formatPath(segments);
    const override = overrides.find((candidate) => formatPath(candidate.path) === key);
    if (override !== undefined) return { path: key, message: `${message} (set by ${override.variable})` };
    const line = lineAt(segments);
    return line === undefined ? { path: key, message } : { path: key, line, message };
  };
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => {
        const siblings = siblingNames(issue.path, keys);
        const near = nearestName(key, siblings, Math.max(2, Math.floor(key.length / 3)));
        const advice = near !== undefined ? `did you mean ${near}?` : `known here: ${siblings.join(", ")}`;
        return problem([...issue.path, key], `is not a key; ${advice}`);
      });
    case "invalid_key":
      return [problem(issue.path, `as a name ${issue.issues.map(({ message }) => message).join("; ")}`)];
    case "invalid_type": {
      if (issue.message !== "" && !issue.message.startsWith("Invalid input"))
        return [problem(issue.path, issue.message)];
      const value = valueAt(root, issue.path);
      if (value === undefined) return [problem(issue.path, "is required")];
      return [problem(issue.path, `must be ${article(issue.expected)}, and is ${kindOf(value)}`)];
    }
    case "too_small":
      return [
        problem(
          issue.path,
          issue.origin === "number" || issue.origin === "int"
            ? `must be ${issue.minimum} or more`
            : plain(issue.message, "must not be empty"),
        ),
      ];
    case "too_big":
      return [
        problem(
          issue.path,
          issue.origin === "number" || issue.origin === "int"
            ? `must be ${issue.maximum} or less`
            : `must be shorter than ${issue.maximum}`,
        ),
      ];
    case "invalid_value":
      return [problem(issue.path, `must be one of: ${issue.values.join(", ")}`)];
    default:
      return [problem(issue.path, issue.message)];
  }
}

/** Our own message if the schema gave one, else the fallback instead of the library's. */
function plain(message: string, fallback: string): string {
  return /^(Too |Invalid )/.test(message) ? fallback : message;
}

function siblingNames(parent: readonly PropertyKey[], keys: readonly KeyOutline[]): string[] {
  const matches = (pattern: readonly string[]) =>
    pattern.length === parent.length + 1 &&
    parent.every((segment, index) => {
      const expected = pattern[index];
      return (
        expected === "<name>" || (expected === "[]" ? typeof segment === "number" : expected === segment)
      );
    });
  const names = keys.filter((key) => matches(key.path)).map((key) => key.path.at(-1) ?? "");
  // Inside a secret reference there is nothing the outline lists.
  return names.length > 0 ? names : ["env", "file"];
}

function valueAt(root: unknown, segments: readonly PropertyKey[]): unknown {
  let value = root;
  for (const segment of segments) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, segment)) return undefined;
    value = Reflect.get(value, segment);
  }
  return value;
}

function kindOf(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  if (typeof value === "string") return "text";
  if (typeof value === "number") return Number.isInteger(value) ? "a number" : "not a whole number";
  return `a ${typeof value}`;
}

function article(expected: string): string {
  const words: Record<string, string> = {
    string: "text",
    number: "a number",
    int: "a whole number",
    boolean: "true or false",
    object: "a mapping",
    record: "a mapping",
    array: "a list",
  };
  return words[expected] ?? expected;
}

/** `connectors.okta.clients.basic[0].name`. */
function formatPath(segments: readonly PropertyKey[]): string {
  return segments
    .map((segment, index) => {
      if (typeof segment === "number") return `[${segment}]`;
      return index === 0 ? String(segment) : `.${String(segment)}`;
    })
    .join("");
}
