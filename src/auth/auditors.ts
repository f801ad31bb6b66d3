/** Who is calling the audit API: minted auditor tokens. An auditor reads; no auditor token opens a connector. */
import { parseAuthorization } from "./authorization.ts";
import type { CredentialStore } from "./credentialStore.ts";

/** An auditor that has proved itself. */
export interface AuditorIdentity {
  /** Name of the credential. */
  readonly auditor: string;
  /** The ledgers it may read; anything else is a 404. */
  readonly ledgers: "*" | ReadonlySet<string>;
}

/** Authenticates callers of the audit API. */
export class AuditorAuthenticator {
  readonly #credentials: CredentialStore;

  constructor(credentials: CredentialStore) {
    this.#credentials = credentials;
  }

  /** The auditor behind an Authorization header, or undefined. */
  authenticate(authorization: string | undefined): AuditorIdentity | undefined {
    const presented = parseAuthorization(authorization);
    if (presented?.scheme !== "bearer") return undefined;
    const credential = this.#credentials.find("auditor", presented.token);
    if (credential?.kind !== "auditor") return undefined;
    const ledgers = credential.ledgers === "*" ? "*" : new Set(credential.ledgers);
    return { auditor: credential.name, ledgers };
  }
}
