/**
 * The part of the schema that says how a ledger proves itself to others: what it publishes, where its checkpoints are
 * anchored, who cosigns them, how it is watched, and who hears of an alarm.
 */
import { z } from "zod";
import { decodeBase64 } from "../ledger/base64.ts";
import { parseWitnessPolicy } from "../ledger/note/logPolicy.ts";
import { parseVerifierKey } from "../ledger/note/verifierKey.ts";
import { isSafeTransport, type Leaves, networkUrl, urlProblem } from "./leaves.ts";
import { Secret } from "./secret.ts";

/** One receiver of alarms. */
export interface WebhookConfig {
  /** A secret, because some services put their token into it. */
  url: Secret;
  /** `whsec_` and 24 to 64 bytes in base64. */
  secret: Secret;
  format: "standard" | "slack";
}

/** The keys of a ledger that this file is about. */
export function proofKeys(leaf: Leaves) {
  return {
    publish: publishSchema(),
    anchors: anchorsSchema(leaf),
    witnesses: witnessesSchema(),
    monitor: monitorSchema(),
    index: indexSchema(),
  };
}

function publishSchema() {
  const audience = (description: string) =>
    z.enum(["public", "auditors"]).describe(description).default("auditors");
  return z
    .strictObject({
      intervalMs: z
        .int()
        .min(1000)
        .max(60_000)
        .describe("Least time between two checkpoints while the ledger grows. Milliseconds.")
        .default(1000),
      heartbeatMs: z
        .int()
        .min(1000)
        .max(86_400_000)
        .describe("Age at which a checkpoint is published again although nothing grew. Milliseconds.")
        .default(60_000),
      tiles: audience("Who may read checkpoints and tiles of hashes on the admin listener."),
      entries: audience("Who may read entries as tiles; entries name accounts and clients."),
    })
    .superRefine(({ intervalMs, heartbeatMs }, context) => {
      if (heartbeatMs >= intervalMs) return;
      context.addIssue({ code: "custom", path: ["heartbeatMs"], message: "must not be below intervalMs" });
    })
    .describe("The ledger as a transparency log: checkpoints and tiles.")
    .prefault({});
}

function anchorsSchema(leaf: Leaves) {
  return z
    .strictObject({
      directories: z
        .array(leaf.file("A directory that exists, best on another machine's disk."))
        .describe("Directories that hold a copy of the last checkpoint, `<ledger>.checkpoint`.")
        .default([])
        .refine((list) => new Set(list).size === list.length, "names a directory twice"),
      url: z
        .strictObject({
          url: networkUrl("Where the checkpoint is PUT, and read with GET; https, except on loopback."),
          token: leaf.secret("Bearer token for both.").exactOptional(),
        })
        .refine(({ url }) => isSafeTransport(url), { path: ["url"], message: "must be https" })
        .describe("An HTTP endpoint that holds a copy of the last checkpoint.")
        .exactOptional(),
    })
    .describe(
      "Where the last checkpoint is kept outside the database, besides `anchors/<ledger>.checkpoint` in dataDir.",
    )
    .prefault({});
}

function witnessesSchema() {
  return z
    .strictObject({
      threshold: z
        .int()
        .min(0)
        .max(100)
        .describe("How many of them must have cosigned a checkpoint before it counts as anchored.")
        .default(0),
      list: z
        .array(
          z.strictObject({
            vkey: z
              .string()
              .superRefine((text, context) => {
                const problem = witnessKeyProblem(text);
                if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
              })
              .describe("The witness's verifier key (C2SP signed-note): name+id+key."),
            url: networkUrl("Its submission prefix; add-checkpoint is below it."),
          }),
        )
        .describe("Witnesses that checkpoints are sent to (C2SP tlog-witness).")
        .default([]),
    })
    .superRefine(({ threshold, list }, context) => {
      const witnesses = list.map(({ vkey }) => vkey);
      if (witnesses.some((vkey) => witnessKeyProblem(vkey) !== undefined)) return; // Said already.
      const policy = parseWitnessPolicy({ threshold, witnesses });
      if (typeof policy === "string")
        context.addIssue({ code: "custom", message: `is not possible: ${policy}` });
    })
    .describe("Other parties that cosign checkpoints once they saw that the ledger only grew.")
    .prefault({});
}

