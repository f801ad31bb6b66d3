// Writes as they would have been recorded, for the tests of this room.

import { describeState } from "../../../src/scim/state/describe.ts";
import { changesOf, type RecordedWrite } from "../../../src/scim/state/recordedWrite.ts";
import type { PlacedWrite } from "../../../src/scim/state/replay.ts";
import { lastState, replay, type Step } from "../../../src/scim/state/replay.ts";

const encoder = new TextEncoder();
export const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/** What a test says of a transaction; left out: a PATCH of User u1 that was answered with 204. */
export interface Told {
  action?: string;
  type?: string;
  id?: string;
  body?: unknown;
  answer?: unknown;
  status?: number;
  outcome?: string;
  query?: string;
  isRedacted?: boolean;
  /** Places in the ledger; left out: one after the other. */
  at?: [opened: number, closed: number | undefined];
}

export const patch = (...Operations: unknown[]): Told => ({ body: { Operations } });
export const create = (body: object): Told => ({
  action: "create",
  body,
  status: 201,
  answer: { schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], id: "u1", ...body },
});

export function recordedOf(told: Told): RecordedWrite {
  const { body, answer, isRedacted = false } = told;
  const bytesOf = (value: unknown) => ({ bytes: encoder.encode(JSON.stringify(value)), isRedacted });
  return {
    action: told.action ?? "update",
    resourceType: told.type ?? "User",
    ...(told.action === "create" || told.action === "bulk" ? {} : { resourceId: told.id ?? "u1" }),
    outcome: told.outcome ?? "answered",
    ...(told.outcome !== undefined && told.outcome !== "answered" && told.status === undefined
      ? {}
      : { status: told.status ?? (answer === undefined ? 204 : 200) }),
    ...(told.query === undefined ? {} : { query: told.query }),
    ...(body === undefined ? {} : { request: bytesOf(body) }),
    ...(answer === undefined ? {} : { answer: bytesOf(answer) }),
  };
}

/** The steps of one resource. */
export function stepsOf(tolds: readonly Told[], id = "u1"): Step<PlacedWrite>[] {
  const writes = tolds.flatMap((told, index) =>
    changesOf(recordedOf(told))
      .filter(({ resourceId }) => resourceId === id)
      .map(({ write }) => {
        const [opened, closed] = told.at ?? [index * 2, index * 2 + 1];
        return { opened, closed, write };
      }),
  );
  return [...replay(writes)];
}

/** What is known of a resource in the end. */
export function told(...tolds: readonly Told[]) {
  const { state, unknown, uncertain, redacted } = describeState(lastState(stepsOf(tolds)));
  return {
    state,
    ...(unknown.length > 0 && { unknown }),
    ...(uncertain.length > 0 && { uncertain }),
    ...(redacted.length > 0 && { redacted }),
  };
}
