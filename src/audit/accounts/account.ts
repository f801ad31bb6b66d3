// One account: its timeline, its state at a moment, and the groups that it was in. Everything is replayed from the leaves
// and the attachments that they commit to; what the ledger cannot know is named as unknown.

import { z } from "zod";
import { parseQuery } from "../../scim/search/query.ts";
import type { AccountSummary } from "../../storage/accounts/accountReader.ts";
import { chooseLedger } from "../access.ts";
import type { AuditContext, Auditor, NamedLedger } from "../context.ts";
import { heavyReading } from "../desk/turns.ts";
import { auditorOperation, type Operation } from "../http/operation.ts";
import { integer } from "../http/parameter.ts";
import { coversSchema } from "../search/request.ts";
import { stateBefore } from "./before.ts";
import { fullAllowance, readHistory } from "./readHistory.ts";
import {
  ACCOUNT_PARAMETERS,
  ACCOUNT_PROBLEMS,
  accountSchema,
  MAX_TRANSACTIONS,
  parseMoment,
  parseType,
  requireAccount,
  showAccount,
} from "./request.ts";
import {
  type AccountWrite,
  describeAt,
  type Moment,
  presencesAfter,
  type StateAt,
  stateAfter,
  type TimelineChange,
  timelineOf,
  writesTo,
  writesUntil,
} from "./timeline.ts";

export const TAG = "Accounts";

/** Groups whose histories are looked through for one member, and their transactions in all. */
const MAX_GROUPS = 200;
const MAX_GROUP_TRANSACTIONS = 50_000;

/** Ids whose names an answer looks up. */
const MAX_NAMED = 2_000;

const seq = z.int().min(0);

/** A moment in an answer. */
export const placeSchema = z.strictObject({ seq, time: z.iso.datetime() });

const changeSchema = z
  .strictObject({
    seq,
    closedSeq: seq.nullable(),
    txn: z.uuid(),
    time: z.iso.datetime(),
    connector: z.string(),
    client: z.string(),
    action: z.string(),
    effects: z.array(z.string()),
    outcome: z.string().describe("`open`: none yet; `refused`: never forwarded."),
    status: z.int().nullable().describe("The target's."),
    verdict: z
      .enum(["applied", "refused", "unknown"])
      .describe("Whether the target did it: unknown if its answer is missing or promises nothing."),
    diff: z.array(
      z.strictObject({
        path: z.string(),
        old: z.unknown().describe("Null: none, or not known."),
        new: z.unknown(),
        oldKnown: z.boolean(),
        newKnown: z.boolean().describe("False: nobody knows whether this came to be."),
      }),
    ),
  })
  .meta({ id: "AccountChange", description: "A transaction about an account, and what it changed." });

const membershipSchema = z.strictObject({
  group: z.string().nullable().describe("The group's best known name; personal."),
  id: z.string().describe("The group's id."),
  from: placeSchema,
  isFromKnown: z.boolean().describe("False: it may have begun before, without the ledger having seen it."),
  to: placeSchema.nullable().describe("Null: it goes on."),
  isCertain: z.boolean(),
});

const answer = z.strictObject({
  ledger: z.string(),
  covers: coversSchema,
  account: accountSchema,
  at: z.string().nullable().describe("The moment that was asked for; null: now."),
  exists: z
    .enum(["yes", "no", "unknown"])
    .describe("At that moment; `no` also before its first create, where that shows that it was new then."),
  state: z
    .record(z.string(), z.unknown())
    .nullable()
    .describe("Its attributes as they were provisioned; null if it was not there or nothing is known."),
  unknown: z
    .array(z.string())
    .describe("What never passed through the proxy, by path; `*`: all that is not shown."),
  uncertain: z.array(z.string()).describe("What a write of unknown fate may have changed, by path."),
  redacted: z.array(z.string()).describe("What has a value that was never stored."),
  changes: z.array(changeSchema).describe("In the order of the ledger; whatever the moment."),
  omitted: z.int().min(0).describe("Older changes that are not shown."),
  isCut: z
    .boolean()
    .describe(
      "The history, or those of the groups, is so long that its beginning was not looked at: then more is unknown than need be.",
    ),
  memberships: z.array(membershipSchema).describe("Groups over time; whatever the moment."),
  names: z
    .record(z.string(), z.string())
    .describe("Best known names of the members and managers that the changes name, by id; personal."),
});

const query = z.strictObject({
  ...ACCOUNT_PARAMETERS,
  changes: integer("Changes to show, the newest.", 0, 5_000).default(1_000),
});

