// The application: the only file that knows every room. Brings the ledgers up first, then the listeners, so that
// nothing can be asked before everything can be recorded; on the way down the order is reversed.

import { readFile } from "node:fs/promises";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { getHeapStatistics } from "node:v8";
import { MemoryStore } from "express-rate-limit";
import type { Logger } from "pino";
import { createAdminServer } from "./admin.ts";
import { createAdminContext } from "./adminContext.ts";
import { ClientAuthenticator } from "./auth/clients.ts";
import { CredentialStore } from "./auth/credentialStore.ts";
import { TOKEN_REQUEST_BYTES, tokenEndpoint } from "./auth/tokenEndpoint.ts";
import { compileNetworks } from "./config/address.ts";
import { commandName } from "./config/commandName.ts";
import { readParts } from "./config/parts.ts";
import type { Config, ListenerTls } from "./config/schema.ts";
import { startEvents } from "./configurationRecord.ts";
import { ConnectorWatch } from "./connectorHealth.ts";
import { dashboardFiles } from "./dashboardFiles.ts";
import { IndexThread } from "./indexThread.ts";
import { indexSettings } from "./ledgerIndex.ts";
import { Ledgers } from "./ledgers.ts";
import { NOTHING_WATCHED, type WatchState } from "./ledgerWatch.ts";
import type { Alarm } from "./monitor/alarm/alarm.ts";
import { newUuid } from "./nodeCrypto.ts";
import { BodyBudget, BodyHold, readBody } from "./proxy/client/body.ts";
import { clientAddress } from "./proxy/client/clientAddress.ts";
import { headerText } from "./proxy/client/passage.ts";
import { createScimServer } from "./proxy/client/server.ts";
import type { Connector, Ledger, ProxyContext } from "./proxy/connector.ts";
import { Pipeline } from "./proxy/pipeline.ts";
import { Refusal } from "./proxy/refusal.ts";
import { sendRefusal } from "./proxy/reply.ts";
import { Target } from "./proxy/target/target.ts";
import type { EmbeddedUrls } from "./storage/embedded/embedded.ts";
import { AppendError } from "./storage/writer/appendError.ts";
import { Metrics } from "./telemetry/metrics.ts";
import { WatchThread } from "./watchThread.ts";

/** How long a stop waits for the writes and reads under way; longer than any target's deadline should be. */
const DRAIN_MS = 60_000;
/** How long answers of the admin listener may go on. */
const ADMIN_GRACE_MS = 1_000;

/** A running instance. */
export interface App {
  /** `http://host:port` as bound. */
  scimUrl: string;
  adminUrl: string;
  /** What identity providers call: the configured public URL or the listener's own. */
  publicUrl: string;
  embeddedUrls: EmbeddedUrls | undefined;
  /** Unready first; then no new connections; every write under way to its recorded end; then everything else. Idempotent. */
  stop(): Promise<void>;
}

/** Starts an instance; on any failure nothing of it keeps running, and the error says why. */
export async function startApp(config: Config, log: Logger): Promise<App> {
  const ledgers = new Ledgers();
  const metrics = new Metrics(() =>
    [...ledgers.all.values()].map(({ name, writer }) => ({
      name,
      size: () => writer.size,
      openTransactions: () => writer.openTransactions,
      isReady: () => writer.status.ready,
      openAlarms: () => watchOf(name).alarms.length,
      verified: () => watchOf(name).verified,
      published: () => watchOf(name).published,
      anchored: () => watchOf(name).anchored,
    })),
  );
  let watch: WatchThread | undefined;
  const watchOf = (name: string) => watch?.stateOf(name) ?? NOTHING_WATCHED;
  await ledgers.open(config, log, (ledger) => ({
    batchCommitted: (entries, durationMs) => metrics.batchCommitted(ledger, entries.length, durationMs),
  }));
  const closers: (() => Promise<void> | void)[] = [() => ledgers.close()];
  try {
    watch = new WatchThread({
      ledgers: [...ledgers.all.values()].map((ledger) => ledger.watch),
      log,
      record: (name, event) =>
        ledgerOf(ledgers, name).writer.append({ body: { type: "event", event }, attachments: [] }),
      onRaised: (name, { code }) => metrics.alarmRaised(name, code),
    });
    const thread = watch;
    closers.push(() => thread.stop());
    await watch.start();
    return await listen(config, log, ledgers, watchOf, metrics, closers);
  } catch (cause) {
    for (const close of closers.reverse()) await close();
    throw cause;
  }
}

