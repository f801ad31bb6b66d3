// What the proxy needs to know of a connector and its surroundings: the interfaces at which it meets the rooms above
// and below. The application builds these; the pipeline only uses them.

import type { Limits } from "../config/schema.ts";
import type { Actor } from "../ledger/entry.ts";
import type { Draft, Recorded } from "../storage/writer/recorded.ts";
import type { IsTrusted } from "./client/clientAddress.ts";
import type { RecordContext } from "./draft.ts";
import type { RefusalCode } from "./refusal.ts";
import type { Target } from "./target/target.ts";

/** Appends to one ledger; resolves only after a proved commit (see storage/writer). */
export interface Ledger {
  append<D extends Draft>(draft: D): Promise<Recorded<D>>;
}

export interface Connector extends RecordContext {
  ledger: Ledger;
  target: Target;
  /** `{publicUrl}/{connector}/scim/v2`, without a trailing slash. */
  publicBase: string;
  /** Attributes never to be stored, besides password. */
  redact: readonly string[];
  auditReads: boolean;
}

export interface Identity extends Actor {
  connectors: ReadonlySet<string>;
}

export interface ProxyLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the proxy tells the metrics. */
export interface ProxyObserver {
  answered(connector: string, kind: "read" | "write", status: number, durationMs: number): void;
  refused(connector: string, code: RefusalCode, reason: string): void;
  forwarded(connector: string, outcome: string, durationMs: number): void;
}

export interface ProxyContext {
  connectors: ReadonlyMap<string, Connector>;
  authenticate(authorization: string | undefined): Promise<Identity | undefined>;
  /** Counts a failed authentication; true when the address had too many. */
  tooManyFailures(address: string): Promise<boolean>;
  limits: Limits;
  failClosed: { status: 503 | 429; retryAfterSeconds: number };
  isTrustedProxy: IsTrusted;
  isEncrypted: boolean;
  uuid(): string;
  log: ProxyLog;
  observer: ProxyObserver;
}
