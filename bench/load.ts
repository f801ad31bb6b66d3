// Load: a fixed number of connections, each sending its next POST when the last was answered (closed loop). The body
// is a typical user of about 300 bytes, another userName each time.

import { Client, type Dispatcher } from "undici";

export interface LoadResult {
  requests: number;
  errors: number;
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
}

let serial = 0;

export function userBody(): string {
  serial++;
  return JSON.stringify({
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
    userName: `bench.user.${serial}@example.com`,
    name: { givenName: "Bench", familyName: `User ${serial}` },
    emails: [{ primary: true, value: `bench.user.${serial}@example.com`, type: "work" }],
    displayName: `Bench User ${serial}`,
    locale: "en-US",
    externalId: `00u${String(serial).padStart(17, "0")}`,
    groups: [],
    active: true,
  });
}

/** Sends until the time is over or the number is reached. */
export async function runLoad(
  baseUrl: string,
  token: string,
  connections: number,
  limit: { ms?: number; requests?: number },
): Promise<LoadResult> {
  const url = new URL(baseUrl);
  const clients = Array.from(
    { length: connections },
    () => new Client(url.origin, { keepAliveTimeout: 60_000 }),
  );
  const latencies: number[] = [];
  let errors = 0;
  let sent = 0;
  const startedAt = performance.now();
  const isOver = () =>
    (limit.ms !== undefined && performance.now() - startedAt >= limit.ms) ||
    (limit.requests !== undefined && sent >= limit.requests);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/scim+json" };
  await Promise.all(
    clients.map(async (client) => {
      while (!isOver()) {
        sent++;
        const at = performance.now();
        const status = await post(client, `${url.pathname}/Users`, headers, userBody());
        latencies.push(performance.now() - at);
        if (status !== 201) errors++;
      }
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  await Promise.all(clients.map((client) => client.close()));
  const sorted = Float64Array.from(latencies).sort();
  const quantile = (q: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
  return {
    requests: latencies.length,
    errors,
    requestsPerSecond: latencies.length / seconds,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
  };
}

function post(client: Client, path: string, headers: Record<string, string>, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let status = 0;
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart() {},
      onResponseStart(_controller, code) {
        status = code;
      },
      onResponseData() {},
      onResponseEnd: () => resolve(status),
      onResponseError: (_controller, error) => reject(error),
    };
    client.dispatch({ method: "POST", path, headers, body }, handler);
  });
}
