/**
 * One-time sign-in links for people, in `<dataDir>/signin-links.json`: the SHA-256 of each link's secret, for whom it is,
 * until when it works, and when it was used. A link works once, whoever comes at the same time and whatever is restarted:
 * it is marked used under the file's lock, durably, before anybody is let in. If we crash in between, the link is spent
 * and nobody is in: a new one has to be made. Records stay until the sessions they opened are over, so that
 * `scimseal token revoke` can end those too.
 */
import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import path from "node:path";
import { z } from "zod";
import { NAME_PATTERN, NAME_RULE } from "../../config/leaves.ts";
import { pickReach, type Reach, reachShape } from "../credential.ts";
import { readPrivateFile, replacePrivateFile } from "../lockedFile.ts";
import { SESSION_ABSOLUTE_MS } from "./sessions.ts";

/** How long a link works. */
export const LINK_LIFE_MS = 15 * 60_000;
const SECRET_PATTERN = /^scl_[A-Za-z0-9_-]{43}$/;

const instant = z.iso.datetime({ offset: true });
const linkSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{12}$/),
  name: z.string().regex(NAME_PATTERN, NAME_RULE),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  ...reachShape,
  created: instant,
  expires: instant,
  used: instant.exactOptional(),
  revoked: instant.exactOptional(),
});
const fileSchema = z.strictObject({ version: z.literal(1), links: z.array(linkSchema) });

/** One link as it is kept. Times are RFC 3339. */
export type SignInLink = z.output<typeof linkSchema>;

/** Where a link stands in its life. */
export function linkState(
  { expires, used, revoked }: SignInLink,
  nowMs: number,
): "open" | "used" | "revoked" | "expired" {
  if (revoked !== undefined) return "revoked";
  if (used !== undefined) return "used";
  return nowMs >= Date.parse(expires) ? "expired" : "open";
}

/** Path of the file in a data directory. */
export function signInLinkPath(dataDir: string): string {
  return path.join(dataDir, "signin-links.json");
}

/** Every link that is still known; none if there is no file. @throws {CredentialFileError} */
export async function listSignInLinks(dataDir: string): Promise<SignInLink[]> {
  return (await readPrivateFile(signInLinkPath(dataDir), parseLinks)) ?? [];
}

/** Reads the text of the file. @throws {Error} saying what is wrong, without quoting the file. */
export function parseLinks(text: string): SignInLink[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error("is not JSON", { cause });
  }
  const parsed = fileSchema.safeParse(value);
  if (parsed.success) return parsed.data.links;
  const where = parsed.error.issues.map((issue) => issue.path.join(".") || "the top").join(", ");
  throw new Error(`does not have the form of a file of sign-in links at: ${where}`);
}

/** Makes a link. Its secret is in the result and nowhere else. @throws {CredentialFileError} */
export async function addSignInLink(
  dataDir: string,
  request: Reach & { name?: string },
  now: Date,
): Promise<{ secret: string; link: SignInLink }> {
  const secret = `scl_${randomBytes(32).toString("base64url")}`;
  const id = randomBytes(6).toString("hex");
  const link: SignInLink = {
    id,
    name: request.name ?? `signin-${id}`,
    sha256: hash("sha256", secret, "hex"),
    ...pickReach(request),
    created: now.toISOString(),
    expires: new Date(now.getTime() + LINK_LIFE_MS).toISOString(),
  };
  await updateLinks(dataDir, now, (links) => [...links, link]);
  return { secret, link };
}

/** Uses a link up. Undefined if there is no such link, or it was used, revoked or is too old. @throws {CredentialFileError} */
export async function redeemSignInLink(
  dataDir: string,
  secret: string,
  now: Date,
): Promise<SignInLink | undefined> {
  if (!SECRET_PATTERN.test(secret)) return undefined;
  const digest = Buffer.from(hash("sha256", secret, "hex"), "hex");
  const find = (links: readonly SignInLink[]) =>
    links.filter(
      (link) =>
        timingSafeEqual(Buffer.from(link.sha256, "hex"), digest) && linkState(link, now.getTime()) === "open",
    )[0];
  // A guess must not take the lock.
  if (find(await listSignInLinks(dataDir)) === undefined) return undefined;
  let redeemed: SignInLink | undefined;
  await updateLinks(dataDir, now, (links) => {
    const found = find(links);
    if (found === undefined) return links;
    redeemed = { ...found, used: now.toISOString() };
    const used = redeemed;
    return links.map((link) => (link === found ? used : link));
  });
  return redeemed;
}

/** Revokes a link and with it the session that it opened; undefined if there is none of this id. @throws {CredentialFileError} */
export async function revokeSignInLink(
  dataDir: string,
  id: string,
  now: Date,
): Promise<SignInLink | undefined> {
  const isThere = (links: readonly SignInLink[]) => links.some((link) => link.id === id);
  if (!isThere(await listSignInLinks(dataDir))) return undefined;
  let revoked: SignInLink | undefined;
  await updateLinks(dataDir, now, (links) =>
    links.map((link) => {
      if (link.id !== id) return link;
      revoked = { ...link, revoked: link.revoked ?? now.toISOString() };
      return revoked;
    }),
  );
  return revoked;
}

async function updateLinks(
  dataDir: string,
  now: Date,
  change: (links: SignInLink[]) => SignInLink[],
): Promise<void> {
  await replacePrivateFile(signInLinkPath(dataDir), async () => {
    const links = change(await listSignInLinks(dataDir));
    const known = links.filter(({ expires }) => now.getTime() < Date.parse(expires) + SESSION_ABSOLUTE_MS);
    return `${JSON.stringify({ version: 1, links: known }, null, 2)}\n`;
  });
}
