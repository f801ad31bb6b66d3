/**
 * The reference page of the configuration, made from the schema:
 * `node src/config/reference.ts > docs/CONFIGURATION.md`. A test compares the page with what this makes.
 */
import { overrideName } from "./environment.ts";
import { type KeyOutline, outlineKeys } from "./outline.ts";
import { configSchema } from "./schema.ts";
import { Secret } from "./secret.ts";

const INTRODUCTION = `# Configuration

Generated from \`src/config/schema.ts\` by \`node src/config/reference.ts > docs/CONFIGURATION.md\`; do not edit.

One YAML file, named by \`--config\`. \`config/example.yaml\` is a whole one, with comments; \`scimseal init\` writes a
first one for you, and \`scimseal doctor\` checks it.

- A key that is not listed here is an error that names the key and the line. All problems are reported at once.
- A **path** is relative to the configuration file's directory.
- A **secret** is never written into the file. Say where it is: \`{ env: NAME }\` or \`{ file: PATH }\`; one line break
  at the end of a file is dropped.
- A file whose meaning says mode 0600 must be closed to group and others; otherwise nothing starts.
- A key with an *override* can be set by that environment variable, which wins over the file. For a secret, the
  variable holds the secret itself. \`SCIMSEAL_DATABASE_URL\` also takes the place of \`database.embedded\`.
- In paths, \`<name>\` stands for a name of your choice (lower-case letters, digits, hyphens), \`[]\` for each item of a list.
- Targets, token endpoints and key URLs at link-local, cloud metadata, multicast, broadcast and unspecified addresses
  are refused, when the file is read and again at each connection. Loopback and private networks are allowed.
`;

/** The keys of the configuration, in the order of the schema. */
export function configKeys(): KeyOutline[] {
  const secret = new Secret("");
  return outlineKeys(
    configSchema({ path: (text) => text, privateFile: () => undefined, secret: () => ({ secret }) }),
  );
}

/** A key's path as people write it: `connectors.<name>.clients.basic[].name`. */
export function formatKey({ path }: KeyOutline): string {
  return path.join(".").replaceAll(".[]", "[]");
}

/** The page, as Markdown. */
export function formatReference(): string {
  const keys = configKeys();
  const sections: string[] = [INTRODUCTION];
  for (const key of keys) {
    if (key.path.length === 1) {
      sections.push(`\n## \`${formatKey(key)}\`\n\n${key.description}\n\n${HEADER}`);
      if (isLeaf(key)) sections.push(formatRow(key));
    } else {
      sections.push(formatRow(key));
    }
  }
  return sections.join("");
}

const HEADER = "| key | value | default | meaning |\n|---|---|---|---|\n";

function isLeaf({ type }: KeyOutline): boolean {
  return type !== "object" && type !== "map";
}

function formatRow(key: KeyOutline): string {
  const override = overrideName(key);
  const meaning = override === undefined ? key.description : `${key.description} Override: \`${override}\`.`;
  const cells = [`\`${formatKey(key)}\``, formatType(key), formatDefault(key), meaning];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
}

function formatType({ type, choices, range }: KeyOutline): string {
  if (choices !== undefined) return choices.map((choice) => `\`${choice}\``).join(", ");
  if (range !== undefined) return `number, ${range[0]} to ${range[1]}`;
  return type === "object" ? "mapping" : type === "map" ? "mapping by name" : type;
}

function formatDefault({ required, defaultValue, type }: KeyOutline): string {
  if (required) return "required";
  if (defaultValue === undefined) return type === "object" ? "" : "none";
  return `\`${typeof defaultValue === "string" ? defaultValue : JSON.stringify(defaultValue)}\``;
}

if (import.meta.main) process.stdout.write(formatReference());
