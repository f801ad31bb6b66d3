// Who may read what. A caller proves himself by a bearer token or, in the browser, by the cookie of a session; with a cookie
// the request must come from a page of this very listener, since a browser sends cookies for whoever asks it to. Without
// either: 401, whether or not there is such a ledger. Then role and scope: 403, before anything is looked up. Another
// tenant's ledger is the same 404 as one that does not exist. What is published for everyone needs no token.

import type { Request } from "express";
import type { Audience, AuditContext, Auditor, NamedLedger, OpenSession, Role } from "./context.ts";
import { readCookie, requireOwnSite } from "./http/ownSite.ts";
import { Problem } from "./http/problem.ts";

/** What an operation asks of its caller. */
export interface Needs {
  readonly role?: Role;
  readonly scope?: "connectors";
}

const RANK: Readonly<Record<Role, number>> = { operator: 0, auditor: 1, admin: 2 };

/** Who asks, if he may do this. @throws {Problem} unauthenticated, cross_site, forbidden */
export function requireAuditor(context: AuditContext, request: Request, needs: Needs): Auditor {
  const { auditor } = requireSession(context, request);
  const { role = "auditor", scope } = needs;
  if (RANK[auditor.role] < RANK[role]) {
    const problem = `This needs the role ${role}; the token or session has the role ${auditor.role}.`;
    throw deny(context, request, new Problem("forbidden", problem), auditor);
  }
  if (scope === undefined && auditor.connectors !== "*") {
    const problem = "This shows a whole ledger; the token or session is for some connectors only.";
    throw deny(context, request, new Problem("forbidden", problem), auditor);
  }
  return auditor;
}

/** Who asks, whatever he may do; a token has no end here. @throws {Problem} unauthenticated, cross_site */
export function requireSession(
  context: AuditContext,
  request: Request,
): Omit<OpenSession, "expiresMs"> & { expiresMs?: number } {
  const { authorization } = request.headers;
  // A token says by itself who asks: then the cookie, which the browser sends along, counts for nothing.
  const auditor = authorization === undefined ? undefined : context.authenticate(authorization);
  if (auditor) return { auditor };
  const cookie = authorization === undefined ? readCookie(request) : undefined;
  const session = cookie && context.sessions.find(cookie.token, cookie.isSecure, false);
  if (session) {
    try {
      requireOwnSite(request, context.publicOrigin);
    } catch (error) {
      throw error instanceof Problem ? deny(context, request, error, session.auditor) : error;
    }
    // Only now it counts as use: another site must not keep a session alive.
    context.sessions.find(cookie.token, cookie.isSecure);
    return session;
  }
  const problem = new Problem(
    "unauthenticated",
    "A token or a session is needed: `scimseal token mint --auditor` makes a token, `scimseal token signin` a link to sign in with.",
  );
  // Whoever brings nothing has only not signed in yet.
  throw authorization === undefined ? problem : deny(context, request, problem);
}

/** Whether the token or session of a request still counts. Asking keeps no session alive. */
export function isStillKnown(context: AuditContext, request: Request): boolean {
  const { authorization } = request.headers;
  if (authorization !== undefined) return context.authenticate(authorization) !== undefined;
  const cookie = readCookie(request);
  return cookie !== undefined && context.sessions.find(cookie.token, cookie.isSecure, false) !== undefined;
}

/** The ledgers that an auditor may read, in the order of the configuration. */
export function ledgersOf(context: AuditContext, { ledgers }: Auditor): NamedLedger[] {
  return [...context.ledgers]
    .filter(([name]) => ledgers === "*" || ledgers.has(name))
    .map(([name, ledger]) => withName(name, ledger));
}

/** A ledger that the auditor may read. @throws {Problem} ledger_unknown */
export function openLedger(context: AuditContext, auditor: Auditor, name: string): NamedLedger {
  const ledger = context.ledgers.get(name);
  if (ledger && (auditor.ledgers === "*" || auditor.ledgers.has(name))) return withName(name, ledger);
  context.denied({ auditor, ledger: name, reason: "ledger_unknown" });
  throw new Problem("ledger_unknown", "There is no such ledger for this token.");
}

/** The ledger that is wanted, or the first that the auditor may read. @throws {Problem} ledger_unknown */
export function chooseLedger(
  context: AuditContext,
  auditor: Auditor,
  wanted: string | undefined,
): NamedLedger {
  if (wanted !== undefined) return openLedger(context, auditor, wanted);
  const [first] = ledgersOf(context, auditor);
  if (first) return first;
  throw new Problem("ledger_unknown", "There is no such ledger for this token.");
}

/** Whether an auditor may see what this connector did; without a connector (an event): whoever may see the whole ledger. */
export function maySee({ connectors }: Auditor, connector: string | undefined): boolean {
  return connectors === "*" || (connector !== undefined && connectors.has(connector));
}

/** A ledger of which this part is published for whoever asks. @throws {Problem} unauthenticated, forbidden, ledger_unknown */
export function openPublished(
  context: AuditContext,
  request: Request,
  needs: Needs,
  name: string,
  part: "tiles" | "entries",
): { ledger: NamedLedger; audience: Audience } {
  const found = context.ledgers.get(name);
  const audience = found?.publish[part] ?? "auditors";
  const ledger =
    found && audience === "public"
      ? withName(name, found)
      : openLedger(context, requireAuditor(context, request, needs), name);
  return { ledger, audience };
}

function deny(context: AuditContext, request: Request, problem: Problem, auditor?: Auditor): Problem {
  const { ledger } = request.params;
  context.denied({
    ...(auditor && { auditor }),
    ...(typeof ledger === "string" && { ledger }),
    reason: problem.code,
  });
  return problem;
}

function withName(name: string, ledger: Omit<NamedLedger, "name">): NamedLedger {
  // Not a spread: the owner's ledger may be an instance whose members are not its own.
  return {
    name,
    origin: ledger.origin,
    reader: ledger.reader,
    tree: ledger.tree,
    evidence: ledger.evidence,
    search: ledger.search,
    accounts: ledger.accounts,
    publish: ledger.publish,
    keys: () => ledger.keys(),
    anchored: () => ledger.anchored(),
    health: () => ledger.health(),
    acknowledge: (alarm, by) => ledger.acknowledge(alarm, by),
  };
}