type Asked = z.output<typeof query>;

async function showHistory(
  context: AuditContext,
  auditor: Auditor,
  ledger: NamedLedger,
  account: AccountSummary,
  asked: Asked,
): Promise<z.input<typeof answer>> {
  const { accounts } = ledger;
  const moment = parseMoment(asked.at);
  const covers = await ledger.search.covers();
  const places = await accounts.transactionsOf(account.account, MAX_TRANSACTIONS);
  const { happenings, isCut } = await readHistory(
    ledger,
    account.connector,
    places,
    fullAllowance(),
    account,
  );
  let id: string | undefined;
  const writes = await writesTo(happenings, account.type, (candidate) => {
    if (candidate === id) return true;
    const isOwn = accounts.isIdOf(account, candidate);
    // The recorded form, which may be a token, only where no transaction tells the clear one.
    if (isOwn && (id === undefined || candidate !== account.ref)) id = candidate;
    return isOwn;
  });
  const shown = asked.changes === 0 ? [] : happenings.slice(-asked.changes);
  const { changes, last } = await timelineOf(shown, writes);
  const then = moment && (await stateAt(ledger, account, id, writes, moment));
  const groups = id === undefined ? undefined : await readMemberships(ledger, account, id);
  const seqs = happenings.map(({ seq }) => seq);
  context.looked(ledger.name, {
    auditor,
    kind: "timeline",
    count: happenings.length,
    ...(seqs.length > 0 && { from: seqs[0] ?? 0, to: seqs.at(-1) ?? 0 }),
    facts: { type: account.type, id: id ?? account.ref, ...(asked.at !== undefined && { at: asked.at }) },
  });
  return {
    ledger: ledger.name,
    covers,
    account: showAccount(account, id),
    at: asked.at ?? null,
    ...mutable(then ?? last),
    changes,
    omitted: happenings.length - shown.length,
    isCut: isCut || places.length === MAX_TRANSACTIONS || groups?.isCut === true,
    memberships: groups?.memberships ?? [],
    names: await namesOf(ledger, account, changes),
  };
}

async function stateAt(
  ledger: NamedLedger,
  { connector }: AccountSummary,
  id: string | undefined,
  writes: readonly AccountWrite[],
  moment: Moment,
): Promise<StateAt> {
  const own = writesUntil(writes, moment);
  return own.length > 0 ? stateAfter(own) : describeAt(await stateBefore(ledger, connector, id, writes));
}

async function namesOf(
  { accounts }: NamedLedger,
  { connector }: AccountSummary,
  changes: readonly TimelineChange[],
): Promise<Record<string, string>> {
  const ids = idsIn(changes);
  return ids.length === 0 ? {} : Object.fromEntries(await accounts.namesOfIds(connector, ids));
}

/** Members and managers among old and new values, at most so many: of the newest changes. */
function idsIn(changes: readonly TimelineChange[]): string[] {
  const ids = new Set<string>();
  const take = (value: unknown) => {
    const own = typeof value === "object" && value !== null && "value" in value ? value.value : value;
    if (typeof own === "string" && own !== "" && ids.size < MAX_NAMED) ids.add(own);
  };
  for (const { diff } of changes.toReversed()) {
    for (const { path, old, new: now } of diff) {
      const item = /^members\[value eq ("(?:[^"\\]|\\.)*")\]/s.exec(path)?.[1];
      if (item !== undefined) take(textOf(item));
      else if (/(?:^|:)(?:members|manager(?:\.value)?)$/i.test(path))
        for (const one of [old, now].flat()) take(one);
    }
  }
  return [...ids];
}

function textOf(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Not as this program quotes: then it names nobody.
    return undefined;
  }
}

interface Memberships {
  memberships: z.input<typeof membershipSchema>[];
  /** Whether some of the groups' transactions were not looked at. */
  isCut: boolean;
}

