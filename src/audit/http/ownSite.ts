// Where a browser's request comes from. A session's cookie is sent along with whatever a browser is made to ask for, so a
// request that it vouches for must come from a page of this listener (OWASP: verify the origin with standard headers).
// The adversary is a page of another site, or a name that he points at this address (DNS rebinding). What a program
// without a browser sends in these headers is its own affair: it has no cookie that is not its own.

import type { Request } from "express";
import { Problem } from "./problem.ts";

/** The cookie under HTTPS: for this host only, over TLS only (RFC 6265bis §4.1.3). */
const SECURE_COOKIE = "__Host-scimseal";
/** The cookie on plain HTTP, which is for loopback only: a browser keeps no Secure cookie that came that way everywhere. */
const PLAIN_COOKIE = "scimseal";
const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

/**
 * Refuses a request that a browser may have been made to send. @returns the origin that it came from, if it says so
 * @throws {Problem} cross_site
 */
export function requireOwnSite(request: Request, publicOrigin: string | undefined): string | undefined {
  const { origin, "sec-fetch-site": site } = request.headers;
  const own = ownOrigins(request, publicOrigin);
  if (own.length === 0)
    throw new Problem(
      "cross_site",
      "Sessions work over HTTPS, or over HTTP on this machine itself: set admin.publicUrl or admin.tls, or sign in at localhost.",
    );
  if (origin !== undefined) {
    if (own.includes(origin)) return origin;
    throw new Problem(
      "cross_site",
      "This request comes from a page of another address. If it is an address of this listener, set admin.publicUrl to it.",
    );
  }
  // `none`: the person himself asked, by the address bar or a bookmark; a page cannot.
  if (site === "same-origin" || (SAFE.has(request.method) && (site === undefined || site === "none")))
    return undefined;
  throw new Problem(
    "cross_site",
    "With a session, a request must say that it comes from a page of this listener.",
  );
}

/** Whether a cookie given to this request will be Secure: by the page that asks. Only after `requireOwnSite`. */
export function isSecureSite(request: Request, publicOrigin: string | undefined): boolean {
  const origin = request.headers.origin ?? ownOrigins(request, publicOrigin)[0];
  return origin?.startsWith("https:") ?? false;
}

/** The session's token in a request, and by which kind of cookie it came. */
export function readCookie(request: Request): { token: string; isSecure: boolean } | undefined {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim());
  for (const [name, isSecure] of [
    [SECURE_COOKIE, true],
    [PLAIN_COOKIE, false],
  ] as const) {
    const found = pairs
      .filter((pair) => pair.startsWith(`${name}=`))
      .map((pair) => pair.slice(name.length + 1));
    const [token] = found;
    // Two of one name: one of them was planted.
    if (token !== undefined && found.length === 1 && TOKEN.test(token)) return { token, isSecure };
  }
  return undefined;
}

/** A Set-Cookie line that gives the session to the browser; an empty token takes it away. */
export function formatCookie(token: string, isSecure: boolean): string {
  const [name, secure] = isSecure ? [SECURE_COOKIE, "; Secure"] : [PLAIN_COOKIE, ""];
  const end = token === "" ? "; Max-Age=0" : "";
  return `${name}=${token}; Path=/; HttpOnly; SameSite=Strict${secure}${end}`;
}

/** The origins that pages of this listener have, as this request reached it. */
function ownOrigins(request: Request, publicOrigin: string | undefined): string[] {
  const own = publicOrigin === undefined ? [] : [publicOrigin];
  const host = request.headers.host ?? "";
  // Under TLS the certificate says whose name it is; on plain HTTP a name may point anywhere, but for loopback's own.
  if ("encrypted" in request.socket) own.push(`https://${host}`);
  else if (/^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i.test(host)) own.push(`http://${host}`);
  return own;
}
