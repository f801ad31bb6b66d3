// One request on its way: what is known of it so far, for whoever has to answer for it when a step refuses.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Understanding } from "../../scim/operation.ts";
import type { Connector } from "../connector.ts";
import type { Arrival } from "../draft.ts";
import type { BodyHold } from "./body.ts";
import type { Route } from "./route.ts";

export interface Passage {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client's address (see clientAddress). */
  readonly address: string;
  /** How it spoke (see clientProtocol). */
  readonly protocol: "http" | "https";
  readonly hold: BodyHold;
  /** Known once the client is: where a refusal gets recorded. */
  connector?: Connector;
  arrival?: Arrival;
  meaning?: Understanding;
  /** The exact body, once it was read. */
  wire?: Buffer;
  /** The intent is in the ledger: from now on a failure is an outcome, not a refusal. */
  isRecorded?: boolean;
}

/** A request whose client and destination are known. */
export interface Received {
  connector: Connector;
  arrival: Arrival;
  route: Route;
}

/** The value of a header that stands at most once (see checkHead). */
export function headerText(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : undefined;
}
