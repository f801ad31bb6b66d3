// Who was in a group at a moment, and since when.

import { z } from "zod";
import { membersAt } from "../../scim/state/membership.ts";
import { chooseLedger } from "../access.ts";
import { heavyReading } from "../desk/turns.ts";
import { auditorOperation } from "../http/operation.ts";
import { coversSchema } from "../search/request.ts";
import { connectorsFor, placeOf, placeSchema, TAG } from "./account.ts";
import { stateBefore } from "./before.ts";
import { fullAllowance, readHistory } from "./readHistory.ts";
import {
  ACCOUNT_PARAMETERS,
  ACCOUNT_PROBLEMS,
  accountSchema,
  MAX_TRANSACTIONS,
  parseMoment,
  requireAccount,
  showAccount,
} from "./request.ts";
import { presencesAfter, writesTo, writesUntil } from "./timeline.ts";

/** GET /audit/v1/groups/{id}/members */
export const listMembers = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/groups/{id}/members",
    id: "listMembers",
    tag: TAG,
    summary: "Who was in a group at a moment",
    scope: "connectors",
    params: z.strictObject({ id: z.string().describe("The group's id as the target spells it.") }),
    query: z.strictObject(ACCOUNT_PARAMETERS),
    answer: z.strictObject({
      ledger: z.string(),
      covers: coversSchema,
      group: accountSchema,
      at: z.string().nullable(),
      exists: z.enum(["yes", "no", "unknown"]).describe("The group, at that moment."),
      members: z.array(
        z.strictObject({
          id: z.string(),
          name: z.string().nullable().describe("The member's best known name; personal."),
          since: placeSchema.nullable(),
          isSinceKnown: z.boolean().describe("False: it may have begun before."),
          isCertain: z.boolean().describe("False: a write of unknown fate may have added or removed it."),
        }),
      ),
      isWhole: z.boolean().describe("False: there may have been members of whom the ledger never heard."),
    }),
    problems: ACCOUNT_PROBLEMS,
  },
  async ({ context, auditor, params, query }) => {
    const ledger = chooseLedger(context, auditor, query.ledger);
    const { accounts } = ledger;
    const connectors = connectorsFor(auditor, query.connector);
    const group = requireAccount(await accounts.byId("Group", params.id, connectors));
    const moment = parseMoment(query.at);
    const covers = await ledger.search.covers();
    const { presences, last, seqs } = await heavyReading.run(context, auditor, async () => {
      const places = await accounts.transactionsOf(group.account, MAX_TRANSACTIONS);
      const { happenings } = await readHistory(ledger, group.connector, places, fullAllowance());
      const writes = await writesTo(happenings, "Group", (id) => accounts.isIdOf(group, id));
      const own = writesUntil(writes, moment);
      const found = await presencesAfter(own);
      const last =
        own.length > 0 ? found.last : await stateBefore(ledger, group.connector, params.id, writes);
      return { ...found, last, seqs: own.map(({ opened }) => opened) };
    });
    const { members, isWhole } = membersAt(last);
    const since = new Map(presences.flatMap((one) => (one.to === undefined ? [[one.id, one]] : [])));
    const names = await accounts.namesOfIds(group.connector, [...members.keys()]);
    context.looked(ledger.name, {
      auditor,
      kind: "members",
      count: members.size,
      ...(seqs.length > 0 && { from: Math.min(...seqs), to: Math.max(...seqs) }),
      facts: { group: params.id, ...(query.at !== undefined && { at: query.at }) },
    });
    return {
      kind: "json",
      body: {
        ledger: ledger.name,
        covers,
        group: showAccount(group, params.id),
        at: query.at ?? null,
        exists: last.exists,
        members: [...members].map(([id, isCertain]) => {
          const presence = since.get(id);
          return {
            id,
            name: names.get(id) ?? null,
            since: presence ? placeOf(presence.from.happening) : null,
            isSinceKnown: presence?.isFromKnown ?? false,
            isCertain,
          };
        }),
        isWhole,
      },
    };
  },
);
