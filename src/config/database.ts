/** The part of the schema that says where ledgers are kept: an embedded PostgreSQL, or one that somebody else runs. */
import { z } from "zod";
import type { Leaves } from "./leaves.ts";
import type { Secret } from "./secret.ts";

/** A PostgreSQL of our own below `dataDir`. */
export interface EmbeddedDatabaseConfig {
  kind: "embedded";
  /** TCP port on loopback; 0 = a free one, kept from then on. */
  port: number;
}

/** A PostgreSQL that somebody else runs. */
export interface ExternalDatabaseConfig {
  kind: "external";
  /** URL of the writer's role. */
  url: Secret;
  /** URL of the owner's role; with it, migrations are run at start. */
  ownerUrl?: Secret;
  /** URL of the reader's role; the writer's serves if it is absent. */
  readerUrl?: Secret;
  /** Absolute path of the PEM with the server's certificate authority. */
  caFile?: string;
  /** Names that `synchronous_standby_names` must hold. */
  requireSync: readonly string[];
}

/** Where a ledger is kept. */
export type DatabaseConfig = EmbeddedDatabaseConfig | ExternalDatabaseConfig;

/** The `database` key. */
export function databaseSchema(leaf: Leaves) {
  return z
    .strictObject({
      embedded: z
        .strictObject({
          port: z
            .int()
            .min(0)
            .max(65535)
            .describe("TCP port on loopback; 0 takes a free one and keeps it.")
            .default(0),
        })
        .describe("Run a PostgreSQL of our own below dataDir. Say this, or url.")
        .exactOptional(),
      ...externalKeys(leaf),
    })
    .transform((value, context): DatabaseConfig => {
      const { embedded, ...rest } = value;
      const external = toExternal(rest);
      const companions =
        Object.keys(rest).some((key) => key !== "requireSync") || rest.requireSync.length > 0;
      if (embedded !== undefined && !companions) return { kind: "embedded", port: embedded.port };
      if (embedded === undefined && external !== undefined) return external;
      const message =
        embedded !== undefined
          ? "says both embedded and url (or its companions): keep one"
          : "says neither embedded nor url: say where the ledgers are kept";
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    })
    .describe("Where the ledgers are kept: embedded (the default) or url.")
    .prefault({ embedded: {} });
}

/** The `database` key of one ledger. The embedded server serves all ledgers at once, so only a URL is of use here. */
export function ledgerDatabaseSchema(leaf: Leaves) {
  return z
    .strictObject(externalKeys(leaf))
    .transform((value, context): ExternalDatabaseConfig => {
      const external = toExternal(value);
      if (external !== undefined) return external;
      context.addIssue({ code: "custom", path: ["url"], message: "is required" });
      return z.NEVER;
    })
    .describe("A database of this ledger's own, instead of the common one.");
}

function externalKeys(leaf: Leaves) {
  return {
    url: leaf.databaseUrl("PostgreSQL URL of the writer's role.").exactOptional(),
    ownerUrl: leaf
      .databaseUrl(
        "PostgreSQL URL of the owner's role, for migrations. Leave it out where they are run apart.",
      )
      .exactOptional(),
    readerUrl: leaf
      .databaseUrl("PostgreSQL URL of the reader's role. Left out: the writer's.")
      .exactOptional(),
    caFile: leaf.file("PEM file with the certificate authority of the database server.").exactOptional(),
    requireSync: z
      .array(z.string().min(1).describe("Name of a standby (its application_name)."))
      .describe("Names that synchronous_standby_names must hold; else the ledger counts as not durable.")
      .default([]),
  };
}

type ExternalInput = Omit<ExternalDatabaseConfig, "kind" | "url"> & { url?: Secret };

function toExternal(value: ExternalInput): ExternalDatabaseConfig | undefined {
  const { url, ...rest } = value;
  return url === undefined ? undefined : { kind: "external", url, ...rest };
}
