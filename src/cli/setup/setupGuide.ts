/** What an administrator pastes into the identity provider, after `scimseal init`. It shows the tokens: print it once. */
import path from "node:path";
import { commandName } from "../../config/commandName.ts";
import { checkPublicUrl } from "../doctor/doctorFiles.ts";
import { printable, shellWord } from "../printable.ts";
import type { Setup, SetupAnswers } from "./setup.ts";

/** The whole text. */
export function formatGuide(answers: SetupAnswers, setup: Setup): string {
  const config = shellWord(setup.configFile);
  return `Made ${setup.configFile}
${warning(answers.publicUrl)}
${providerSteps(answers.idp, setup)}
For the audit API, an auditor's token, shown this once:
  ${setup.auditorToken}

Next:
  1. ${commandName()} doctor --config ${config}
  2. ${commandName()} serve --config ${config}
  3. Keep a copy of ${path.basename(setup.pinnedKeyFile)} where no administrator of the database can change it:
     whoever verifies the ledger needs it. Keep a backup of the keys directory where nobody else can read it.
`;
}

/** What doctor would say of it. Empty if there is nothing to say. */
function warning(publicUrl: string): string {
  const { status, detail, remedy = "" } = checkPublicUrl(publicUrl);
  return status === "ok" ? "" : `\nWarning: ${printable(detail)}.\n  → ${remedy}\n`;
}

function providerSteps(idp: SetupAnswers["idp"], { baseUrl, clientToken }: Setup): string {
  switch (idp) {
    case "okta":
      return `Paste into Okta (application → Provisioning → Integration):
  SCIM connector base URL            ${baseUrl}
  Unique identifier field for users  userName
  Supported provisioning actions     Push New Users, Push Profile Updates, Push Groups
  Authentication Mode                HTTP Header
  Authorization: Bearer              ${clientToken}
The token is shown this once. Then press "Test Connector Configuration".
`;
    case "entra":
      return `Paste into Entra (Enterprise application → Provisioning → Admin Credentials):
  Tenant URL     ${baseUrl}?aadOptscim062020
  Secret Token   ${clientToken}
The token is shown this once. Then press "Test Connection". The ending of the URL makes Entra follow RFC 7644.
`;
    case "other":
      return `Give to the identity provider:
  SCIM base URL   ${baseUrl}
  Bearer token    ${clientToken}
The token is shown this once.
`;
  }
}
