// The door: is the head sound, who is it, where does it want to go? Everything that can be judged before the body.

import type { Identity, ProxyContext } from "../connector.ts";
import { mediaTypeOf } from "../header.ts";
import { Refusal } from "../refusal.ts";
import { checkHead } from "./framing.ts";
import { headerText, type Passage, type Received } from "./passage.ts";
import { parseRoute, type Route } from "./route.ts";

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
const OVERRIDES = ["x-http-method-override", "x-http-method", "x-method-override"];

/** Throws a Refusal, or says who sent the request and where it goes. */
export async function receive(context: ProxyContext, passage: Passage): Promise<Received> {
  const { request } = passage;
  checkHead(request, context.limits);
  const identity = await authenticate(context, passage);
  // A request that leads nowhere is recorded where its client belongs, if that is one connector.
  const home = identity.connectors.size === 1 ? [...identity.connectors][0] : undefined;
  if (home !== undefined)
    arrive(context, passage, identity, { connector: home, resourcePath: "/", query: undefined });
  if (OVERRIDES.some((name) => request.headers[name] !== undefined)) throw new Refusal("method_override");
  const method = request.method ?? "";
  if (!METHODS.has(method)) throw new Refusal("method_not_allowed");
  const route = parseRoute(request.url ?? "");
  const received = identity.connectors.has(route.connector) && arrive(context, passage, identity, route);
  if (!received) {
    // A credential of another connector gets what a connector that does not exist gets, and leaves no record there.
    delete passage.connector;
    delete passage.arrival;
    throw new Refusal("connector_unknown");
  }
  if ((method === "GET" || method === "HEAD") && hasBody(passage)) throw new Refusal("body_on_read");
  return received;
}

async function authenticate(context: ProxyContext, { request, address }: Passage): Promise<Identity> {
  const identity = await context.authenticate(headerText(request, "authorization"));
  if (identity) return identity;
  if (await context.tooManyFailures(address)) throw new Refusal("authentication_rate_limited");
  throw new Refusal("authentication_failed");
}

function arrive(
  context: ProxyContext,
  passage: Passage,
  { client, method }: Identity,
  route: Route,
): Received | undefined {
  const connector = context.connectors.get(route.connector);
  if (!connector) return undefined;
  const { request, address } = passage;
  const contentType = headerText(request, "content-type");
  const arrival = {
    txn: context.uuid(),
    actor: { client, method },
    method: request.method ?? "",
    resourcePath: route.resourcePath,
    query: route.query,
    mediaType: contentType === undefined ? undefined : mediaTypeOf(contentType),
    ifMatch: request.headers["if-match"] !== undefined,
    address,
    userAgent: headerText(request, "user-agent"),
  };
  passage.connector = connector;
  passage.arrival = arrival;
  return { connector, arrival, route };
}

function hasBody({ request }: Passage): boolean {
  return (
    request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0
  );
}