async function listen(
  config: Config,
  log: Logger,
  ledgers: Ledgers,
  watchOf: (ledger: string) => WatchState,
  metrics: Metrics,
  closers: (() => Promise<void> | void)[],
): Promise<App> {
  const credentials = new CredentialStore(config.dataDir, { log });
  closers.push(() => credentials.close());
  const clients = new ClientAuthenticator(config, {
    log,
    credentials,
    keyOfLedger: (name) => ledgerOf(ledgers, name).tokenKey,
  });
  const connectorWatch = new ConnectorWatch(metrics);
  const failures = new MemoryStore();
  failures.init({ windowMs: 60_000 } as Parameters<typeof failures.init>[0]);
  closers.push(() => failures.shutdown());

  const connectors = new Map<string, Connector>();
  const context: ProxyContext = {
    connectors,
    authenticate: (authorization) => clients.authenticate(authorization),
    tooManyFailures: async (address) => {
      const { totalHits } = await failures.increment(address);
      return totalHits > config.scim.limits.authFailuresPerMinute;
    },
    limits: config.scim.limits,
    failClosed: config.failClosed,
    isTrustedProxy: compileNetworks(config.scim.trustedProxies),
    isEncrypted: config.scim.tls !== undefined,
    uuid: newUuid,
    log,
    observer: connectorWatch,
  };
  const budget = new BodyBudget(budgetBytes(config));
  const pipeline = new Pipeline(context, budget);
  const scimTls = await readTls(config.scim.tls);
  const scim = createScimServer({
    handle: (request, response) => pipeline.handle(request, response),
    tokenEndpoint: (request, response) => issueToken(clients, context, budget, request, response),
    limits: config.scim.limits,
    ...(scimTls ? { tls: scimTls } : {}),
    onParserRefusal: (code) => metrics.refused("none", code, code),
    onFault: (cause) =>
      log.error({ error: cause instanceof Error ? cause.name : typeof cause }, "a request's handler failed"),
  });
  const adminContext = createAdminContext({
    config,
    log,
    ledgers,
    watchOf,
    credentials,
    connectorWatch,
    publicUrl: () => publicUrl,
  });
  closers.push(() => adminContext.close());
  let stopping = false;
  const adminTls = await readTls(config.admin.tls);
  const admin = createAdminServer({
    audit: adminContext.context,
    dashboard: dashboardFiles(),
    registry: metrics.registry,
    readiness: () => [
      ...(stopping ? [{ reason: "stopping" }] : []),
      ...[...ledgers.all.values()].flatMap(({ name, writer: { status } }) =>
        status.ready ? [] : [{ reason: status.code, ledger: name, detail: status.detail }],
      ),
      ...[...ledgers.all.keys()].flatMap((name) => {
        const { blocked } = watchOf(name);
        return blocked ? [{ reason: "tampered", ledger: name, detail: describeAlarm(blocked) }] : [];
      }),
    ],
    ...(adminTls ? { tls: adminTls } : {}),
  });

  const scimUrl = await bind("scim", scim, config.scim.listen, scimTls !== undefined);
  closers.push(() => closeServer(scim));
  const publicUrl = (config.publicUrl ?? scimUrl).replace(/\/+$/, "");
  for (const [name, connector] of Object.entries(config.connectors)) {
    const target = new Target(connector.target);
    closers.push(() => target.close());
    const ledger = ledgerOf(ledgers, connector.ledger);
    connectors.set(name, {
      connector: name,
      ids: connector.ids,
      tokenKey: ledger.tokenKey,
      ledger: gate(ledger.writer, () => watchOf(ledger.name).blocked),
      target,
      publicBase: `${publicUrl}/${name}/scim/v2`,
      redact: connector.redact,
      auditReads: connector.auditReads,
    });
  }
  const adminUrl = await bind("admin", admin, config.admin.listen, adminTls !== undefined);
  const closeAdmin = async () => {
    const isClosed = closeServer(admin);
    // A live view never ends by itself.
    const timer = setTimeout(() => admin.closeAllConnections(), ADMIN_GRACE_MS);
    await isClosed;
    clearTimeout(timer);
  };
  closers.push(closeAdmin);
  const index = new IndexThread({
    ledgers: [...ledgers.all.values()].map((ledger) => indexSettings(config, ledger)),
    log,
  });
  closers.push(() => index.stop());
  index.start();
  await recordStart(ledgers, config);
  log.info(
    { scimUrl, adminUrl, connectors: [...connectors.keys()], ledgers: [...ledgers.all.keys()] },
    "scimseal is ready",
  );

  let stopped: Promise<void> | undefined;
  const stop = async () => {
    stopping = true;
    log.info({ inFlight: pipeline.underWay }, "stopping: unready, draining");
    pipeline.drain();
    const isClosed = closeServer(scim);
    const deadline = Date.now() + DRAIN_MS;
    while (pipeline.underWay > 0 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    scim.closeAllConnections();
    await isClosed;
    // Nobody looks any more, and what was looked at stands before the end.
    await closeAdmin();
    await adminContext.settle();
    await recordStop(ledgers, log);
    for (const close of closers.reverse()) await close();
    log.info("stopped");
  };
  return {
    scimUrl,
    adminUrl,
    publicUrl,
    embeddedUrls: ledgers.embeddedUrls,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** A ledger that takes no new intents while an alarm about tampering is open; what is under way gets its outcome. */
function gate(writer: Ledger, blocked: () => Alarm | undefined): Ledger {
  return {
    append: async (draft) => {
      const alarm = draft.body.type === "request" ? blocked() : undefined;
      if (alarm) throw new AppendError("tampered", describeAlarm(alarm), "no");
      return writer.append(draft);
    },
  };
}

function describeAlarm({ id, code, seq }: Alarm): string {
  const place = seq === undefined ? "" : ` at entry ${seq}`;
  const command = commandName();
  return `alarm ${id}: ${code}${place}; see the log, run ${command} verify, then ${command} doctor --acknowledge`;
}

function ledgerOf(ledgers: Ledgers, name: string) {
  const ledger = ledgers.all.get(name);
  if (!ledger) throw new Error(`connector names ledger ${name}, which is not open`);
  return ledger;
}

/** Bodies live beside the heap, but reading one takes heap too: a small heap takes fewer at a time. */
function budgetBytes(config: Config): number {
  const { bufferedBytes, bulkBytes } = config.scim.limits;
  const share = Math.floor(getHeapStatistics().heap_size_limit / 8);
  return Math.max(Math.min(bufferedBytes, share), Math.min(bulkBytes, bufferedBytes));
}

async function issueToken(
  clients: ClientAuthenticator,
  context: ProxyContext,
  budget: BodyBudget,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const hold = new BodyHold(budget);
  try {
    const body = await readBody(request, response, TOKEN_REQUEST_BYTES, hold);
    const answer = await tokenEndpoint(clients.oauth, { headers: request.headers, body });
    const address = clientAddress(
      request.socket.remoteAddress,
      headerText(request, "x-forwarded-for"),
      context.isTrustedProxy,
    );
    if (answer.status === 401) {
      if (await context.tooManyFailures(address)) throw new Refusal("authentication_rate_limited");
      context.observer.refused("none", "authentication_failed", "authentication_failed");
    }
    response.writeHead(answer.status, {
      ...answer.headers,
      "content-length": Buffer.byteLength(answer.body),
    });
    response.end(answer.body);
  } catch (cause) {
    if (!(cause instanceof Refusal)) {
      response.destroy();
      return;
    }
    context.observer.refused("none", cause.code, cause.code);
    if (cause.code === "overloaded") cause.retryAfterSeconds = context.failClosed.retryAfterSeconds;
    sendRefusal(response, cause);
  } finally {
    hold.release();
  }
}

/** A start must not go on without its record. */
async function recordStart(ledgers: Ledgers, config: Config): Promise<void> {
  const parts = await readParts(config.file);
  for (const ledger of ledgers.all.values())
    for (const event of await startEvents(ledger, config, parts))
      await ledger.writer.append({ body: { type: "event", event }, attachments: [] });
}

/** A stop must not hang on its record. */
async function recordStop(ledgers: Ledgers, log: Logger): Promise<void> {
  for (const { name: ledger, writer } of ledgers.all.values()) {
    try {
      await writer.append({ body: { type: "event", event: { name: "instance-stopped" } }, attachments: [] });
    } catch (cause) {
      const error = cause instanceof Error ? cause.name : "error";
      log.warn({ ledger, error }, "the stop was not recorded; a recovery will tell");
    }
  }
}

async function readTls(tls: ListenerTls | undefined): Promise<{ cert: string; key: string } | undefined> {
  if (!tls) return undefined;
  return { cert: await readFile(tls.certFile, "utf8"), key: await readFile(tls.keyFile, "utf8") };
}

/** Thrown when a listener's port belongs to somebody else. */
export class PortTakenError extends Error {
  override name = "PortTakenError";
  /** What is wrong, without what to do about it: that depends on where the port was given. */
  readonly said: string;

  constructor(said: string, remedy: string, options?: ErrorOptions) {
    super(`${said}; ${remedy}`, options);
    this.said = said;
  }
}

async function bind(
  listener: "scim" | "admin",
  server: Server,
  { host, port }: { host: string; port: number },
  isEncrypted: boolean,
): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const isTaken = "code" in cause && cause.code === "EADDRINUSE";
      const said = `cannot listen on ${host}:${port}: ${isTaken ? "the port is taken" : cause.message}`;
      reject(
        isTaken
          ? new PortTakenError(said, `end what listens there, or set ${listener}.listen.port`, { cause })
          : new Error(said, { cause }),
      );
    });
    server.listen({ host, port }, resolve);
  });
  const bound = server.address() as AddressInfo;
  const name = host.includes(":") ? `[${host}]` : host;
  return `${isEncrypted ? "https" : "http"}://${name}:${bound.port}`;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // `close` reports an error only for a server that is not listening: then there is nothing to wait for.
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
