// A system before a recording target, and the words to talk to it on a raw socket.

import {
  checkInvariants,
  type InvariantReport,
  ofType,
  type System,
  type SystemOptions,
  startSystem,
} from "../support/system.ts";
import { closeConnections } from "./rawClient.ts";
import { type Arrived, type RecordingTarget, startRecordingTarget } from "./semanticsTarget.ts";

export const BASE = "/okta/scim/v2";
export const BODY = `{"userName":"ada@example.com"}`;
export const HOST = "proxy.example:8080";

export class SemanticsSystem {
  readonly system: System;
  readonly target: RecordingTarget;

  constructor(system: System, target: RecordingTarget) {
    this.system = system;
    this.target = target;
  }

  get url(): string {
    return this.system.app.scimUrl;
  }

  /** A request's head with a Host and a valid credential. */
  head(requestLine: string, ...lines: string[]): string {
    const credential = `Authorization: Bearer ${this.system.token}`;
    return [requestLine, `Host: ${HOST}`, credential, ...lines, "", ""].join("\r\n");
  }

  /** A whole create. */
  post(body: string, ...lines: string[]): string {
    const framing = ["Content-Type: application/scim+json", `Content-Length: ${Buffer.byteLength(body)}`];
    return this.head(`POST ${BASE}/Users HTTP/1.1`, ...framing, ...lines) + body;
  }

  /** What reached the target last, its headers by name. */
  lastArrived(): Omit<Arrived, "headers"> & { headers: ReadonlyMap<string, string> } {
    const arrived = this.target.arrived.at(-1);
    if (!arrived) throw new Error("nothing arrived at the target");
    return { ...arrived, headers: new Map(arrived.headers) };
  }

  /** Does something and tells what it added to the ledger and to the target. */
  async observe<T>(act: () => Promise<T>) {
    const entriesBefore = (await this.system.entries()).length;
    const writesBefore = this.target.writes().length;
    const arrivedBefore = this.target.arrived.length;
    const result = await act();
    const entries = (await this.system.entries()).slice(entriesBefore);
    return {
      result,
      entries,
      types: entries.map(({ claims }) => claims.type),
      refusals: ofType(entries, "refusal").map(({ claims }) => claims.refusal),
      writes: this.target.writes().slice(writesBefore),
      arrived: this.target.arrived.length - arrivedBefore,
    };
  }

  /** Checks the invariants and stops everything. */
  async end(): Promise<InvariantReport> {
    closeConnections();
    const report = await checkInvariants({ ...this.system, journal: this.target.writes() });
    await this.system.stop();
    await this.target.close();
    return report;
  }
}

export async function startSemantics(config: SystemOptions["config"] = {}): Promise<SemanticsSystem> {
  const target = await startRecordingTarget();
  return new SemanticsSystem(await startSystem({ targetUrl: target.url, config }), target);
}
