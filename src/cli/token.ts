/**
 * `scimseal token mint|list|revoke`: bearer tokens of clients and auditors, in the data directory's credential file.
 * A token is printed once, when it is minted; a running server takes up every change within a second.
 */
import { type Command, InvalidArgumentError } from "commander";
import { type Credential, type CredentialScope, credentialState } from "../auth/credential.ts";
import { addCredential, listCredentials, revokeCredential } from "../auth/credentialFile.ts";
import { readLastUse } from "../auth/credentialStore.ts";
import { NAME_PATTERN, NAME_RULE } from "../config/leaves.ts";
import { loadConfig } from "../config/load.ts";
import { formatTable } from "./printable.ts";

interface PlaceOptions {
  config?: string;
  dataDir?: string;
}

interface MintOptions extends PlaceOptions {
  connector?: string;
  auditor?: true;
  ledger?: string[];
  name?: string;
  notBefore?: Date;
  expires?: Date;
}

/** Adds the command. */
export function registerToken(program: Command): void {
  const token = program.command("token").description("mint, list and revoke bearer tokens");

  withPlace(token.command("mint"))
    .description("make a token and print it, once")
    .option("--connector <name>", "a client's token for this connector")
    .option("--auditor", "an auditor's token")
    .option("--ledger <name...>", "ledgers an auditor may read (all of them if left out)")
    .option("--name <name>", "name of the credential in entries; never a person's", parseName)
    .option("--not-before <time>", "valid from: a date, or a time from now such as 7d", parseTime)
    .option("--expires <time>", "valid until: a date, or a time from now such as 90d", parseTime)
    .action(async (options: MintOptions, command: Command) => {
      const { dataDir, known } = await openPlace(options, command);
      const scope = readScope(options, command);
      for (const [kind, name] of namesOf(scope)) {
        if (known !== undefined && !known[kind].includes(name)) {
          command.error(
            `error: no ${kind} is called ${name}; the configuration has: ${known[kind].join(", ")}`,
          );
        }
      }
      const { name, notBefore, expires } = options;
      if (notBefore !== undefined && expires !== undefined && notBefore >= expires) {
        command.error("error: --expires must be after --not-before");
      }
      const request = {
        ...scope,
        ...(name && { name }),
        ...(notBefore && { notBefore }),
        ...(expires && { expires }),
      };
      const made = await addCredential(dataDir, request, new Date());
      const { id, expires: until } = made.credential;
      const life = until === undefined ? "It does not expire" : `It expires ${until}`;
      const { writeErr, writeOut } = command.configureOutput();
      writeErr?.(`Minted ${made.credential.name} (id ${id}). ${life}. The token is shown this once:\n`);
      writeOut?.(`${made.token}\n`);
    });

  withPlace(token.command("list"))
    .description("show every credential, without its token")
    .option("--json", "as JSON")
    .action(async (options: PlaceOptions & { json?: true }, command: Command) => {
      const { dataDir } = await openPlace(options, command);
      const lastUse = readLastUse(dataDir);
      const nowMs = Date.now();
      const credentials = (await listCredentials(dataDir)).map(({ sha256: _hash, ...shown }) => ({
        ...shown,
        state: credentialState(shown, nowMs),
        ...(lastUse[shown.id] !== undefined && { lastUse: lastUse[shown.id] }),
      }));
      const { writeOut } = command.configureOutput();
      if (options.json) writeOut?.(`${JSON.stringify(credentials, null, 2)}\n`);
      else if (credentials.length === 0) writeOut?.("No credential yet: scimseal token mint makes one.\n");
      else {
        const header = ["ID", "PREFIX", "STATE", "FOR", "NAME", "CREATED", "EXPIRES", "LAST USE"];
        const rows = credentials.map((credential) => [
          credential.id,
          `${credential.prefix}…`,
          credential.state,
          describeScope(credential),
          credential.name,
          credential.created.slice(0, 16),
          credential.expires?.slice(0, 16) ?? "never",
          credential.lastUse?.slice(0, 16) ?? "unknown",
        ]);
        writeOut?.(formatTable([header, ...rows]));
      }
    });

  withPlace(token.command("revoke <id-or-prefix>"))
    .description("end a credential; a running server refuses it within a second")
    .action(async (idOrPrefix: string, options: PlaceOptions, command: Command) => {
      const { dataDir } = await openPlace(options, command);
      const { name, id } = await revokeCredential(dataDir, idOrPrefix.replace(/…$/, ""), new Date());
      command.configureOutput().writeOut?.(`Revoked ${name} (id ${id}).\n`);
    });
}

function withPlace(command: Command): Command {
  return command
    .option("--config <file>", "configuration file, which names the data directory")
    .option("--data-dir <dir>", "data directory, instead of --config");
}

interface Known {
  connector: string[];
  ledger: string[];
}

/** The data directory, and the names the configuration knows if there is one. */
async function openPlace(
  options: PlaceOptions,
  command: Command,
): Promise<{ dataDir: string; known?: Known }> {
  if (options.config !== undefined && options.dataDir === undefined) {
    const config = await loadConfig(options.config, { secrets: "deferred" });
    const known = { connector: Object.keys(config.connectors), ledger: Object.keys(config.ledgers) };
    return { dataDir: config.dataDir, known };
  }
  if (options.dataDir !== undefined && options.config === undefined) return { dataDir: options.dataDir };
  return command.error("error: say either --config FILE or --data-dir DIR");
}

function readScope({ connector, auditor, ledger }: MintOptions, command: Command): CredentialScope {
  if (auditor && connector === undefined) return { kind: "auditor", ledgers: ledger ?? "*" };
  if (connector !== undefined && !auditor && ledger === undefined) return { kind: "client", connector };
  return command.error("error: say either --connector NAME, or --auditor with or without --ledger NAME");
}

function namesOf(scope: CredentialScope): ["connector" | "ledger", string][] {
  if (scope.kind === "client") return [["connector", scope.connector]];
  return scope.ledgers === "*" ? [] : scope.ledgers.map((name) => ["ledger", name]);
}

function describeScope(credential: Omit<Credential, "sha256"> & CredentialScope): string {
  if (credential.kind === "client") return `connector ${credential.connector}`;
  return credential.ledgers === "*"
    ? "auditor of all ledgers"
    : `auditor of ${credential.ledgers.join(", ")}`;
}

function parseName(text: string): string {
  if (!NAME_PATTERN.test(text)) throw new InvalidArgumentError(NAME_RULE);
  return text;
}

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Reads `90d`, `12h`, `30m` from now, or an ISO date, with or without a time (UTC if it has no zone). */
export function parseTime(text: string): Date {
  const span = /^(\d{1,5})([mhd])$/.exec(text);
  const unit = span?.[2];
  if (unit === "m" || unit === "h" || unit === "d")
    return new Date(Date.now() + Number(span?.[1]) * UNITS[unit]);
  const full = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$/.test(text) ? `${text}Z` : text;
  const date = /^\d{4}-\d{2}-\d{2}(T|$)/.test(full) ? new Date(full) : new Date(Number.NaN);
  if (Number.isNaN(date.getTime()))
    throw new InvalidArgumentError("write 90d, 12h, or a date such as 2030-01-31");
  return date;
}
