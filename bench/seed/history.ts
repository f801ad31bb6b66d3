// A company's provisioning history, made from a seed: joiners, movers, group changes and leavers in the shapes that Okta
// and Entra send, with what a target answers. The same seed gives the same history. Nobody in it exists.

/** One write and its answer. */
export interface Change {
  connector: "okta" | "entra";
  timeMs: number;
  method: "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  body: string | undefined;
  answer: { status: number; body: string } | "timeout";
  durationMs: number;
}

export interface HistoryOptions {
  seed: number;
  transactions: number;
  fromMs: number;
  toMs: number;
}

interface User {
  id: string;
  connector: Change["connector"];
  externalId: string;
  given: string;
  family: string;
  userName: string;
  title: string;
  department: string;
  active: boolean;
  version: number;
  gone: boolean;
}

interface Group {
  id: string;
  connector: Change["connector"];
  name: string;
  version: number;
}

/** Changes of the one account whose timeline is long, in every history of at least ten times as many. */
export const BUSY_CHANGES = 1_000;
/** Its userName. */
export const BUSY_USER = "busy.service@example.com";

const PATCH_OP = '"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]';
const USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const ONSETS = [
  "B",
  "Br",
  "C",
  "D",
  "F",
  "G",
  "Gr",
  "H",
  "J",
  "K",
  "L",
  "M",
  "N",
  "P",
  "R",
  "S",
  "St",
  "T",
  "V",
  "W",
];
const RIMES = [
  "a",
  "an",
  "el",
  "en",
  "er",
  "i",
  "in",
  "is",
  "o",
  "or",
  "u",
  "us",
  "y",
  "ara",
  "ena",
  "ila",
  "ova",
];
const ENDS = [
  "berg",
  "ton",
  "ez",
  "sen",
  "ini",
  "man",
  "wood",
  "field",
  "ova",
  "ski",
  "ström",
  "ford",
  "lin",
  "kar",
];
const TITLES = [
  "Analyst",
  "Engineer",
  "Manager",
  "Nurse",
  "Buyer",
  "Clerk",
  "Director",
  "Physician",
  "Counsel",
];
const DEPARTMENTS = ["Finance", "Research", "Sales", "Care", "Legal", "Logistics", "People", "Security"];
const TEAMS = [
  "North",
  "South",
  "East",
  "West",
  "Night shift",
  "Projects",
  "Approvers",
  "Read only",
  "On call",
];

/** The history, in order of time. */
export function* makeHistory(options: HistoryOptions): Generator<Change> {
  const draw = makeRandom(options.seed);
  const company = new Company(draw);
  const stepMs = (options.toMs - options.fromMs) / options.transactions;
  const isBusy = options.transactions >= 10 * BUSY_CHANGES;
  const busyEvery = Math.floor(options.transactions / BUSY_CHANGES);
  for (let i = 0; i < options.transactions; i++) {
    const what = isBusy && i % busyEvery === 0 ? company.busyChange() : company.nextChange();
    yield {
      ...what,
      timeMs: Math.floor(options.fromMs + i * stepMs),
      durationMs: 8 + draw(90) + (draw(50) === 0 ? draw(2_000) : 0),
    };
  }
}

type Written = Omit<Change, "timeMs" | "durationMs">;

class Company {
  readonly #draw: (below: number) => number;
  readonly #users: User[] = [];
  readonly #groups: Group[] = [];
  readonly #taken = new Map<string, number>();
  #busy: User | undefined;

  constructor(draw: (below: number) => number) {
    this.#draw = draw;
  }

