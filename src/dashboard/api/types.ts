// What the dashboard reads of the audit API's answers, as types. The API's own schemas are the norm; a field that is not
// shown here is not repeated. Nothing is trusted for being typed: a page that is given less shows less.

export type Role = "operator" | "auditor" | "admin";

/** GET /session/current, if anybody is signed in. */
export interface Session {
  readonly name: string;
  readonly roles: readonly Role[];
  readonly ledgers: readonly string[];
  readonly connectors: "*" | readonly string[];
  readonly expires: string | null;
}

export interface Finding {
  readonly seq?: number;
  readonly code: string;
  readonly detail: string;
}

export interface Alarm {
  readonly id: string;
  readonly code: string;
  readonly seq: number | null;
  /** Empty: another instance raised it, and when is not known here. */
  readonly raised: string;
  readonly isTamper: boolean;
}

export interface LedgerStatus {
  readonly name: string;
  readonly origin: string;
  readonly size: number;
  /** Entries that the monitor has verified. */
  readonly verified: number;
  readonly state: "verified" | "acknowledged" | "verifying" | "broken";
  readonly brokenAt: number | null;
  /** Findings about tampering that somebody took note of, and that are not known to be mended. */
  readonly acknowledged: number;
  /** Whether writes are taken now. */
  readonly isWritable: boolean;
  readonly findings: readonly Finding[];
  readonly anchoredUpTo: number;
  readonly published: number;
  /** Those that nobody acknowledged yet. */
  readonly alarms: readonly Alarm[];
}

/** Which entries an answer is about: [from, to) of a ledger of this size. */
export interface Covers {
  readonly from: number;
  readonly to: number;
  readonly size: number;
}

export interface TxnRow {
  readonly txn: string;
  readonly seq: number;
  readonly closedSeq: number | null;
  readonly time: string;
  readonly connector: string;
  readonly client: string;
  readonly method: string;
  readonly verb: string;
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string | null;
  readonly name: string | null;
  readonly effects: readonly string[];
  readonly operations: number | null;
  /** Of a Bulk that was answered: those that the target refused, and those of which nobody knows. */
  readonly operationsRefused: number | null;
  readonly operationsUnknown: number | null;
  /** Of its effects those that none of its operations is known to have had. */
  readonly effectsUndone: readonly string[] | null;
  readonly outcome: string;
  readonly status: number | null;
  readonly replied: number | null;
  readonly durationMs: number | null;
  readonly reason: string | null;
  /** The index has not all its names. */
  readonly isCut: boolean;
}

export interface TransactionsPage {
  readonly ledger: string;
  readonly covers: Covers;
  readonly transactions: readonly TxnRow[];
  readonly next: string | null;
}

export interface FacetCount {
  readonly value: string;
  readonly count: number;
}

export interface Facets {
  readonly ledger: string;
  readonly covers: Covers;
  readonly counted: number;
  readonly isCapped: boolean;
  readonly facets: Readonly<Record<string, readonly FacetCount[]>>;
}

export interface Overview {
  readonly ledger: string;
  readonly covers: Covers;
  readonly from: string;
  readonly to: string;
  readonly bucketMs: number;
  readonly connectors: Readonly<Record<string, readonly number[]>>;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly latency: { readonly p50: number; readonly p95: number; readonly p99: number } | null;
  readonly refusals: readonly TxnRow[];
  readonly open: readonly TxnRow[];
  readonly openCount: number;
}

export interface AttachmentRef {
  readonly name: string;
  readonly size: number;
  readonly mediaType: string;
  readonly commitment: string;
  readonly redacted?: readonly string[];
}

/** One entry; `leaf` is the evidence, `entry` what it says. */
export interface ShownEntry {
  readonly seq: number;
  readonly leaf: string;
  readonly leafHash: string;
  readonly intact: boolean;
  readonly entry?: Readonly<Record<string, unknown>>;
  readonly attachments?: readonly {
    readonly name: string;
    readonly salt?: string;
    readonly content?: string;
    readonly sealed?: boolean;
  }[];
}

