/** Who is calling the audit API: minted auditor tokens. Their holders read; no such token opens a connector. */
import { parseAuthorization } from "./authorization.ts";
import type { Reach, Role } from "./credential.ts";
import type { CredentialStore } from "./credentialStore.ts";

/** Somebody who may read, and has proved it. */
export interface AuditorIdentity {
  /** Name of the credential. */
  readonly auditor: string;
  readonly role: Role;
  /** The ledgers it may read; anything else is a 404. */
  readonly ledgers: "*" | ReadonlySet<string>;
  /** The connectors whose transactions it may see. */
  readonly connectors: "*" | ReadonlySet<string>;
  /** Names and bodies are not for operators. */
  readonly canReadBodies: boolean;
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
    return credential?.kind === "auditor" ? identify(credential.name, credential) : undefined;
  }
}

/** The identity of whoever has this name and reach. */
export function identify(auditor: string, { role = "auditor", ledgers, connectors }: Reach): AuditorIdentity {
  return {
    auditor,
    role,
    ledgers: ledgers === "*" ? "*" : new Set(ledgers),
    connectors: connectors === undefined ? "*" : new Set(connectors),
    canReadBodies: role !== "operator",
  };
}