/** The groups that an account was in; together they may take as much memory as one history. */
async function readMemberships(
  ledger: NamedLedger,
  account: AccountSummary,
  id: string,
): Promise<Memberships> {
  const { accounts } = ledger;
  const memberships: z.input<typeof membershipSchema>[] = [];
  const groups = await accounts.groupsOf(account, MAX_GROUPS);
  const allowance = fullAllowance();
  let left = MAX_GROUP_TRANSACTIONS;
  let isCut = groups.length === MAX_GROUPS;
  for (const group of groups) {
    const limit = Math.min(left, MAX_TRANSACTIONS);
    if (limit === 0 || allowance.bytes <= 0) return sorted(memberships, true);
    const places = await accounts.membershipTransactions(group, account, limit);
    left -= places.length;
    const history = await readHistory(ledger, group.connector, places, allowance);
    isCut ||= history.isCut || places.length === limit;
    let groupId: string | undefined;
    const writes = await writesTo(history.happenings, group.type, (candidate) => {
      if (candidate !== groupId && !accounts.isIdOf(group, candidate)) return false;
      groupId = candidate;
      return true;
    });
    const { presences } = await presencesAfter(writes, id);
    for (const { from, isFromKnown, to, isCertain } of presences) {
      memberships.push({
        group: group.names.displayName ?? null,
        id: groupId ?? group.ref,
        from: placeOf(from.happening),
        isFromKnown,
        to: to ? placeOf(to.happening) : null,
        isCertain,
      });
    }
  }
  return sorted(memberships, isCut);
}

function sorted(memberships: Memberships["memberships"], isCut: boolean): Memberships {
  return { memberships: memberships.sort((a, b) => a.from.seq - b.from.seq), isCut };
}

/** When a transaction took effect: when its outcome was recorded, if one was. */
export function placeOf({
  seq,
  time,
  closedSeq,
  closedTime,
}: {
  seq: number;
  time: string;
  closedSeq: number | undefined;
  closedTime: string | undefined;
}): z.input<typeof placeSchema> {
  return { seq: closedSeq ?? seq, time: closedTime ?? time };
}

function mutable({ exists, state, unknown, uncertain, redacted }: StateAt) {
  return { exists, state, unknown: [...unknown], uncertain: [...uncertain], redacted: [...redacted] };
}

/** The connectors whose accounts are shown: those of the auditor, and of these the one asked for. */
export function connectorsFor(
  { connectors }: Auditor,
  wanted: string | undefined,
): readonly string[] | undefined {
  if (wanted === undefined) return connectors === "*" ? undefined : [...connectors];
  return connectors === "*" || connectors.has(wanted) ? [wanted] : [];
}

const getAccount = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/accounts/{type}/{id}",
    id: "getAccount",
    tag: TAG,
    summary: "An account: timeline, state at a moment, memberships",
    description:
      "Replayed from the ledger. Where the target's answer shows the whole resource it wins over the request; `meta`, `schemas`, " +
      "`groups` and `$ref` are left out.",
    scope: "connectors",
    params: z.strictObject({
      type: z.string().describe("`User`, `Group`, or another resource type."),
      id: z.string().describe("The id as the target spells it."),
    }),
    query,
    answer,
    problems: ACCOUNT_PROBLEMS,
  },
  async ({ context, auditor, params, query }) => {
    const ledger = chooseLedger(context, auditor, query.ledger);
    const connectors = connectorsFor(auditor, query.connector);
    const found = await ledger.accounts.byId(parseType(params.type), params.id, connectors);
    const account = requireAccount(found);
    const body = await heavyReading.run(context, auditor, () =>
      showHistory(context, auditor, ledger, account, query),
    );
    return { kind: "json", body };
  },
);

const getAccountByName = auditorOperation(
  {
    method: "get",
    path: "/audit/v1/accounts/by-name/{userName}",
    id: "getAccountByName",
    tag: TAG,
    summary: "The same for the user who has this user name",
    description: "If several were ever known by it, the one that has it now, or had it last.",
    scope: "connectors",
    params: z.strictObject({ userName: z.string().describe("In any case.") }),
    query,
    answer,
    problems: ACCOUNT_PROBLEMS,
  },
  async ({ context, auditor, params: { userName }, query }) => {
    const ledger = chooseLedger(context, auditor, query.ledger);
    const connectors = connectorsFor(auditor, query.connector);
    const found = await ledger.accounts.byUserName({
      query: parseQuery(`userName eq ${JSON.stringify(userName)}`, "transactions"),
      connectors,
    });
    const isNow = ({ names }: AccountSummary) => names.userName?.toLowerCase() === userName.toLowerCase();
    const account = requireAccount([...found.filter(isNow), ...found]);
    const body = await heavyReading.run(context, auditor, () =>
      showHistory(context, auditor, ledger, account, query),
    );
    return { kind: "json", body };
  },
);

/** In the order of the documentation; what stands first is matched first. */
export const accountHistoryOperations: readonly Operation[] = [getAccountByName, getAccount];
