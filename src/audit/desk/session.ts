// Sessions over HTTP: a person brings the secret of a one-time sign-in link and gets a cookie that no script can read. The
// link's secret comes in a body, never in a path or a query, so no log and no Referer ever holds it.

import type { Request } from "express";
import { z } from "zod";
import { isStillKnown, ledgersOf, requireSession } from "../access.ts";
import type { AuditContext } from "../context.ts";
import { readText } from "../http/body.ts";
import { auditorOperation, type Operation, openOperation } from "../http/operation.ts";
import { formatCookie, isSecureSite, readCookie, requireOwnSite } from "../http/ownSite.ts";
import { NO_PARAMETERS, parseGiven } from "../http/parameter.ts";
import { Problem } from "../http/problem.ts";

const TAG = "Session";
const MAX_BODY_BYTES = 4096;

const signInBody = z.strictObject({
  link: z.string().max(200).describe("What follows `#signin=` in a link of `scimseal token signin`."),
});

export const sessionAnswer = z.strictObject({
  name: z.string().describe("Who acts: the name that stands in the entries about looking."),
  roles: z.array(z.enum(["operator", "auditor", "admin"])),
  ledgers: z.array(z.string()).describe("Names of the ledgers that may be read."),
  connectors: z
    .union([z.literal("*"), z.array(z.string())])
    .describe("The connectors whose transactions may be seen; `*`: all."),
  expires: z.iso.datetime().nullable().describe("When the session ends at the latest; null for a token."),
});

const signIn = openOperation(
  {
    method: "post",
    path: "/session",
    id: "signIn",
    tag: TAG,
    summary: "Sign in by a one-time link",
    description:
      "The link works once and for a quarter of an hour. Gives a cookie; an earlier session of this browser ends.",
    params: NO_PARAMETERS,
    query: NO_PARAMETERS,
    body: { "application/json": { description: "The link.", schema: signInBody } },
    isEmpty: true,
    problems: ["link_invalid", "cross_site", "not_recorded"],
  },
  async ({ context, request }) => {
    // A page of another site must not sign a person in as somebody else.
    requireOwnSite(request, context.publicOrigin);
    const isSecure = isSecureSite(request, context.publicOrigin);
    const { link } = parseBody(await readText(request, MAX_BODY_BYTES));
    const session = await context.sessions.signIn(link, isSecure, (auditor) => context.signedIn(auditor));
    if (!session) {
      context.denied({ reason: "link_invalid" });
      throw new Problem(
        "link_invalid",
        "This link was used, is older than a quarter of an hour, or is none of ours: `scimseal token signin` makes another.",
      );
    }
    const earlier = readCookie(request);
    if (earlier) context.sessions.end(earlier.token);
    return { kind: "empty", setCookie: formatCookie(session.token, isSecure) };
  },
);

const getSession = auditorOperation(
  {
    method: "get",
    path: "/session",
    id: "getSession",
    tag: TAG,
    summary: "Who acts, and what he may do",
    role: "operator",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: NO_PARAMETERS,
    answer: sessionAnswer,
  },
  async ({ context, request }) => ({ kind: "json", body: describeSession(context, request) }),
);

const currentAnswer = z.strictObject({
  session: sessionAnswer.nullable().describe("null: nobody is signed in."),
});

/**
 * What the dashboard asks first. To be not signed in is no error then, and a browser would tell its user of one. Whoever
 * brings a token means it: a wrong one is refused as everywhere.
 */
const currentSession = openOperation(
  {
    method: "get",
    path: "/session/current",
    id: "currentSession",
    tag: TAG,
    summary: "Who is signed in, if anybody is",
    description: "Like `GET /session`, but without a token or a session that counts it answers with null.",
    params: NO_PARAMETERS,
    query: NO_PARAMETERS,
    answer: currentAnswer,
    problems: ["unauthenticated", "cross_site"],
  },
  async ({ context, request }) => {
    const isNobody = request.headers.authorization === undefined && !isStillKnown(context, request);
    return { kind: "json", body: { session: isNobody ? null : describeSession(context, request) } };
  },
);

const signOut = auditorOperation(
  {
    method: "delete",
    path: "/session",
    id: "signOut",
    tag: TAG,
    summary: "Sign out",
    description: "Ends the session of the cookie; a token has none to end.",
    role: "operator",
    scope: "connectors",
    params: NO_PARAMETERS,
    query: NO_PARAMETERS,
    isEmpty: true,
  },
  async ({ context, request }) => {
    const cookie = readCookie(request);
    if (!cookie || request.headers.authorization !== undefined) return { kind: "empty" };
    context.sessions.end(cookie.token);
    return { kind: "empty", setCookie: formatCookie("", cookie.isSecure) };
  },
);

/** @throws {Problem} unauthenticated, cross_site */
function describeSession(context: AuditContext, request: Request): z.input<typeof sessionAnswer> {
  const { auditor, expiresMs } = requireSession(context, request);
  const { auditor: name, role, connectors } = auditor;
  return {
    name,
    roles: [role],
    ledgers: ledgersOf(context, auditor).map((ledger) => ledger.name),
    connectors: connectors === "*" ? "*" : [...connectors],
    expires: expiresMs === undefined ? null : new Date(expiresMs).toISOString(),
  };
}

function parseBody(text: string): z.output<typeof signInBody> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Problem("invalid_parameter", "The body is not JSON.", { cause });
  }
  return parseGiven(signInBody, value, "body");
}

/** In the order in which they are matched. */
export const sessionOperations: readonly Operation[] = [signIn, getSession, currentSession, signOut];
