// What the admin listener knows of this instance: who may ask, each ledger as it is now, the connectors, and where what was
// looked at is written down. Made of the parts that the application has; owns the sign-in desk and the record of looking.

import type { Logger } from "pino";
import { type AuditContext, type AuditLedger, type ConnectorStatus, nameKeys } from "./audit/context.ts";
import { Looking } from "./audit/desk/looking.ts";
import { AuditorAuthenticator } from "./auth/auditors.ts";
import { credentialState } from "./auth/credential.ts";
import type { CredentialStore } from "./auth/credentialStore.ts";
import { SignInDesk } from "./auth/session/signInDesk.ts";
import type { Config } from "./config/schema.ts";
import { PROGRAM } from "./config/version.ts";
import type { ConnectorWatch } from "./connectorHealth.ts";
import { fastVerify } from "./keys/fastVerify.ts";
import { openAccounts, openSearch } from "./ledgerIndex.ts";
import type { Ledgers, OpenLedger } from "./ledgers.ts";
import type { WatchState } from "./ledgerWatch.ts";
import { isTamper } from "./monitor/alarm/alarmCodes.ts";
import { formatAcknowledged } from "./monitor/alarm/alarmEvent.ts";
import type { AccountReader } from "./storage/accounts/accountReader.ts";
import type { SearchReader } from "./storage/search/searchReader.ts";

export interface AdminContextOptions {
  config: Config;
  log: Logger;
  ledgers: Ledgers;
  watchOf(ledger: string): WatchState;
  credentials: CredentialStore;
  connectorWatch: ConnectorWatch;
  /** What identity providers call; known once the SCIM listener is bound. */
  publicUrl(): string;
}

/**
 * The context of the audit API. `settle` writes down what was looked at last, while the writers still take entries;
 * `close` ends the sessions with the databases.
 */
export function createAdminContext(options: AdminContextOptions): {
  context: AuditContext;
  settle(): Promise<void>;
  close(): Promise<void>;
} {
  const { config, log, ledgers, watchOf, credentials } = options;
  const auditors = new AuditorAuthenticator(credentials);
  const looking = new Looking({
    ledgers: new Map([...ledgers.all].map(([name, { writer }]) => [name, writer])),
    onError: (err, ledger) => log.warn({ err, ledger }, "what was looked at is not recorded yet"),
  });
  const open = [...ledgers.all.values()].map((ledger) => ({
    ledger,
    search: openSearch(ledger),
    accounts: openAccounts(ledger),
  }));
  const { publicUrl } = config.admin;
  const context: AuditContext = {
    authenticate: (authorization) => auditors.authenticate(authorization),
    sessions: new SignInDesk(config.dataDir, { log }),
    ...(publicUrl === undefined ? {} : { publicOrigin: new URL(publicUrl).origin }),
    ledgers: new Map(
      open.map(({ ledger, search, accounts }) => [
        ledger.name,
        describeLedger(ledger, { search, accounts }, () => watchOf(ledger.name)),
      ]),
    ),
    looked: (ledger, look) => looking.looked(ledger, look),
    exporting: (ledger, look) => looking.exporting(ledger, look),
    signedIn: (auditor) => looking.signedIn(auditor),
    denied: (denial) => looking.denied(denial),
    connectors: () => describeConnectors(options),
    madeBy: PROGRAM,
    onError: (err) => log.error({ err }, "the audit API could not answer from a ledger"),
  };
  return {
    context,
    settle: () => looking.stop(),
    close: async () => {
      await looking.stop();
      for (const { search, accounts } of open) {
        await search.close();
        await accounts.close();
      }
    },
  };
}

function describeLedger(
  { config: { origin, publish }, reader, tree, evidence, pinned, writer }: OpenLedger,
  { search, accounts }: { search: SearchReader; accounts: AccountReader },
  watch: () => WatchState,
): AuditLedger {
  const acknowledged = new Map<string, Promise<unknown>>();
  return {
    origin,
    reader,
    tree,
    evidence,
    search,
    accounts,
    publish,
    keys: async () => nameKeys(origin, await tree.keys(pinned, fastVerify)),
    anchored: () => {
      const { anchored, cosigned } = watch();
      return { size: anchored, ...(cosigned ? { cosigned } : {}) };
    },
    health: () => {
      const { alarms, acknowledged, verified, published, blocked } = watch();
      return {
        size: writer.size,
        verified,
        published,
        isWritable: writer.status.ready && blocked === undefined,
        alarms: alarms.map((alarm) => ({ ...alarm, isTamper: isTamper(alarm.code) })),
        acknowledged,
      };
    },
    // The watch learns of it from the ledger, as it does of what another instance acknowledges.
    acknowledge: async (id, by) => {
      const alarm = watch().alarms.find((open) => open.id === id);
      if (!alarm) return false;
      // Until the watch has learned of it, a second call must not make a second entry.
      const recording =
        acknowledged.get(id) ??
        writer.append({ body: { type: "event", event: formatAcknowledged(alarm, by) }, attachments: [] });
      acknowledged.set(id, recording);
      await recording.catch((cause: unknown) => {
        acknowledged.delete(id);
        throw cause;
      });
      return true;
    },
  };
}

function describeConnectors({
  config,
  credentials,
  connectorWatch,
  publicUrl,
}: AdminContextOptions): ConnectorStatus[] {
  const nowMs = Date.now();
  const minted = credentials.list();
  return Object.entries(config.connectors).map(([name, { ledger, idp, target, clients }]) => ({
    name,
    baseUrl: `${publicUrl()}/${name}/scim/v2`,
    idp,
    ledger,
    targetHost: new URL(target.url).host,
    credentials: [
      ...minted.flatMap((credential) =>
        credential.kind === "client" && credential.connector === name
          ? {
              name: credential.name,
              method: "bearer" as const,
              prefix: credential.prefix,
              state: credentialState(credential, nowMs),
              lastUse: credential.lastUse ?? null,
              expires: credential.expires ?? null,
            }
          : [],
      ),
      ...clients.basic.map(({ name: client, notBefore, expires }) => ({
        name: client,
        method: "basic" as const,
        prefix: null,
        state: credentialState(
          {
            ...(notBefore && { notBefore: notBefore.toISOString() }),
            ...(expires && { expires: expires.toISOString() }),
          },
          nowMs,
        ),
        lastUse: null,
        expires: expires?.toISOString() ?? null,
      })),
      ...(["jwt", "oauth"] as const).flatMap((method) =>
        clients[method].map(({ name: client }) => ({
          name: client,
          method,
          prefix: null,
          state: "active" as const,
          lastUse: null,
          expires: null,
        })),
      ),
    ],
    health: connectorWatch.healthOf(name),
  }));
}
