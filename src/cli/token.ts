/**
 * `scimseal token mint|signin|list|revoke`: bearer tokens of clients and of whoever reads, and one-time sign-in links for
 * people, in the data directory's files. A token or a link is printed once, when it is made; a running server takes up
 * every change within a second.
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type CredentialScope, credentialState, type Reach, ROLES, type Role } from "../auth/credential.ts";
import { addCredential, listCredentials, revokeCredential } from "../auth/credentialFile.ts";
import { readLastUse } from "../auth/credentialStore.ts";
import { addSignInLink, linkState, listSignInLinks, revokeSignInLink } from "../auth/session/signInLink.ts";
import { commandName } from "../config/commandName.ts";
import { NAME_PATTERN, NAME_RULE } from "../config/leaves.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { formatTable } from "./printable.ts";

interface PlaceOptions {
  config?: string;
  dataDir?: string;
}

interface MintOptions extends PlaceOptions {
  connector?: string;
  auditor?: true;
  operator?: true;
  admin?: true;
  ledger?: string[];
  connectorScope?: string[];
  name?: string;
  notBefore?: Date;
  expires?: Date;
}

interface SignInOptions extends PlaceOptions {
  role: Role;
  ledger?: string[];
  connectorScope?: string[];
  name?: string;
  url?: string;
}

/** Adds the command. */
export function registerToken(program: Command): void {
  const token = program.command("token").description("mint, list and revoke bearer tokens");

  withPlace(token.command("mint"))
    .description("make a token and print it, once")
    .option("--connector <name>", "a client's token for this connector")
    .option("--auditor", "an auditor's token: reads and exports")
    .option("--operator", "an operator's token: connectors and health, no names and no bodies")
    .option("--admin", "an administrator's token: both, and acknowledges alarms")
    .option("--ledger <name...>", "ledgers that it may read (all of them if left out)")
    .option("--connector-scope <name...>", "connectors whose transactions it may see (all if left out)")
    .option("--name <name>", "name of the credential in entries; never a person's", parseName)
    .option("--not-before <time>", "valid from: a date, or a time from now such as 7d", parseTime)
    .option("--expires <time>", "valid until: a date, or a time from now such as 90d", parseTime)
    .action(async (options: MintOptions, command: Command) => {
      const { dataDir, known } = await openPlace(options, command);
      const scope = readScope(options, command);
      requireKnown(scope, known, command);
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

  withPlace(token.command("signin"))
    .description("make a one-time link to sign in to the dashboard with, and print it, once")
    .addOption(new Option("--role <role>", "what the person may do").choices([...ROLES]).default("auditor"))
    .option("--ledger <name...>", "ledgers that the person may read (all of them if left out)")
    .option(
      "--connector-scope <name...>",
      "connectors whose transactions the person may see (all if left out)",
    )
    .option("--name <name>", "name in the entries about looking; never a person's", parseName)
    .option("--url <url>", "address of the dashboard, if neither the configuration nor its default says it")
    .action(async (options: SignInOptions, command: Command) => {
      const { dataDir, known, config } = await openPlace(options, command);
      const reach = reachOf(options.role, options.ledger, options.connectorScope);
      requireKnown(reach, known, command);
      const url = dashboardUrl(options.url, config, command);
      const { name } = options;
      const { secret, link } = await addSignInLink(dataDir, { ...reach, ...(name && { name }) }, new Date());
      const { writeErr, writeOut } = command.configureOutput();
      writeErr?.(
        `Signs in ${link.name} (id ${link.id}) as ${describeReach(link)}. Works once, until ${link.expires}:\n`,
      );
      writeOut?.(`${formatSignInUrl(url, secret)}\n`);
    });

  withPlace(token.command("list"))
    .description("show every credential, without its token, and every sign-in")
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
      const signIns = (await listSignInLinks(dataDir)).map((link) => [
        link.id,
        "",
        `sign-in ${linkState(link, nowMs)}`,
        describeReach(link),
        link.name,
        link.created.slice(0, 16),
        link.expires.slice(0, 16),
        link.used?.slice(0, 16) ?? "never",
      ]);
      const { writeOut } = command.configureOutput();
      if (options.json) writeOut?.(`${JSON.stringify(credentials, null, 2)}\n`);
      else if (credentials.length + signIns.length === 0)
        writeOut?.(`No credential yet: ${commandName()} token mint makes one.\n`);
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
        writeOut?.(formatTable([header, ...rows, ...signIns]));
      }
    });

  withPlace(token.command("revoke <id-or-prefix>"))
    .description(
      "end a credential, or a sign-in with its session; a running server refuses it within a second",
    )
    .action(async (idOrPrefix: string, options: PlaceOptions, command: Command) => {
      const { dataDir } = await openPlace(options, command);
      const wanted = idOrPrefix.replace(/…$/, "");
      const now = new Date();
      const { name, id } =
        (await revokeSignInLink(dataDir, wanted, now)) ?? (await revokeCredential(dataDir, wanted, now));
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
): Promise<{ dataDir: string; known?: Known; config?: Config }> {
  if (options.config !== undefined && options.dataDir === undefined) {
    const config = await loadConfig(options.config, { secrets: "deferred" });
    const known = { connector: Object.keys(config.connectors), ledger: Object.keys(config.ledgers) };
    return { dataDir: config.dataDir, known, config };
  }
  if (options.dataDir !== undefined && options.config === undefined) return { dataDir: options.dataDir };
  return command.error("error: say either --config FILE or --data-dir DIR");
}

function readScope(options: MintOptions, command: Command): CredentialScope {
  const { connector, ledger, connectorScope } = options;
  const roles = ROLES.filter((role) => options[role]);
  const [role] = roles;
  if (role !== undefined && roles.length === 1 && connector === undefined)
    return { kind: "auditor", ...reachOf(role, ledger, connectorScope) };
  if (connector !== undefined && role === undefined && ledger === undefined && connectorScope === undefined)
    return { kind: "client", connector };
  return command.error(
    "error: say either --connector NAME, or one of --auditor, --operator and --admin, with or without --ledger NAME and --connector-scope NAME",
  );
}

/** The role auditor is left out, as it always was: older versions read the file too. */
function reachOf(role: Role, ledgers: string[] | undefined, connectors: string[] | undefined): Reach {
  return {
    ...(role !== "auditor" && { role }),
    ledgers: ledgers ?? "*",
    ...(connectors && { connectors }),
  };
}

/** A name that the configuration does not have is a slip of the pen: such a token would open nothing. */
function requireKnown(scope: CredentialScope | Reach, known: Known | undefined, command: Command): void {
  if (known === undefined) return;
  for (const [kind, name] of namesOf(scope)) {
    if (known[kind].includes(name)) continue;
    command.error(`error: no ${kind} is called ${name}; the configuration has: ${known[kind].join(", ")}`);
  }
}

function namesOf(scope: CredentialScope | Reach): ["connector" | "ledger", string][] {
  if ("connector" in scope) return [["connector", scope.connector]];
  const { ledgers, connectors = [] } = scope;
  return [
    ...(ledgers === "*" ? [] : ledgers.map((name): ["ledger", string] => ["ledger", name])),
    ...connectors.map((name): ["connector", string] => ["connector", name]),
  ];
}

function describeScope(credential: CredentialScope): string {
  if (credential.kind === "client") return `connector ${credential.connector}`;
  return describeReach(credential);
}

function describeReach({ role = "auditor", ledgers, connectors }: Reach): string {
  const where = ledgers === "*" ? "all ledgers" : ledgers.join(", ");
  return `${role} of ${where}${connectors === undefined ? "" : `, connectors ${connectors.join(", ")}`}`;
}

/** Where people open the dashboard, by the option, or by the configuration. */
function dashboardUrl(url: string | undefined, config: Config | undefined, command: Command): string {
  if (url !== undefined) {
    if (URL.canParse(url) && /^https?:\/\//i.test(url)) return url;
    return command.error("error: --url must be an address such as https://audit.example.com");
  }
  if (config === undefined)
    return command.error(
      "error: with --data-dir, say the dashboard's address too: --url http://127.0.0.1:8081",
    );
  const { publicUrl, listen, tls } = config.admin;
  if (publicUrl !== undefined) return publicUrl;
  if (listen.port === 0)
    return command.error("error: the admin listener has no fixed port: say the dashboard's address by --url");
  // An address of every interface is none to open in a browser.
  const host = ["0.0.0.0", "::"].includes(listen.host) ? "localhost" : listen.host;
  return `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${listen.port}`;
}

/** The link: its secret stands in the fragment, which browsers send to nobody, so no log and no Referer ever holds it. */
export function formatSignInUrl(url: string, secret: string): string {
  return `${new URL(url).origin}/#signin=${secret}`;
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
