/** The part of `scimseal doctor` that looks at files: data directory, keys, listeners' certificates, credentials. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { credentialState } from "../../auth/credential.ts";
import { listCredentials } from "../../auth/credentialFile.ts";
import { isLoopbackHost } from "../../config/address.ts";
import { commandName } from "../../config/commandName.ts";
import { errorCode } from "../../config/privateFile.ts";
import type { Config, LedgerConfig } from "../../config/schema.ts";
import { loadPinned } from "../../keys/keyring.ts";
import { loadSealingKey } from "../../keys/sealingKey.ts";
import { loadSigner } from "../../keys/signer.ts";
import { loadTokenKey } from "../../keys/tokenKey.ts";
import { shellWord } from "../printable.ts";
import { type Check, errorText, fail, judgeCertificate, ok, warn } from "./check.ts";

/** The data directory exists, is ours to write, and is closed to others. */
export function checkDataDir({ dataDir, file }: Config): Check[] {
  const name = "data directory";
  try {
    const mode = statSync(dataDir).mode & 0o777;
    accessSync(dataDir, constants.W_OK | constants.X_OK);
    if ((mode & 0o077) === 0 || process.platform === "win32") return [ok(name, dataDir)];
    const said = `${dataDir} has mode ${mode.toString(8).padStart(4, "0")}, so other accounts can look into it`;
    return [fail(name, said, `chmod 700 ${shellWord(dataDir)}`)];
  } catch (error) {
    if (errorCode(error) !== "ENOENT") {
      return [
        fail(name, `${dataDir} cannot be used (${errorCode(error)})`, "see to it that this account owns it"),
      ];
    }
    return [
      warn(
        name,
        `${dataDir} does not exist yet`,
        `${commandName()} serve --config ${shellWord(file)} makes it, and ${commandName()} token mint puts tokens there`,
      ),
    ];
  }
}

/** Every ledger's keys load, sign, and are the ones that are pinned. */
export function checkKeys({ ledgers }: Config): Check[] {
  return Object.entries(ledgers).flatMap(([ledger, config]) => checkLedgerKeys(`ledger ${ledger}`, config));
}

function checkLedgerKeys(name: string, config: LedgerConfig): Check[] {
  const tried = <T>(what: string, load: () => T): { value?: T; check?: Check } => {
    try {
      return { value: load() };
    } catch (error) {
      return {
        check: fail(
          `${name}: ${what}`,
          errorText(error),
          "put the ledger's own key back, from its backup: without a usable one the ledger is not opened",
        ),
      };
    }
  };
  const signer = tried("signing key", () => loadSigner(config.signingKey.file));
  const pinned = tried("pinned keys", () => loadPinned(config.pinnedKeys));
  const tokens = tried("token key", () => loadTokenKey(config.tokenKey.file, config.origin));
  const sealing = tried("sealing key", () => loadSealingKey(config.sealingKey.file, config.origin));
  const failed = [signer, pinned, tokens, sealing].flatMap(({ check }) => check ?? []);
  if (failed.length > 0 || signer.value === undefined) return failed;
  const { kid } = signer.value;
  if (pinned.value?.some((key) => key.kid === kid))
    return [ok(`${name}: keys`, `signs with ${kid}, which is pinned`)];
  // After a rotation this is right: the ledger itself leads from the pinned key to the new one.
  const remedy = `right after a rotation; otherwise ${commandName()} verify will not trust what is signed now`;
  return [warn(`${name}: keys`, `signs with ${kid}, which is not pinned`, remedy)];
}

/** Certificates fit their keys and live on; nothing listens to the world in clear, and no identity provider is sent there. */
export function checkListeners(config: Config): Check[] {
  const { publicUrl } = config;
  return [...(publicUrl === undefined ? [] : [checkPublicUrl(publicUrl)]), ...checkOwnListeners(config)];
}

/** The token travels to this URL; Okta and Entra call none that is not https. */
export function checkPublicUrl(publicUrl: string): Check {
  const { protocol, hostname } = new URL(publicUrl);
  if (protocol === "https:" || isLoopbackHost(hostname)) return ok("public URL", publicUrl);
  const remedy = "set publicUrl to the https URL of your TLS terminator, or set scim.tls";
  return warn("public URL", `${publicUrl} is not https, and identity providers call nothing else`, remedy);
}

function checkOwnListeners(config: Config): Check[] {
  const listeners = [
    { name: "SCIM listener", listener: config.scim, behindProxy: config.scim.trustedProxies.length > 0 },
    { name: "admin listener", listener: config.admin, behindProxy: false },
  ];
  return listeners.flatMap(({ name, listener: { listen, tls }, behindProxy }) => {
    if (tls !== undefined) return [checkCertificate(name, tls.certFile, tls.keyFile)];
    if (isLoopbackHost(listen.host) || behindProxy)
      return [ok(name, `${listen.host}:${listen.port}, without TLS`)];
    const said = `listens on ${listen.host} without TLS, so tokens and personal data can be read on the way`;
    return [warn(name, said, "set tls, or bind it to 127.0.0.1 behind a TLS terminator")];
  });
}

function checkCertificate(name: string, certFile: string, keyFile: string): Check {
  try {
    const certificate = new X509Certificate(readFileSync(certFile));
    if (!certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile)))) {
      return fail(`${name} certificate`, `${certFile} does not belong to ${keyFile}`, "set the two that do");
    }
    return judgeCertificate(`${name} certificate`, new Date(certificate.validTo));
  } catch (error) {
    const said = `${certFile} with ${keyFile} cannot be used (${errorCode(error)})`;
    return fail(`${name} certificate`, said, "both must be PEM files that this account can read");
  }
}

const EXPIRY_WARN_MS = 14 * 86_400_000;

/** The credential file can be used, every connector has a client, and no token is about to end. */
export async function checkCredentials({ dataDir, connectors, file }: Config): Promise<Check[]> {
  let credentials: Awaited<ReturnType<typeof listCredentials>>;
  try {
    credentials = await listCredentials(dataDir);
  } catch (error) {
    return [
      fail(
        "credentials",
        errorText(error),
        "restore the file from a backup, or move it away and mint new tokens",
      ),
    ];
  }
  const nowMs = Date.now();
  const active = credentials.filter((credential) => credentialState(credential, nowMs) === "active");
  const checks = [ok("credentials", `${active.length} active of ${credentials.length}`)];
  for (const { name, expires } of active) {
    if (expires !== undefined && Date.parse(expires) - nowMs < EXPIRY_WARN_MS) {
      checks.push(
        warn("credentials", `${name} expires ${expires}`, "mint another, hand it over, then revoke this one"),
      );
    }
  }
  for (const [connector, { clients }] of Object.entries(connectors)) {
    const minted = active.some(
      (credential) => credential.kind === "client" && credential.connector === connector,
    );
    if (!minted && clients.basic.length + clients.jwt.length + clients.oauth.length === 0) {
      checks.push(
        warn(
          `connector ${connector}`,
          "has no client",
          `${commandName()} token mint --config ${shellWord(file)} --connector ${connector}`,
        ),
      );
    }
  }
  return checks;
}
