/**
 * Where people come in: takes sign-in links, keeps the sessions they open, and ends those whose link was revoked. The file
 * of links is looked at once a second at most, as the credential file is; while it cannot be read, the last good one counts.
 */
import { readFileSync } from "node:fs";
import type { AuditorIdentity } from "../auditors.ts";
import { identify } from "../auditors.ts";
import { type AuthLog, fingerprint } from "../credentialStore.ts";
import { type Session, Sessions, type SessionsOptions } from "./sessions.ts";
import { linkState, parseLinks, redeemSignInLink, signInLinkPath } from "./signInLink.ts";

const CHECK_INTERVAL_MS = 1000;

export interface SignInDeskOptions extends SessionsOptions {
  log: AuthLog;
  /** A clock that never jumps, milliseconds. */
  monotonic?: () => number;
}

/** The sign-in of one data directory. */
export class SignInDesk {
  readonly #dataDir: string;
  readonly #log: AuthLog;
  readonly #now: () => number;
  readonly #monotonic: () => number;
  readonly #sessions: Sessions;
  #fingerprint: string;
  #checkedAt: number;

  constructor(dataDir: string, options: SignInDeskOptions) {
    this.#dataDir = dataDir;
    this.#log = options.log;
    this.#now = options.now ?? Date.now;
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#sessions = new Sessions(options);
    this.#fingerprint = fingerprint(signInLinkPath(dataDir));
    this.#checkedAt = this.#monotonic();
  }

  /**
   * Takes a link's secret; undefined if it does not work. `record` writes down who comes in, after the link is spent and
   * before anybody is in: if it rejects, so does this, and the link is spent all the same.
   */
  async signIn(
    secret: string,
    isSecure: boolean,
    record: (auditor: AuditorIdentity) => Promise<void>,
  ): Promise<(Session & { token: string }) | undefined> {
    const link = await redeemSignInLink(this.#dataDir, secret, new Date(this.#now()));
    if (link === undefined) return undefined;
    const auditor = identify(link.name, link);
    await record(auditor);
    const { token, session } = this.#sessions.open({ auditor, linkId: link.id, isSecure });
    return { ...session, token };
  }

  /** The open session of a token that came by its kind of cookie. Counts as use unless told not to. */
  find(token: string, isSecure: boolean, isUse = true): Session | undefined {
    this.#refresh();
    return this.#sessions.find(token, isSecure, isUse);
  }

  /** Signs out. */
  end(token: string): void {
    this.#sessions.end(token);
  }

  #refresh(): void {
    const nowMs = this.#monotonic();
    if (nowMs - this.#checkedAt < CHECK_INTERVAL_MS) return;
    this.#checkedAt = nowMs;
    const file = signInLinkPath(this.#dataDir);
    const current = fingerprint(file);
    if (current === this.#fingerprint) return;
    this.#fingerprint = current;
    try {
      const used = parseLinks(readFileSync(file, "utf8")).filter(
        (link) => linkState(link, this.#now()) === "used",
      );
      const ids = new Set(used.map(({ id }) => id));
      this.#sessions.endUnless((id) => ids.has(id));
    } catch (error) {
      this.#log.error({ err: error, file }, "file of sign-in links unusable; open sessions stay open");
    }
  }
}
