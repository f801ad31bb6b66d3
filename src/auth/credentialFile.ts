/** The file `<dataDir>/credentials.json`: every minted credential, by the hash of its token. Changed under a lock (lockedFile.ts). */
import path from "node:path";
import {
  type Credential,
  type CredentialRequest,
  formatCredentials,
  mintCredential,
  parseCredentials,
} from "./credential.ts";
import { CredentialFileError, readPrivateFile, replacePrivateFile } from "./lockedFile.ts";

export { CredentialFileError } from "./lockedFile.ts";

/** Path of the credential file in a data directory. */
export function credentialPath(dataDir: string): string {
  return path.join(dataDir, "credentials.json");
}

/** Path of the file that tells when credentials were last used. */
export function credentialUsePath(dataDir: string): string {
  return path.join(dataDir, "credential-use.json");
}

/** Every credential of a data directory; none if the file does not exist. @throws {CredentialFileError} */
export async function listCredentials(dataDir: string): Promise<Credential[]> {
  return (await readPrivateFile(credentialPath(dataDir), parseCredentials)) ?? [];
}

/** Mints a credential and keeps its hash. The token is in the result and nowhere else. @throws {CredentialFileError} */
export async function addCredential(
  dataDir: string,
  request: CredentialRequest,
  now: Date,
): Promise<{ token: string; credential: Credential }> {
  const made = mintCredential(request, now);
  await updateCredentials(dataDir, (credentials) => {
    if (credentials.some(({ name, revoked }) => name === made.credential.name && revoked === undefined)) {
      throw new CredentialFileError(
        `a credential called ${made.credential.name} exists already: choose another --name`,
      );
    }
    return [...credentials, made.credential];
  });
  return made;
}

/**
 * Revokes the one credential with this id or shown prefix. A second revocation changes nothing.
 * @throws {CredentialFileError} if there is none, or more than one.
 */
export async function revokeCredential(dataDir: string, idOrPrefix: string, now: Date): Promise<Credential> {
  let revoked: Credential | undefined;
  await updateCredentials(dataDir, (credentials) => {
    const found = credentials.filter(({ id, prefix }) => id === idOrPrefix || prefix === idOrPrefix);
    const [credential] = found;
    if (credential === undefined) {
      throw new CredentialFileError("no credential has this id or prefix: scimseal token list shows them");
    }
    if (found.length > 1)
      throw new CredentialFileError("more than one credential has this prefix: say the id");
    const changed: Credential = { ...credential, revoked: credential.revoked ?? now.toISOString() };
    revoked = changed;
    return credentials.map((other) => (other === credential ? changed : other));
  });
  if (revoked === undefined) throw new Error("an update ran without its change");
  return revoked;
}

async function updateCredentials(
  dataDir: string,
  change: (credentials: Credential[]) => Credential[],
): Promise<void> {
  await replacePrivateFile(credentialPath(dataDir), async () =>
    formatCredentials(change(await listCredentials(dataDir))),
  );
}
