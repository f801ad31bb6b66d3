// What the audit rooms need of the application: who asks, and for each ledger its entries, its tree, its keys and what is
// known about its anchors. All of it reads; nothing here can write a ledger.

import type { EvidenceSource } from "../ledger/evidence/writeEvidence.ts";
import { type LogKey, makeLogKey } from "../ledger/note/verifierKey.ts";
import type { KeyTrail } from "../ledger/rotation.ts";
import type { AccountReader } from "../storage/accounts/accountReader.ts";
import type { EntryReader } from "../storage/reader.ts";
import type { SearchReader } from "../storage/search/searchReader.ts";
import type { TreeStore } from "../storage/tree/treeStore.ts";

/** What a caller may do: an operator sees connectors and health, no names and no bodies; an auditor reads; an admin may all. */
export type Role = "operator" | "auditor" | "admin";

/** Who reads, and what he may see. */
export interface Auditor {
  /** Name of the credential: it stands in leaves, so it is never a person's. */
  auditor: string;
  role: Role;
  ledgers: "*" | ReadonlySet<string>;
  /**
   * Only transactions of these connectors may be shown; entries of others are "not there", and so are events. Operations
   * that do not say `scope: "connectors"` are refused to whoever has not "*".
   */
  connectors: "*" | ReadonlySet<string>;
  /** False for an operator: neither bodies nor names are for him. */
  canReadBodies: boolean;
}

/** A look at records, as it is recorded itself (PCI DSS 10.2.1.3). */
export interface Look {
  auditor: Auditor;
  /** What was looked at, in a word of ours that may stand in a leaf, such as `entries`, `bodies`, `search`, `timeline`. */
  kind: string;
  /** Rows or entries shown. */
  count: number;
  /** Lowest and highest seq among them, if any was shown. */
  from?: number;
  to?: number;
  /** What was asked for (filter, text, ids): maybe personal, so it goes to the attachment `facts`, never to the leaf. */
  facts?: Readonly<Record<string, string | number>>;
}

/** Why somebody was refused. */
export interface Denial {
  /** Absent: nobody proved to be anyone. */
  auditor?: Auditor;
  /** The ledger that was asked for, as the caller spelled it, if one was. */
  ledger?: string;
  /** A problem code. */
  reason: string;
}

/** An open session of a person, whom a sign-in link let in. */
export interface OpenSession {
  auditor: Auditor;
  /** When it ends at the latest, epoch milliseconds. */
  expiresMs: number;
}

/** Sessions in the browser. Tokens go in and out in clear and are kept as hashes. */
export interface SessionDesk {
  /** Takes a sign-in link's secret, which works once; undefined if it does not. `isSecure`: the cookie will be Secure. */
  signIn(
    secret: string,
    isSecure: boolean,
    record: (auditor: Auditor) => Promise<void>,
  ): Promise<(OpenSession & { token: string }) | undefined>;
  /** The session of a token that came by the kind of cookie that it was given as. `isUse` false: only to see whether it still counts. */
  find(token: string, isSecure: boolean, isUse?: boolean): OpenSession | undefined;
  end(token: string): void;
}

/** An alarm that nobody has taken note of yet. */
export interface OpenAlarm {
  id: string;
  code: string;
  seq?: number;
  detail: string;
  /** RFC 3339; empty if only its event is known. */
  raisedAt: string;
  /** Whether it says that records were, or may have been, altered. */
  isTamper: boolean;
}

/** What the watch of a ledger knows now. */
export interface LedgerHealth {
  /** Entries there are, as far as this instance knows. */
  size: number;
  /** Entries verified as they came. */
  verified: number;
  /** Leaves under the newest checkpoint. */
  published: number;
  /** Whether it takes writes. */
  isWritable: boolean;
  alarms: readonly OpenAlarm[];
  /** Findings about tampering that were acknowledged and are not known to be mended; none if it is not said. */
  acknowledged?: number;
}

/** A credential of a connector, without its secret. */
export interface ConnectorCredential {
  name: string;
  method: "bearer" | "basic" | "jwt" | "oauth";
  /** The first characters of a minted token. */
  prefix: string | null;
  state: "active" | "revoked" | "expired" | "not yet valid";
  /** RFC 3339. */
  lastUse: string | null;
  expires: string | null;
}