  nextChange(): Written {
    if (this.#users.length < 20) return this.#join();
    if (this.#groups.length < TEAMS.length * DEPARTMENTS.length && this.#draw(100) < 2) return this.#found();
    const dice = this.#draw(1_000);
    if (dice < 120) return this.#join();
    const user = this.#pick(this.#users);
    if (dice < 330 && this.#groups.length > 0) return this.#shuffle(user);
    if (dice < 420) return this.#setActive(user, false);
    if (dice < 440) return this.#setActive(user, true);
    if (dice < 450) return this.#remove(user);
    if (dice < 455) return this.#clash(user);
    if (dice < 458) return { ...this.#move(user), answer: "timeout" };
    return this.#move(user);
  }

  busyChange(): Written {
    if (this.#busy) return this.#move(this.#busy);
    const written = this.#join("Busy", "Service", BUSY_USER, "okta");
    // Out of the lottery: nobody else changes or removes it.
    this.#busy = this.#users.pop();
    return written;
  }

  #join(
    given = this.#word(RIMES),
    family = this.#word(ENDS),
    userName = this.#nameFor(given, family),
    connector: User["connector"] = this.#draw(2) ? "okta" : "entra",
  ): Written {
    const user: User = {
      id: this.#id(),
      connector,
      externalId: `00u${this.#id().slice(0, 13)}`,
      given,
      family,
      userName,
      title: this.#pick(TITLES),
      department: this.#pick(DEPARTMENTS),
      active: true,
      version: 1,
      gone: false,
    };
    this.#users.push(user);
    const { id: _assigned, meta: _made, ...sent } = JSON.parse(show(user)) as Record<string, unknown>;
    return {
      connector,
      method: "POST",
      path: "/Users",
      body: JSON.stringify(sent),
      answer: { status: 201, body: show(user) },
    };
  }

  #move(user: User): Written {
    if (user.gone) return this.#missing(user);
    user.version++;
    if (this.#draw(3) === 0) user.department = this.#pick(DEPARTMENTS);
    else user.title = this.#pick(TITLES);
    const path = `/Users/${user.id}`;
    const answer = { status: 200, body: show(user) };
    if (user.connector === "okta" && this.#draw(2) === 0)
      return { connector: "okta", method: "PUT", path, body: show(user), answer };
    const value =
      user.connector === "okta"
        ? `{"op":"replace","value":{"title":"${user.title}"}}`
        : `{"op":"Replace","path":"title","value":"${user.title}"},{"op":"Add","path":"${ENTERPRISE}:department","value":"${user.department}"}`;
    return {
      connector: user.connector,
      method: "PATCH",
      path,
      body: `{${PATCH_OP},"Operations":[${value}]}`,
      answer: user.connector === "entra" && this.#draw(2) ? { status: 204, body: "" } : answer,
    };
  }

  #setActive(user: User, active: boolean): Written {
    if (user.gone) return this.#missing(user);
    user.active = active;
    user.version++;
    const operation =
      user.connector === "okta"
        ? `{"op":"replace","value":{"active":${active}}}`
        : `{"op":"Replace","path":"active","value":"${active ? "True" : "False"}"}`;
    return {
      connector: user.connector,
      method: "PATCH",
      path: `/Users/${user.id}`,
      body: `{${PATCH_OP},"Operations":[${operation}]}`,
      answer: { status: 200, body: show(user) },
    };
  }

  #remove(user: User): Written {
    if (user.gone || user.connector === "okta") return this.#setActive(user, false);
    user.gone = true;
    return {
      connector: user.connector,
      method: "DELETE",
      path: `/Users/${user.id}`,
      body: undefined,
      answer: { status: 204, body: "" },
    };
  }

  #found(): Written {
    const name = `${DEPARTMENTS[this.#groups.length % DEPARTMENTS.length]} ${TEAMS[Math.floor(this.#groups.length / DEPARTMENTS.length)]}`;
    const group: Group = { id: this.#id(), connector: this.#draw(2) ? "okta" : "entra", name, version: 1 };
    this.#groups.push(group);
    const body = `{"schemas":["${GROUP_SCHEMA}"],"displayName":"${name}"}`;
    return {
      connector: group.connector,
      method: "POST",
      path: "/Groups",
      body,
      answer: { status: 201, body: `${body.slice(0, -1)},"id":"${group.id}"}` },
    };
  }

  #shuffle(user: User): Written {
    const group = this.#pick(this.#groups);
    if (group.connector !== user.connector) return this.#move(user);
    group.version++;
    const joins = this.#draw(3) > 0;
    const operation = joins
      ? `{"op":"add","path":"members","value":[{"value":"${user.id}"}]}`
      : `{"op":"remove","path":"members[value eq \\"${user.id}\\"]"}`;
    return {
      connector: group.connector,
      method: "PATCH",
      path: `/Groups/${group.id}`,
      body: `{${PATCH_OP},"Operations":[${operation}]}`,
      answer: { status: 204, body: "" },
    };
  }

  #clash(user: User): Written {
    const body = `{"schemas":["${USER_SCHEMA}"],"userName":"${user.userName}","active":true}`;
    return {
      connector: user.connector,
      method: "POST",
      path: "/Users",
      body,
      answer: { status: 409, body: refusal(409, "uniqueness") },
    };
  }

  #missing(user: User): Written {
    const body = `{${PATCH_OP},"Operations":[{"op":"replace","path":"active","value":false}]}`;
    return {
      connector: user.connector,
      method: "PATCH",
      path: `/Users/${user.id}`,
      body,
      answer: { status: 404, body: refusal(404) },
    };
  }

  #nameFor(given: string, family: string): string {
    const plain = `${given}.${family}`
      .toLowerCase()
      .normalize("NFD")
      .replace(/[^a-z.]/g, "");
    const count = (this.#taken.get(plain) ?? 0) + 1;
    this.#taken.set(plain, count);
    return `${plain}${count > 1 ? count : ""}@example.com`;
  }

  #word(ends: readonly string[]): string {
    return `${this.#pick(ONSETS)}${this.#pick(RIMES)}${this.#pick(ends)}`;
  }

  #pick<T>(from: readonly T[]): T {
    const one = from[this.#draw(from.length)];
    if (one === undefined) throw new Error("nothing to pick from");
    return one;
  }

  #id(): string {
    const hex = Array.from({ length: 8 }, () => this.#draw(65_536).toString(16).padStart(4, "0")).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}

function show(user: User): string {
  return JSON.stringify({
    schemas: [USER_SCHEMA, ENTERPRISE],
    id: user.id,
    externalId: user.externalId,
    userName: user.userName,
    name: { givenName: user.given, familyName: user.family },
    displayName: `${user.given} ${user.family}`,
    title: user.title,
    emails: [{ value: user.userName, type: "work", primary: true }],
    active: user.active,
    [ENTERPRISE]: { department: user.department },
    meta: { resourceType: "User", version: `W/"${user.version}"` },
  });
}

function refusal(status: number, scimType?: string): string {
  const error = { schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"], status: String(status) };
  return JSON.stringify(scimType === undefined ? error : { ...error, scimType });
}

/** mulberry32 (T. Ettinger, public domain): integers from 0 to before `below`. */
export function makeRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
