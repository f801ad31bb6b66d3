/**
 * The configuration file's shape: every key, its meaning, its default and its bounds.
 *
 * One source for three readers: the loader parses with it, `docs/CONFIGURATION.md` is generated from it, and the
 * `SCIMSEAL_*` overrides are named after it. Every key carries a description. It does no I/O itself: what needs the
 * file system or the environment (paths, secrets) goes through the `Resolver` that it is built with.
 */
import path from "node:path";
import { z } from "zod";
import { parseNetwork } from "./address.ts";
import { connectorSchema } from "./connector.ts";
import { databaseSchema, ledgerDatabaseSchema } from "./database.ts";
import {
  LEDGER_NAME_PATTERN,
  LEDGER_NAME_RULE,
  Leaves,
  NAME_PATTERN,
  NAME_RULE,
  networkUrl,
  type Resolver,
} from "./leaves.ts";
import { alarmsSchema, proofKeys } from "./proof.ts";

/** First path segments of the SCIM listener that are its own, so no connector may be called like them. */
export const RESERVED_CONNECTORS: readonly string[] = ["oauth2", "healthz", "readyz", "metrics"];

const MIB = 1024 * 1024;
const LEDGER_NAME = z.string().regex(LEDGER_NAME_PATTERN, LEDGER_NAME_RULE);
const CONNECTOR_NAME = z.string().regex(NAME_PATTERN, NAME_RULE);

const SEALING_KEY =
  "JWK set of 256-bit oct keys that attachments are sealed with, mode 0600: the first seals, all open. Keep a copy apart from the database; without it the attachments are lost.";
const NO_SEALING_KEY =
  "is required: attachments are sealed at rest. Make a key with `scimseal keys sealing --out FILE` and name the file here";

