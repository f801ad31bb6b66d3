/**
 * `scimseal init`: asks what a new installation needs, or takes it from flags, makes it, and says what to paste where.
 * On a terminal it asks for what the flags leave open; elsewhere, or with --yes, it takes defaults and names what is missing.
 * A target's secret is never a flag (other accounts see a process's arguments): a variable, a file, or typed unseen.
 */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text as readAll } from "node:stream/consumers";
import { type Command, Option } from "commander";
import { createSetup, type SecretPlace, type SetupAnswers, type SetupAuth } from "./setup.ts";
import { formatGuide } from "./setupGuide.ts";

const IDPS = ["okta", "entra", "other"] as const;
const AUTHS = ["bearer", "basic", "oauth", "none"] as const;

interface InitOptions {
  dir: string;
  targetUrl?: string;
  targetAuth?: (typeof AUTHS)[number];
  targetSecretEnv?: string;
  targetSecretFile?: string;
  targetUsername?: string;
  targetTokenUrl?: string;
  targetClientId?: string;
  idp?: (typeof IDPS)[number];
  publicUrl?: string;
  connector?: string;
  databaseUrlEnv?: string;
  embedded?: true;
  yes?: true;
}

/** Adds the command. */
export function registerInit(program: Command): void {
  program
    .command("init")
    .description("make a configuration, keys and tokens")
    .option("--dir <dir>", "directory to make them in", ".")
    .option("--target-url <url>", "SCIM base URL of the application behind the proxy")
    .addOption(new Option("--target-auth <kind>", "how the proxy proves itself to it").choices(AUTHS))
    .addOption(
      new Option("--target-secret-env <name>", "variable with its secret").conflicts("targetSecretFile"),
    )
    .option(
      "--target-secret-file <path>",
      "file with its secret; - reads it from standard input into a file of its own",
    )
    .option("--target-username <name>", "user name, for basic")
    .option("--target-token-url <url>", "token endpoint, for oauth")
    .option("--target-client-id <id>", "client identifier, for oauth")
    .addOption(new Option("--idp <kind>", "identity provider").choices(IDPS))
    .option("--public-url <url>", "URL that the identity provider will call, without the connector's path")
    .option("--connector <name>", "name of the connector (the identity provider's kind if left out)")
    .addOption(
      new Option("--database-url-env <name>", "variable with the PostgreSQL URL").conflicts("embedded"),
    )
    .option("--embedded", "keep the ledger in an embedded PostgreSQL (the default)")
    .option("--yes", "ask nothing, take defaults")
    .action(async (options: InitOptions, command: Command) => {
      const ask = options.yes || !process.stdin.isTTY ? refuseToAsk(command) : askOnTerminal;
      const answers = await collectAnswers(options, ask);
      const setup = await createSetup(answers);
      command.configureOutput().writeOut?.(formatGuide(answers, setup));
    });
}

interface Question {
  text: string;
  /** The flag that answers it. */
  flag: string;
  choices?: readonly string[];
  fallback?: string;
  hidden?: true;
}

/** Answers a question, or throws. */
type Ask = (question: Question) => Promise<string>;

async function collectAnswers(options: InitOptions, ask: Ask): Promise<SetupAnswers> {
  const idp =
    options.idp ??
    (await askChoice(ask, IDPS, { text: "Identity provider", flag: "--idp", fallback: "other" }));
  const targetUrl =
    options.targetUrl ?? (await ask({ text: "SCIM base URL of the application", flag: "--target-url" }));
  const targetAuth = await collectAuth(options, ask);
  const publicUrl =
    options.publicUrl ?? (await ask({ text: "Public URL of this proxy (https://…)", flag: "--public-url" }));
  const { dir, databaseUrlEnv, connector = idp } = options;
  return { dir, connector, idp, publicUrl, targetUrl, targetAuth, ...(databaseUrlEnv && { databaseUrlEnv }) };
}

async function collectAuth(options: InitOptions, ask: Ask): Promise<SetupAuth> {
  const kind =
    options.targetAuth ??
    (await askChoice(ask, AUTHS, {
      text: "Application's authentication",
      flag: "--target-auth",
      fallback: "bearer",
    }));
  switch (kind) {
    case "none":
      return { kind };
    case "bearer":
      return { kind, secret: await collectSecret(options, ask, "Bearer token") };
    case "basic": {
      const username =
        options.targetUsername ?? (await ask({ text: "User name", flag: "--target-username" }));
      return { kind, username, secret: await collectSecret(options, ask, "Password") };
    }
    case "oauth": {
      const tokenUrl =
        options.targetTokenUrl ?? (await ask({ text: "Token URL", flag: "--target-token-url" }));
      const clientId =
        options.targetClientId ?? (await ask({ text: "Client ID", flag: "--target-client-id" }));
      return { kind, tokenUrl, clientId, secret: await collectSecret(options, ask, "Client secret") };
    }
  }
}

async function collectSecret(options: InitOptions, ask: Ask, what: string): Promise<SecretPlace> {
  if (options.targetSecretEnv !== undefined) return { env: options.targetSecretEnv };
  if (options.targetSecretFile === "-") return { text: (await readAll(process.stdin)).trim() };
  if (options.targetSecretFile !== undefined) return { file: options.targetSecretFile };
  const flag = "--target-secret-env or --target-secret-file";
  return { text: await ask({ text: `${what} (not shown)`, flag, hidden: true }) };
}

async function askChoice<T extends string>(ask: Ask, choices: readonly T[], question: Question): Promise<T> {
  for (;;) {
    const answer = await ask({ ...question, choices });
    const found = choices.find((choice) => choice === answer.toLowerCase());
    if (found !== undefined) return found;
  }
}

/** Defaults where there are any; else an error that names the flag. */
function refuseToAsk(command: Command): Ask {
  return async ({ flag, text, fallback }) =>
    fallback ?? command.error(`error: ${flag} is missing (${text}), and there is no terminal to ask on`);
}

const askOnTerminal: Ask = async ({ text, choices, fallback, hidden }) => {
  const hint = choices === undefined ? "" : ` (${choices.join(", ")})`;
  const preset = fallback === undefined ? "" : ` [${fallback}]`;
  const prompt = `${text}${hint}${preset}: `;
  // A hidden answer is echoed into nothing; the prompt is written beforehand.
  const nothing = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({
    input: process.stdin,
    output: hidden ? nothing : process.stderr,
    terminal: true,
  });
  try {
    if (hidden) process.stderr.write(prompt);
    for (;;) {
      const answer = (await terminal.question(hidden ? "" : prompt)).trim() || fallback;
      if (hidden) process.stderr.write("\n");
      if (answer !== undefined) return answer;
    }
  } finally {
    terminal.close();
  }
};