function monitorSchema() {
  return z
    .strictObject({
      onTamper: z
        .enum(["refuse", "alarm"])
        .describe("refuse: after a finding, writes are refused until it is acknowledged. alarm: they go on.")
        .default("refuse"),
      entriesPerSecond: z
        .int()
        .min(1)
        .max(100_000)
        .describe("Pace of the pass that verifies the whole ledger again and again.")
        .default(500),
    })
    .describe("The verification that runs in the background.")
    .prefault({});
}

function indexSchema() {
  return z
    .strictObject({
      coreShare: z
        .number()
        .min(0.01)
        .max(1)
        .describe(
          "Share of the time that making the search index may be at work; what it cannot keep up with is searchable later.",
        )
        .default(0.25),
    })
    .describe("The search index, made in the background.")
    .prefault({});
}

/** The top-level key `alarms`. */
export function alarmsSchema(leaf: Leaves) {
  const webhook = z
    .strictObject({
      url: webhookUrl().exactOptional(),
      secretUrl: leaf
        .secret("The address instead of url, for services that put a token into it, as Slack does.")
        .superRefine((secret, context) => {
          const text = secret.peek();
          const problem = text === undefined ? undefined : (urlProblem(text) ?? transportProblem(text));
          if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
        })
        // A refinement makes a new schema; without its mark the outline would look into it.
        .meta({
          description: "The address instead of url, for services that put a token into it, as Slack does.",
          mark: "secret",
        })
        .exactOptional(),
      secret: leaf
        .secret(SECRET_MEANING)
        .superRefine((secret, context) => {
          const text = secret.peek();
          if (text !== undefined && !isWebhookSecret(text)) {
            context.addIssue({
              code: "custom",
              message: "must be whsec_ and 24 to 64 bytes in base64: make one with: openssl rand -base64 32",
            });
          }
        })
        .meta({ description: SECRET_MEANING, mark: "secret" }),
      format: z
        .enum(["standard", "slack"])
        .describe("standard: the alarm as JSON (Standard Webhooks). slack: a text for an incoming webhook.")
        .default("standard"),
    })
    .transform(({ url, secretUrl, secret, format }, context): WebhookConfig => {
      const address = secretUrl ?? (url === undefined ? undefined : new Secret(url));
      if (address !== undefined && (url === undefined || secretUrl === undefined)) {
        return { url: address, secret, format };
      }
      context.addIssue({ code: "custom", message: "must say either url or secretUrl" });
      return z.NEVER;
    });
  return z
    .strictObject({
      webhooks: z
        .array(webhook)
        .describe("Addresses that each alarm is sent to (Standard Webhooks).")
        .default([]),
    })
    .describe("Who hears of an alarm, besides the log, the metrics and the ledger itself.")
    .prefault({});
}

const SECRET_MEANING =
  "What the messages are signed with (webhook-signature): whsec_ and 24 to 64 bytes in base64.";

function webhookUrl() {
  return networkUrl("Address; https, except on loopback.").refine(isSafeTransport, "must be https");
}

function transportProblem(text: string): string | undefined {
  return isSafeTransport(text) ? undefined : "must be https";
}

function witnessKeyProblem(text: string): string | undefined {
  const key = parseVerifierKey(text);
  if (typeof key === "string") return `is no verifier key: ${key}`;
  return key.type === "witness" ? undefined : "is the key of a log, not of a witness";
}

function isWebhookSecret(text: string): boolean {
  const bytes = decodeBase64(text.startsWith("whsec_") ? text.slice("whsec_".length) : text);
  return bytes !== undefined && bytes.length >= 24 && bytes.length <= 64;
}
