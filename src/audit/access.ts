// Who may read what. Without a valid token: 401, whether or not there is such a ledger. With one: another tenant's ledger
// is the same 404 as a ledger that does not exist. What the configuration publishes for everyone needs no token.

import type { Audience, AuditContext, Auditor, NamedLedger } from "./context.ts";
import { Problem } from "./http/problem.ts";

/** The auditor who asks. @throws {Problem} unauthenticated */
export function requireAuditor(context: AuditContext, authorization: string | undefined): Auditor {
  const auditor = context.authenticate(authorization);
  if (auditor) return auditor;
  throw new Problem(
    "unauthenticated",
    "An auditor's token is needed: mint one with `scimseal token mint --auditor`.",
  );
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
  throw new Problem("ledger_unknown", "There is no such ledger for this token.");
}

/** A ledger of which this part is published for whoever asks. @throws {Problem} unauthenticated, ledger_unknown */
export function openPublished(
  context: AuditContext,
  authorization: string | undefined,
  name: string,
  part: "tiles" | "entries",
): { ledger: NamedLedger; audience: Audience } {
  const found = context.ledgers.get(name);
  const audience = found?.publish[part] ?? "auditors";
  const ledger =
    found && audience === "public"
      ? withName(name, found)
      : openLedger(context, requireAuditor(context, authorization), name);
  return { ledger, audience };
}

function withName(name: string, ledger: Omit<NamedLedger, "name">): NamedLedger {
  // Not a spread: the owner's ledger may be an instance whose members are not its own.
  return {
    name,
    origin: ledger.origin,
    reader: ledger.reader,
    tree: ledger.tree,
    evidence: ledger.evidence,
    publish: ledger.publish,
    keys: () => ledger.keys(),
    anchored: () => ledger.anchored(),
  };
}