/** How the traffic of a connector went lately. Times are RFC 3339. */
export interface ConnectorHealth {
  /** `idle`: nothing was forwarded since this instance started. */
  state: "ok" | "failing" | "idle";
  /** The outcome of the last forwarded write. */
  lastOutcome: string | null;
  lastAnswered: string | null;
  lastFailed: string | null;
  /** Failures since the last answer. */
  failures: number;
}

/** A connector as operators see it. */
export interface ConnectorStatus {
  name: string;
  /** What to paste into the identity provider. */
  baseUrl: string;
  idp: string;
  ledger: string;
  targetHost: string;
  credentials: readonly ConnectorCredential[];
  health: ConnectorHealth;
}

/** Reads a ledger's tree and checkpoints. */
export type PublishedTree = Pick<
  TreeStore,
  "readTiles" | "latestCheckpoint" | "checkpointOf" | "checkpointCovering" | "checkpoints"
>;

/** A ledger's keys, named by its origin. */
export interface LedgerKeys {
  /** One of these signs the next entry and checkpoint: exactly one after the first rotation, before it all pinned. */
  readonly current: readonly LogKey[];
  /** These and every key before them, the oldest first. */
  readonly all: readonly LogKey[];
}

/** Searches a ledger's index. */
export type SearchSource = Omit<SearchReader, "close">;

/** Finds a ledger's accounts and the places of their transactions. */
export type AccountSource = Omit<AccountReader, "close">;

/** What is known of checkpoints kept outside the database. */
export interface AnchorStatus {
  /** The tree of this size counts as anchored by the ledger's policy; 0: none does. */
  readonly size: number;
  /** The newest checkpoint with the cosignatures that the policy asks for. */
  readonly cosigned?: { readonly size: number; readonly note: string };
}

/** Who may read a part of the published log. */
export type Audience = "public" | "auditors";

/** One ledger as the audit API sees it. */
export interface AuditLedger {
  readonly origin: string;
  readonly reader: EntryReader;
  readonly tree: PublishedTree;
  /** Finds the entries of a transaction, and makes evidence packs. */
  readonly evidence: EvidenceSource;
  readonly search: SearchSource;
  /** Accounts, by the same index. */
  readonly accounts: AccountSource;
  readonly publish: { readonly tiles: Audience; readonly entries: Audience };
  /** As of now: a rotation changes them. */
  keys(): Promise<LedgerKeys>;
  anchored(): AnchorStatus;
  health(): LedgerHealth;
  /** Records that an alarm was taken note of; false if no such alarm is open. Rejects if the ledger cannot be written. */
  acknowledge(alarm: string, by: string): Promise<boolean>;
}

/** One thing that a check found not to be as it must be. Says nothing personal. */
export interface AuditFinding {
  readonly seq?: number;
  readonly code: string;
  readonly detail: string;
}

/** Everything that the audit API is made of. */
export interface AuditContext {
  /** The auditor behind an Authorization header, or undefined. */
  authenticate(authorization: string | undefined): Auditor | undefined;
  readonly sessions: SessionDesk;
  /** Where people reach the admin listener from outside, such as `https://audit.example.com`, if it was configured. */
  readonly publicOrigin?: string;
  /** Notes that records of a ledger were shown; recorded soon, in batches. Never throws, never waits. */
  looked(ledger: string, look: Look): void;
  /** Records an export, to be awaited before its first byte. @throws {Problem} not_recorded: then nothing may be exported */
  exporting(ledger: string, look: Look): Promise<void>;
  /** Records a sign-in. @throws {Problem} not_recorded: then nobody is let in */
  signedIn(auditor: Auditor): Promise<void>;
  /** Notes that somebody was refused; recorded soon, in batches, bounded. Never throws, never waits. */
  denied(denial: Denial): void;
  /** Every connector there is. */
  connectors(): readonly ConnectorStatus[] | Promise<readonly ConnectorStatus[]>;
  /** Every ledger by its name. */
  readonly ledgers: ReadonlyMap<string, AuditLedger>;
  /** Name and version of the program, for the packs it makes. */
  readonly madeBy: string;
  /** Learns of errors that are not the caller's, for the log. */
  onError?(error: unknown): void;
}

/** A ledger together with its name. */
export interface NamedLedger extends AuditLedger {
  readonly name: string;
}

/** The keys of a ledger from the trail of its rotations. */
export function nameKeys(origin: string, { current, all }: KeyTrail): LedgerKeys {
  const name = (keys: KeyTrail["all"]) => keys.map(({ bytes }) => makeLogKey(origin, bytes));
  return { current: name(current), all: name(all) };
}
