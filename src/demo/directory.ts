// The demo target's memory: Users (with the enterprise extension) and Groups of RFC 7643, kept for as long as the process lives.
// scimmy keeps its handlers in static fields, so they are declared once per process and find the directory of a request
// in the context it carries. Passwords are accepted and dropped: the directory could not leak one if it tried.

import { randomUUID } from "node:crypto";
import SCIMMY from "scimmy";

/** The two kinds of resource the target serves. */
export type Kind = "User" | "Group";

/** A stored resource: scimmy's attributes plus what the server itself assigns. */
export interface StoredResource {
  readonly [attribute: string]: unknown;
  readonly id: string;
  readonly meta: { readonly created: string; readonly lastModified: string; readonly version: string };
}

/** One target's resources, and the URL its references start with. */
export interface Directory {
  readonly baseUrl: () => string;
  readonly User: Map<string, StoredResource>;
  readonly Group: Map<string, StoredResource>;
}

/** Makes an empty directory. `baseUrl` is asked late, since the port may not be known yet. */
export function createDirectory(baseUrl: () => string): Directory {
  return { baseUrl, User: new Map(), Group: new Map() };
}

/** The part of scimmy's resource object that the handlers use. */
interface Asked {
  readonly id?: string;
  readonly filter?: { match(values: unknown[]): unknown[] };
}

let declared = false;

/** Declares both resource types to scimmy; safe to call for every target of a process. */
export function declareResources(): void {
  if (declared) return;
  declared = true;
  SCIMMY.Resources.declare(SCIMMY.Resources.User, {
    ...handlers("User"),
    extensions: [{ schema: SCIMMY.Schemas.EnterpriseUser, required: false }],
  });
  SCIMMY.Resources.declare(SCIMMY.Resources.Group, handlers("Group"));
}

function handlers(kind: Kind) {
  return {
    ingress: (asked: Asked, instance: object, directory: Directory) =>
      write(kind, asked, instance, directory),
    egress: (asked: Asked, directory: Directory) => read(kind, asked, directory),
    degress: (asked: Asked, directory: Directory) => {
      find(kind, asked, directory);
      directory[kind].delete(asked.id ?? "");
    },
  };
}

function write(kind: Kind, asked: Asked, instance: object, directory: Directory): object {
  const before = asked.id === undefined ? undefined : find(kind, asked, directory);
  // A plain copy: scimmy's instances are accessors over the request's own objects.
  const { password: _dropped, ...attributes } = JSON.parse(JSON.stringify(instance)) as Record<
    string,
    unknown
  >;
  if (kind === "User") refuseTakenUserName(attributes.userName, before?.id, directory);
  const now = new Date().toISOString();
  const count = before === undefined ? 1 : Number(before.meta.version.slice(3, -1)) + 1;
  const stored: StoredResource = {
    ...attributes,
    id: before?.id ?? randomUUID(),
    meta: { created: before?.meta.created ?? now, lastModified: now, version: `W/"${count}"` },
  };
  directory[kind].set(stored.id, stored);
  return present(stored, directory);
}

/** RFC 7643 §4.1.1: userName is unique over the server and compared without regard to case. */
function refuseTakenUserName(userName: unknown, ownId: string | undefined, directory: Directory): void {
  const wanted = String(userName).toLowerCase();
  for (const user of directory.User.values()) {
    if (user.id !== ownId && String(user.userName).toLowerCase() === wanted) {
      throw new SCIMMY.Types.Error(409, "uniqueness", "userName is taken");
    }
  }
}

function read(kind: Kind, asked: Asked, directory: Directory): object | object[] {
  if (asked.id !== undefined) return present(find(kind, asked, directory), directory);
  const all = [...directory[kind].values()].map((stored) => present(stored, directory));
  const { filter } = asked;
  if (filter === undefined) return all;
  return all.filter((resource) => {
    try {
      return filter.match([resource]).length > 0;
    } catch (cause) {
      // scimmy's matcher throws a TypeError on a sub-attribute of an attribute that this resource lacks; RFC 7644 §3.4.2.2
      // calls that no match.
      if (cause instanceof TypeError) return false;
      throw cause;
    }
  });
}

function find(kind: Kind, asked: Asked, directory: Directory): StoredResource {
  const stored = directory[kind].get(asked.id ?? "");
  if (stored === undefined) throw new SCIMMY.Types.Error(404, "", `Resource ${asked.id} not found`);
  return stored;
}

/** References are made on the way out, as a server does that keeps ids: whatever URL a client sent, it gets ours. */
function present(stored: StoredResource, directory: Directory): object {
  const { members } = stored;
  if (!Array.isArray(members)) return stored;
  return {
    ...stored,
    members: members.map((member: { value?: string }) => {
      const kind = directory.Group.has(member.value ?? "") ? "Group" : "User";
      return { ...member, type: kind, $ref: `${directory.baseUrl()}/${kind}s/${member.value}` };
    }),
  };
}
