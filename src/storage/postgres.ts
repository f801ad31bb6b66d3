// Sessions with PostgreSQL. A query has a deadline of its own: past it the connection is destroyed, because a query
// that was given up may still run, and only a new connection knows where it stands. Also here: what "durable" means,
// and what an error says about the fate of a statement.

import pg from "pg";

export interface DatabaseAddress {
  connectionString: string;
  /** PEM of the certificate authority to trust for TLS. */
  ca?: string;
  /** Standbys that synchronous_standby_names must name; none: not checked. */
  requireSync: readonly string[];
}

/** A query took longer than its deadline; its connection is gone and its fate unknown. */
export class DeadlineError extends Error {
  override name = "DeadlineError";
}

/** The server's settings do not promise durability. */
export class DurabilityError extends Error {
  override name = "DurabilityError";
}

/** Connects within the time or throws; the client never emits an unhandled `error`. */
export async function connect(
  address: DatabaseAddress,
  applicationName: string,
  timeoutMs: number,
): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: address.connectionString,
    application_name: applicationName,
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    ...(address.ca === undefined ? {} : { ssl: { ca: address.ca, rejectUnauthorized: true } }),
  });
  // node-postgres emits `error` when an idle connection breaks; without a listener that would end the process.
  // Whoever uses the client learns of it from its next query, or listens for `end`.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (cause) {
    destroy(client);
    throw cause;
  }
  return client;
}

/** How many sessions a reading pool may hold, and the deadline of each of its queries. */
export interface PoolOptions {
  connections: number;
  timeoutMs: number;
}

/** A pool of sessions for reading. A connection that breaks while idle ends nothing: the next query gets another one. */
export function openPool(
  address: DatabaseAddress,
  applicationName: string,
  { connections, timeoutMs }: PoolOptions,
): pg.Pool {
  const pool = new pg.Pool({
    connectionString: address.connectionString,
    application_name: applicationName,
    max: connections,
    connectionTimeoutMillis: timeoutMs,
    statement_timeout: timeoutMs,
    query_timeout: timeoutMs,
    ...(address.ca === undefined ? {} : { ssl: { ca: address.ca, rejectUnauthorized: true } }),
  });
  // Without a listener node-postgres would end the process.
  pool.on("error", () => {});
  return pool;
}

/** Ends the connection now, without a goodbye that a frozen server would never answer. */
export function destroy(client: pg.Client): void {
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
  stream.destroy();
}

/** Says goodbye and waits for the server to hang up, but not longer than this. */
export async function endWithin(client: pg.Client, timeoutMs: number): Promise<void> {
  const timer = setTimeout(() => destroy(client), timeoutMs);
  try {
    await client.end();
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a query; past the deadline destroys the client and throws DeadlineError. */
export async function queryWithin<Row extends pg.QueryResultRow>(
  client: pg.Client,
  query: pg.QueryConfig,
  timeoutMs: number,
): Promise<pg.QueryResult<Row>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      destroy(client);
      reject(new DeadlineError(`the database did not answer within ${Math.round(timeoutMs)} ms`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([client.query<Row>(query), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Whether an error proves that the statement had no effect. A message from the server about this statement does;
 * a broken connection, a deadline or a server that is shutting down (class 57P, 08) leaves it unknown.
 */
export function provesNoEffect(error: unknown): error is pg.DatabaseError & { code: string } {
  return error instanceof pg.DatabaseError && error.code !== undefined && !/^(57P|08|XX)/.test(error.code);
}

const SETTINGS = ["fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names"] as const;

/** One round trip that proves the server alive, writable and durable; throws DurabilityError naming the setting. */
export async function checkDurability(
  client: pg.Client,
  address: DatabaseAddress,
  timeoutMs: number,
): Promise<void> {
  const columns = SETTINGS.map((name) => `current_setting('${name}') AS ${name}`).join(", ");
  const { rows } = await queryWithin<Record<(typeof SETTINGS)[number], string> & { in_recovery: boolean }>(
    client,
    { name: "scimseal_durability", text: `SELECT ${columns}, pg_is_in_recovery() AS in_recovery` },
    timeoutMs,
  );
  const [row] = rows;
  if (!row) throw new DurabilityError("the database did not show its settings");
  const problem = findWeakSetting(row, address.requireSync);
  if (problem) throw new DurabilityError(problem);
}

function findWeakSetting(
  row: Record<(typeof SETTINGS)[number], string> & { in_recovery: boolean },
  requireSync: readonly string[],
): string | undefined {
  if (row.in_recovery) return "the database is a standby in recovery; point database.url at the primary";
  if (row.fsync !== "on") return "fsync is off: a power cut would lose records; set fsync = on";
  if (row.full_page_writes !== "on") {
    return "full_page_writes is off: a crash could tear pages; set full_page_writes = on";
  }
  if (!["on", "remote_apply"].includes(row.synchronous_commit)) {
    return `synchronous_commit is ${row.synchronous_commit}: COMMIT would answer before the record is durable; set synchronous_commit = on`;
  }
  const named = new Set(row.synchronous_standby_names.match(/[^\s,()"]+/g));
  const missing = requireSync.find((name) => !named.has(name));
  if (missing !== undefined) {
    return `synchronous_standby_names does not name ${missing}, which database.requireSync demands`;
  }
  return undefined;
}

/** The role that a connection string logs in as. */
export function roleOf(connectionString: string): string {
  const user = new URL(connectionString).username;
  return user === "" ? "postgres" : decodeURIComponent(user);
}