/** Builds the schema; `resolver` turns path and secret leaves into what the program uses. */
export function configSchema(resolver: Resolver) {
  const leaf = new Leaves(resolver);

  const tls = z
    .strictObject({
      certFile: leaf.file("PEM file with the certificate and its chain, leaf first."),
      keyFile: leaf.privateFile("PEM file with the private key, mode 0600."),
    })
    .describe("TLS for this listener. Leave it out behind a terminator on the same host.");

  const listener = (port: number, what: string) =>
    z
      .strictObject({
        host: z.string().min(1).describe("Address to bind.").default("127.0.0.1"),
        port: z.int().min(0).max(65535).describe("TCP port; 0 takes any free one.").default(port),
      })
      .describe(`Where the ${what} listener binds.`)
      .prefault({});

  const limits = z
    .strictObject({
      maxConnections: count("Open sockets; further ones are closed at once.", 1000, 1, 100_000),
      maxHeaderBytes: bytes("Size of a request's header section, else 431.", 16_384, 4096, MIB),
      maxHeaders: count("Header lines of a request, else 431.", 200, 20, 2000),
      maxUrlBytes: bytes("Length of a request's target, else 414.", 8192, 1024, 65_536),
      headersTimeoutMs: ms("Time to send the header section, else 408.", 10_000),
      requestTimeoutMs: ms("Time to send the whole request, else 408.", 30_000),
      keepAliveTimeoutMs: ms("How long an idle connection stays open.", 65_000),
      bodyBytes: bytes("Size of a request body other than Bulk, else 413.", MIB, 1024, 64 * MIB),
      bulkBytes: bytes("Size of a Bulk request body, else 413.", 8 * MIB, 1024, 256 * MIB),
      bulkOperations: count("Operations in one Bulk request, else 413.", 1000, 1, 100_000),
      responseBytes: bytes("Size of a target's answer to a write, else 502.", 8 * MIB, 1024, 256 * MIB),
      inFlight: count("Writes at work at one time; further ones get the fail-closed answer.", 256, 1, 10_000),
      bufferedBytes: bytes(
        "Memory for bodies held at one time, over all writes.",
        64 * MIB,
        MIB,
        16_384 * MIB,
      ),
      authFailuresPerMinute: count(
        "Failed authentications from one address in a minute, then 429.",
        120,
        1,
        1e6,
      ),
    })
    .superRefine((value, context) => {
      const atMost = (small: keyof typeof value, large: keyof typeof value) => {
        if (value[small] > value[large]) {
          context.addIssue({ code: "custom", path: [small], message: `must not be above ${large}` });
        }
      };
      atMost("bodyBytes", "bulkBytes");
      atMost("bulkBytes", "bufferedBytes");
      atMost("responseBytes", "bufferedBytes");
      atMost("headersTimeoutMs", "requestTimeoutMs");
    })
    .describe("Bounds on what clients and targets may make the proxy hold.")
    .prefault({});

  const ledger = z.strictObject({
    origin: z
      .string()
      .min(1)
      .max(200)
      .regex(/^[^\s+\p{Cc}]+$/u, "must hold neither spaces nor plus signs")
      .describe(
        "The ledger's name for the world (C2SP origin), such as scim.example.com/main. Never change it.",
      ),
    signingKey: keyFile(leaf, "Private Ed25519 key (JWK) that signs entries, mode 0600."),
    pinnedKeys: z
      .array(leaf.file("JWK or JWKS file with a public key."))
      .describe(
        "Public keys that this ledger is verified with. Keep a copy where the database's owner has no hand.",
      )
      .min(1, "names no key: pin the genesis public key that `scimseal init` wrote"),
    tokenKey: keyFile(
      leaf,
      "32 random bytes that keyed tokens for personal identifiers are made with, mode 0600.",
    ),
    sealingKey: z
      .strictObject(
        { file: leaf.privateFile(SEALING_KEY) },
        { error: (issue) => (issue.input === undefined ? NO_SEALING_KEY : undefined) },
      )
      .describe(SEALING_KEY),
    database: ledgerDatabaseSchema(leaf).exactOptional(),
    ...proofKeys(leaf),
  });

  return z
    .strictObject({
      dataDir: leaf
        .file("Directory for credentials, anchors and the embedded database, mode 0700.")
        .prefault("./data"),
      publicUrl: networkUrl(
        "What identity providers call: the base URL is {publicUrl}/{connector}/scim/v2. Left out: the SCIM listener's own address.",
      ).exactOptional(),
      scim: z
        .strictObject({
          listen: listener(8080, "SCIM"),
          tls: tls.exactOptional(),
          trustedProxies: z
            .array(
              z
                .string()
                .refine(isNetwork, "is neither an address nor a network such as 10.0.0.0/8")
                .describe("Network in CIDR notation."),
            )
            .describe("Networks whose X-Forwarded-For and X-Forwarded-Proto are believed.")
            .default([]),
          limits,
        })
        .describe("The listener that identity providers call.")
        .prefault({}),
      admin: z
        .strictObject({
          listen: listener(8081, "admin"),
          tls: tls.exactOptional(),
          publicUrl: networkUrl(
            "Where people open the dashboard, if not at the listener's own address: behind a TLS terminator, say. Sign-in links and sessions are for this address.",
          )
            .refine(
              (text) => new URL(text).pathname === "/",
              "must have no path: the dashboard is at its root",
            )
            .exactOptional(),
        })
        .describe("The listener for auditors and operators: audit API, health, metrics.")
        .prefault({}),
      database: databaseSchema(leaf),
      appendDeadlineMs: ms("How long an append may take before the write is refused.", 2000, 100, 30_000),
      failClosed: z
        .strictObject({
          status: z
            .literal([503, 429])
            .describe("Status of a refusal because nothing can be recorded.")
            .default(503),
          retryAfterSeconds: z.int().min(1).max(3600).describe("Retry-After of that answer.").default(5),
        })
        .describe("What a client hears while nothing can be recorded.")
        .prefault({}),
      ledgers: named(ledger, "The ledgers, by name.", LEDGER_NAME).refine(
        (value) => Object.keys(value).length > 0,
        "No ledger configured: name at least one under ledgers; without a record nothing may pass",
      ),
      connectors: named(
        connectorSchema(leaf),
        "The connectors, by name: the first segment of their public path.",
        CONNECTOR_NAME,
      ).refine(
        (value) => Object.keys(value).length > 0,
        "No connector configured: name at least one under connectors",
      ),
      alarms: alarmsSchema(leaf),
      log: z
        .strictObject({
          level: z
            .enum(["debug", "info", "warn", "error"])
            .describe("Least severe level that is written.")
            .default("info"),
          format: z
            .enum(["auto", "json", "pretty"])
            .describe("auto: pretty on a terminal, else JSON.")
            .default("auto"),
        })
        .describe("The log on standard output.")
        .prefault({}),
    })
    .superRefine(checkTogether);
}

