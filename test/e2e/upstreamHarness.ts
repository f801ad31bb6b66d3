// A system in front of a scripted target, for the tests of what a target can do to a write.

import { expect } from "vitest";
import { ALL_WELL, checkInvariants, ofType, type System, startSystem } from "../support/system.ts";
import { type BadTarget, type Play, startBadTarget } from "./badTarget.ts";
import { type LedgerNews, openNews } from "./ledgerNews.ts";

export const TIMEOUT_MS = 700;
export const IN_FLIGHT = 4;
export const USER = '"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]';
export const JSON_TYPE = "Content-Type: application/scim+json";

/** A head of an answer, its empty line included. */
export const head = (lines: readonly string[], status = "HTTP/1.1 201 Created") =>
  `${[status, ...lines].join("\r\n")}\r\n\r\n`;

let count = 0;
/** A user nobody has sent before. */
export const user = (more = "") => `{${USER},"userName":"person-${++count}@example.com"${more}}`;

export interface WriteOptions {
  body?: string;
  method?: string;
  path?: string;
  /** Whether the target acts on the whole request or on its head. */
  when?: "body" | "head";
}

/** What the client got, what was recorded, how often the target saw it. */
export interface Written {
  said: { status: number; outcome: string | undefined };
  response: Response;
  text: string;
  body: string;
  request: ReturnType<typeof ofType<"request">>[number] | undefined;
  outcome: ReturnType<typeof ofType<"response">>[number] | undefined;
  seen: number;
}

export interface Upstream {
  target: BadTarget;
  system: System;
  news: LedgerNews;
  write(play: Play, options?: WriteOptions): Promise<Written>;
  /** Checks the invariants and stops everything. */
  close(): Promise<void>;
}

/** Starts both. The target behaves until it is told otherwise. */
export async function startUpstream(): Promise<Upstream> {
  const target = await startBadTarget();
  const system = await startSystem({
    targetUrl: target.url,
    config: { scim: { listen: { port: 0 }, limits: { inFlight: IN_FLIGHT } } },
    connector: {
      target: { url: target.url, auth: { bearer: { file: "target-token" } }, timeoutMs: TIMEOUT_MS },
    },
  });
  const news = await openNews(system);
  return {
    target,
    system,
    news,
    write: async (play, { body = user(), method = "POST", path = "/Users", when = "body" } = {}) => {
      const before = target.received().length;
      target.plays(play, when);
      const response = await system.request(method, path, { ...(method === "DELETE" ? {} : { body }) });
      const text = await response.text();
      const entries = await news.next();
      const request = ofType(entries, "request").at(-1);
      const outcome = ofType(entries, "response").at(-1);
      expect(outcome?.claims.txn).toBe(request?.claims.txn);
      const said = { status: response.status, outcome: outcome?.claims.outcome };
      return { said, response, text, body, request, outcome, seen: target.received().length - before };
    },
    close: async () => {
      await news.close();
      expect(await checkInvariants({ ...system, journal: target.journal() })).toEqual(ALL_WELL);
      await system.stop();
      await target.close();
    },
  };
}
