// The index of each ledger, as the application joins it: settings for the thread that makes it, and readers that search in
// it under the ledger's own keys. An index is derived: without it nothing that was recorded is lost, only not found.

import type { Config } from "./config/schema.ts";
import { indexVersion } from "./indexer/indexer.ts";
import type { IndexSettings } from "./indexThread.ts";
import { createAttachmentOpener } from "./keys/attachmentOpen.ts";
import { createIndexKey } from "./keys/indexKey.ts";
import type { OpenLedger } from "./ledgers.ts";
import { recordedId } from "./proxy/draft.ts";
import { AccountReader } from "./storage/accounts/accountReader.ts";
import { type IndexOpener, SearchReader } from "./storage/search/searchReader.ts";

const CONNECTIONS = 4;
/** A search that takes longer is given up. */
const SEARCH_TIMEOUT_MS = 5_000;

/** What the index thread needs to know of a ledger. */
export function indexSettings(config: Config, { name, config: ledger, watch }: OpenLedger): IndexSettings {
  return {
    ledger: name,
    origin: ledger.origin,
    writer: watch.writer.database,
    reader: watch.reader,
    sealingKeyFile: ledger.sealingKey.file,
    tokenKeyFile: ledger.tokenKey.file,
    connectors: Object.fromEntries(
      Object.entries(config.connectors).map(([connector, { ids }]) => [connector, ids]),
    ),
    coreShare: ledger.index.coreShare,
  };
}

/** Searches a ledger; to be closed. */
export function openSearch(ledger: OpenLedger): SearchReader {
  return new SearchReader(ledger.name, ledger.watch.reader, {
    opener: indexOpener(ledger),
    connections: CONNECTIONS,
    timeoutMs: SEARCH_TIMEOUT_MS,
  });
}

/** Finds a ledger's accounts; to be closed. */
export function openAccounts(ledger: OpenLedger): AccountReader {
  return new AccountReader(ledger.name, ledger.watch.reader, {
    opener: indexOpener(ledger),
    attachments: createAttachmentOpener(ledger.sealingKey, ledger.config.origin),
    connections: CONNECTIONS,
    timeoutMs: SEARCH_TIMEOUT_MS,
  });
}

function indexOpener({ sealingKey, tokenKey }: OpenLedger): IndexOpener {
  const key = createIndexKey(sealingKey.derive);
  // By the rule of a connector whose ids are opaque, which keeps what is plainly an id, and of one whose ids are personal.
  const forms = (["opaque", "personal"] as const).map((ids) => ({ connector: "", ids, tokenKey }));
  return {
    version: indexVersion(key.id),
    token: key.token,
    open: key.open,
    recordedIds: (id) => [...new Set(forms.map((form) => recordedId(form, id)))],
  };
}
