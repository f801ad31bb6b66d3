// Load: a fixed number of connections, each sending its next write when the last was answered (closed loop).

import { Client, type Dispatcher } from "undici";

export interface LoadResult {
  requests: number;
  errors: number;
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
}

/** What a connection sends as its nth write, from 0 on; `id` is that of the user it created last. */
export type Traffic = (
  n: number,
  id: string,
) => { method: "POST" | "PUT" | "PATCH"; path: string; body: string };

/** Nothing but creates: a typical user of about 300 bytes, another userName each time. */
export const creates: Traffic = () => ({ method: "POST", path: "/Users", body: userBody() });

const CHANGES_A_CREATE = 7;
const PATCH_OP = '"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]';

/** One create in eight, as a year of a company's provisioning has it; all else are changes of that user, in Okta's shapes. */
export const changesToo: Traffic = (n, id) => {
  const turn = n % (1 + CHANGES_A_CREATE);
  if (turn === 0 || id === "") return { method: "POST", path: "/Users", body: userBody() };
  const path = `/Users/${id}`;
  if (turn % 4 === 0) return { method: "PUT", path, body: userBody() };
  const value = turn % 2 === 0 ? `{"active":${turn % 4 === 2}}` : `{"title":"Engineer ${n}"}`;
  return { method: "PATCH", path, body: `{${PATCH_OP},"Operations":[{"op":"replace","value":${value}}]}` };
};

let serial = 0;

function userBody(): string {
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
  traffic = creates,
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
      let id = "";
      for (let n = 0; !isOver(); n++) {
        sent++;
        const { method, path, body } = traffic(n, id);
        const at = performance.now();
        const { status, text } = await send(client, {
          method,
          path: `${url.pathname}${path}`,
          headers,
          body,
        });
        latencies.push(performance.now() - at);
        if (status !== (method === "POST" ? 201 : 200)) errors++;
        if (method === "POST") id = ID.exec(text)?.[1] ?? "";
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

const ID = /"id":"([^"]+)"/;

function send(
  client: Client,
  request: Dispatcher.DispatchOptions,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let text = "";
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart() {},
      onResponseStart(_controller, code) {
        status = code;
      },
      onResponseData(_controller, chunk) {
        text += chunk.toString("latin1");
      },
      onResponseEnd: () => resolve({ status, text }),
      onResponseError: (_controller, error) => reject(error),
    };
    client.dispatch(request, handler);
  });
}
