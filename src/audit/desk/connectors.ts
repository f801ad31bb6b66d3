// The connectors as operators look after them: what to paste into an identity provider, which credentials open them, how
// their traffic goes. No secret, no name of a person, no record.

import { z } from "zod";
import { ledgersOf, maySee } from "../access.ts";
import { auditorOperation, type Operation } from "../http/operation.ts";
import { NO_PARAMETERS } from "../http/parameter.ts";

const time = z.iso.datetime({ offset: true }).nullable();

const connectorSchema = z
  .strictObject({
    name: z.string(),
    baseUrl: z.string().describe("What to paste into the identity provider."),
    idp: z.string(),
    ledger: z.string(),
    targetHost: z.string().describe("Host and port of the application behind."),
    credentials: z.array(
      z.strictObject({
        name: z.string(),
        method: z.enum(["bearer", "basic", "jwt", "oauth"]),
        prefix: z.string().nullable().describe("The first characters of a minted token."),
        state: z.enum(["active", "revoked", "expired", "not yet valid"]),
        lastUse: time.describe("Known of minted tokens only; to the minute."),
        expires: time.describe("null: it does not expire, or by itself."),
      }),
    ),
    health: z
      .strictObject({
        state: z
          .enum(["ok", "failing", "idle"])
          .describe("idle: nothing was forwarded since this instance started."),
        lastOutcome: z.string().nullable().describe("Outcome of the last forwarded request."),
        lastAnswered: time,
        lastFailed: time,
        failures: z.int().min(0).describe("Failures since the last answer."),
      })
      .describe("As this instance saw it."),
  })
  .meta({ id: "Connector", description: "A connector and how it is." });

const connectorsAnswer = z.strictObject({ connectors: z.array(connectorSchema) });

const listConnectors = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/connectors",
    id: "listConnectors",
    tag: "Connectors",
    summary: "The connectors, their credentials and their health",
    role: "operator",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: NO_PARAMETERS,
    answer: connectorsAnswer,
  },
  async ({ context, auditor }) => {
    const ledgers = new Set(ledgersOf(context, auditor).map(({ name }) => name));
    const connectors = (await context.connectors())
      .filter(({ name, ledger }) => ledgers.has(ledger) && maySee(auditor, name))
      .map(({ credentials, ...rest }) => ({ ...rest, credentials: [...credentials] }));
    return { kind: "json", body: { connectors } };
  },
);

export const connectorOperations: readonly Operation[] = [listConnectors];
