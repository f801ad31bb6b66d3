// One entry of a ledger: what a leaf says. A leaf is a compact JWS (RFC 7515) signed with EdDSA over Ed25519
// (RFC 8037); the signed bytes are the stored bytes, so there is no canonical form to disagree about. A leaf can
// never be erased, therefore nothing here holds personal data: no user name, address, filter literal or IP.
// docs/FORMAT.md is the normative description of everything in this file.

export const FORMAT_VERSION = 1;
export const LEAF_TYP = "scimseal+jws";
/** A leaf is at most this long, the C2SP tlog-tiles limit for one entry of an entry bundle. */
export const MAX_LEAF_BYTES = 65_535;

export type EntryType = "request" | "response" | "refusal" | "event";

/** Why a transaction ended as it did; `answered` means that a whole, well-formed answer was received. */
export type Outcome =
  | "answered"
  | "early"
  | "incomplete"
  | "not_sent"
  | "protocol_error"
  | "redirected"
  | "too_large"
  | "unknown";

export type EventName =
  | "access-denied"
  | "alarm-acknowledged"
  | "alarm-raised"
  | "clock-anomaly"
  | "configuration-changed"
  | "entries-viewed"
  | "export-made"
  | "instance-started"
  | "instance-stopped"
  | "key-rotated"
  | "ledger-opened"
  | "recovery"
  | "signed-in";

/** The credential that acted; never a person's name. */
export interface Actor {
  client: string;
  method: "basic" | "bearer" | "jwt" | "oauth";
}

/** The request line as recorded: ids only, no query text. `query` says only that there was one. */
export interface HttpFacts {
  method: string;
  path: string;
  query?: true;
  mediaType?: string;
  ifMatch?: true;
}

/** What the write means in SCIM. */
export interface ScimFacts {
  action: string;
  resourceType: string;
  resourceId?: string;
  effects: readonly string[];
  paths: readonly string[];
  unparsed?: readonly string[];
  /** Bulk: one item an operation; when there are too many for a leaf, only their number and the attachment `operations`. */
  operations?: readonly OperationFacts[];
  operationCount?: number;
}

export interface OperationFacts {
  index: number;
  action: string;
  resourceType: string;
  resourceId?: string;
  effects: readonly string[];
  paths?: readonly string[];
  unparsed?: true;
}

/** In a response entry: what the target says became of one Bulk operation; no status: it did not say. */
export interface OperationOutcome {
  index: number;
  status?: number;
  resourceId?: string;
}

/** Commitment to bytes stored apart. `redacted` names the places whose values were removed before storing. */
export interface AttachmentRef {
  name: string;
  size: number;
  mediaType: string;
  /** base64url of SHA-256(salt ‖ bytes). */
  commitment: string;
  redacted?: readonly string[];
}

/** What the author of an entry says; the writer adds the place in the chain (see EntryFrame). */
export type EntryBody =
  | {
      type: "request";
      txn: string;
      connector: string;
      actor: Actor;
      http: HttpFacts;
      scim: ScimFacts;
      /** The earlier transaction with the same client, path and bytes that ended without a certain answer. */
      retryOf?: string;
    }
  | {
      type: "response";
      txn: string;
      connector: string;
      /** seq of the request entry that this closes. */
      requestSeq: number;
      outcome: Outcome;
      /** The status received from the target, if one was. */
      status?: number;
      /** The status given to the client. */
      replied?: number;
      version?: string;
      durationMs?: number;
      reason?: string;
      scim?: { resourceId?: string; operations?: readonly OperationOutcome[]; operationCount?: number };
    }
  | {
      type: "refusal";
      txn: string;
      connector: string;
      actor: Actor;
      http: HttpFacts;
      refusal: { code: string; status: number };
      scim?: ScimFacts;
    }
  | { type: "event"; event: { name: EventName } & Readonly<Record<string, unknown>> };

/** The part of an entry that fixes its place: which log, where, after what, when, by which process. */
export interface EntryFrame {
  v: typeof FORMAT_VERSION;
  log: string;
  seq: number;
  /** base64url leaf hash of entry seq - 1; 32 zero bytes at 0. */
  prev: string;
  id: string;
  /** RFC 3339, milliseconds, UTC; the instance's clock, which may be wrong: the order is `seq`. */
  time: string;
  instance: string;
}

export type Entry = EntryFrame & EntryBody & { attachments: readonly AttachmentRef[] };