export interface Transaction {
  readonly ledger: string;
  readonly txn: string;
  readonly state: "open" | "closed" | "refused";
  readonly request: ShownEntry | null;
  readonly outcome: ShownEntry | null;
  /** Of what a Bulk's operations are about, by `TYPE/ID`. */
  readonly names: Readonly<Record<string, string>>;
}

export interface Anchoring {
  readonly upTo: number;
  readonly notAnchoredSince: number | null;
  readonly statement: string;
}

export interface InclusionAnswer {
  readonly ledger: string;
  readonly origin: string;
  readonly seq: number;
  readonly leafHash: string;
  readonly tree: { readonly size: number; readonly root: string; readonly checkpoint: string | null };
  readonly hashes: readonly string[];
  readonly anchored: Anchoring;
}

export interface Checkpoint {
  readonly size: number;
  readonly root: string;
  readonly note: string;
  readonly publishedAt: string;
  readonly anchored: Anchoring;
}

export interface AccountRow {
  readonly connector: string;
  readonly type: string;
  readonly id: string;
  /** The id as it stands in the leaves. */
  readonly recordedId: string;
  readonly names: Readonly<Record<string, string | readonly string[]>>;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly changes: number;
}

export interface AccountsPage {
  readonly ledger: string;
  readonly covers: Covers;
  readonly accounts: readonly AccountRow[];
  readonly next: string | null;
}

/** One attribute's change; null: there was no value, unless `oldKnown` is false: then nobody knows. */
export interface AttributeChange {
  readonly path: string;
  readonly old: unknown;
  readonly new: unknown;
  readonly oldKnown: boolean;
  /** False: nobody knows whether this came to be. */
  readonly newKnown: boolean;
}

export interface AccountChange {
  readonly seq: number;
  readonly closedSeq: number | null;
  readonly txn: string;
  readonly time: string;
  readonly connector: string;
  readonly client: string;
  readonly action: string;
  readonly effects: readonly string[];
  readonly outcome: string;
  readonly status: number | null;
  readonly verdict: "applied" | "refused" | "unknown";
  readonly diff: readonly AttributeChange[];
}

/** A place in the ledger, and when that was. */
export interface Place {
  readonly seq: number;
  readonly time: string;
}

export interface Membership {
  readonly group: string | null;
  readonly id: string;
  readonly from: Place;
  readonly isFromKnown: boolean;
  readonly to: Place | null;
  readonly isCertain: boolean;
}

/** GET /audit/v1/groups/{id}/members. */
export interface MembersAnswer {
  readonly members: readonly {
    readonly id: string;
    readonly name: string | null;
    readonly since: Place | null;
    readonly isSinceKnown: boolean;
    readonly isCertain: boolean;
  }[];
  /** False: there may have been members of whom the ledger never heard. */
  readonly isWhole: boolean;
}

export interface AccountAnswer {
  readonly ledger: string;
  readonly covers: Covers;
  readonly account: AccountRow;
  /** The moment that was asked for; null: now. */
  readonly at: string | null;
  readonly exists: "yes" | "no" | "unknown";
  readonly state: Readonly<Record<string, unknown>> | null;
  readonly unknown: readonly string[];
  /** What a write without a certain outcome may have changed. */
  readonly uncertain: readonly string[];
  readonly changes: readonly AccountChange[];
  /** Older changes that are not shown. */
  readonly omitted: number;
  /** The beginning of the history was not looked at. */
  readonly isCut: boolean;
  readonly memberships: readonly Membership[];
  /** Of the members and managers that the changes name, by id. */
  readonly names: Readonly<Record<string, string>>;
}

export interface ConnectorCredential {
  readonly name: string;
  readonly method: string;
  readonly prefix: string | null;
  readonly state: string;
  readonly lastUse: string | null;
  readonly expires: string | null;
}

/** As one instance saw it since it started. */
export interface ConnectorHealth {
  readonly state: "ok" | "failing" | "idle";
  readonly lastOutcome: string | null;
  readonly lastAnswered: string | null;
  readonly lastFailed: string | null;
  readonly failures: number;
}

export interface ConnectorStatus {
  readonly name: string;
  readonly baseUrl: string;
  readonly idp: string;
  readonly ledger: string;
  readonly targetHost: string;
  readonly credentials: readonly ConnectorCredential[];
  readonly health: ConnectorHealth;
}