/** The whole configuration, every default filled in, paths absolute, secrets wrapped. */
export type Config = z.output<ReturnType<typeof configSchema>> & {
  /** Absolute path of the file it was read from. */
  readonly file: string;
};

/** One ledger of the configuration. */
export type LedgerConfig = Config["ledgers"][string];
/** One connector of the configuration. */
export type ConnectorConfig = Config["connectors"][string];
/** A connector's target. */
export type TargetConfig = ConnectorConfig["target"];
/** A connector's clients, besides minted tokens. */
export type ClientsConfig = ConnectorConfig["clients"];
/** One issuer whose JWTs a connector accepts. */
export type JwtClientConfig = ClientsConfig["jwt"][number];
/** The bounds of the SCIM listener. */
export type Limits = Config["scim"]["limits"];
/** TLS of a listener. */
export type ListenerTls = NonNullable<Config["scim"]["tls"]>;

/** What one key cannot tell alone. */
function checkTogether(config: CrossChecked, context: z.RefinementCtx): void {
  const issue = (path: string[], message: string) => context.addIssue({ code: "custom", path, message });
  for (const [name, connector] of Object.entries(config.connectors)) {
    if (RESERVED_CONNECTORS.includes(name)) {
      issue(
        ["connectors", name],
        `is a path of the listener's own: choose another name than ${RESERVED_CONNECTORS.join(", ")}`,
      );
    }
    if (!Object.hasOwn(config.ledgers, connector.ledger)) {
      const known = Object.keys(config.ledgers).join(", ");
      issue(
        ["connectors", name, "ledger"],
        `No ledger configured: "${connector.ledger}" is not one of: ${known}`,
      );
    }
  }
  const origins = new Map<string, string>();
  for (const [name, ledger] of Object.entries(config.ledgers)) {
    const other = origins.get(ledger.origin);
    if (other !== undefined)
      issue(
        ["ledgers", name, "origin"],
        `is also the origin of ledger ${other}: two ledgers would tell two histories under one name`,
      );
    origins.set(ledger.origin, name);
    const own = path.join(config.dataDir, "anchors");
    if (ledger.anchors.directories.includes(own))
      issue(
        ["ledgers", name, "anchors", "directories"],
        "names dataDir's own anchors, which is always in use",
      );
  }
  const scim = config.scim.listen;
  const admin = config.admin.listen;
  if (scim.port !== 0 && scim.port === admin.port && scim.host === admin.host) {
    issue(["admin", "listen", "port"], "is the SCIM listener's: the two must not share an address");
  }
}

interface CrossChecked {
  dataDir: string;
  connectors: Readonly<Record<string, { ledger: string }>>;
  ledgers: Readonly<Record<string, { origin: string; anchors: { directories: readonly string[] } }>>;
  scim: { listen: { host: string; port: number } };
  admin: { listen: { host: string; port: number } };
}

/** A record by name that is safe to index with a name from a request: it has no prototype to find things on. */
function named<T extends z.ZodType>(value: T, description: string, name: z.ZodString) {
  return z
    .record(name, value)
    .transform((record): Readonly<Record<string, z.output<T>>> => Object.assign(Object.create(null), record))
    .describe(description)
    .prefault({});
}

function keyFile(leaf: Leaves, description: string) {
  return z.strictObject({ file: leaf.privateFile(description) }).describe(description);
}

function count(description: string, value: number, min: number, max: number) {
  return z.int().min(min).max(max).describe(description).default(value);
}

function bytes(description: string, value: number, min: number, max: number) {
  return count(`${description} Bytes.`, value, min, max);
}

function ms(description: string, value: number, min = 100, max = 600_000) {
  return count(`${description} Milliseconds.`, value, min, max);
}

function isNetwork(text: string): boolean {
  try {
    parseNetwork(text);
    return true;
  } catch {
    return false;
  }
}
