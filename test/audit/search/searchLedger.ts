// A ledger for the tests of the search API: entries as the proxy drafts them, written by the writer, indexed by the
// indexer, and the admin listener over it.

import { Indexer, indexVersion } from "../../../src/indexer/indexer.ts";
import { createIndexKey } from "../../../src/keys/indexKey.ts";
import { IndexWriter } from "../../../src/storage/index/indexWriter.ts";
import { LedgerReader } from "../../../src/storage/reader.ts";
import type { LedgerWriter } from "../../../src/storage/writer/writer.ts";
import { pass, refusalOf } from "../../indexer/indexHarness.ts";
import { quiet, type TestDatabase, until } from "../../storage/writerHarness.ts";
import { testOpener, testSealingKey } from "../../support/sealing.ts";
import { makePublished, type PublishedLedger } from "../harness.ts";

export interface SearchedLedger extends PublishedLedger {
  /** Indexes what is there. */
  index(): Promise<void>;
}

/** `recordedId`: an id as it stands in leaves; left out: as it is. */
export async function makeSearched(
  database: TestDatabase,
  name: string,
  recordedId = (_connector: string, id: string) => id,
): Promise<SearchedLedger> {
  const ledger = await makePublished(database, name);
  const { origin } = ledger;
  const key = createIndexKey(testSealingKey(origin).derive);
  return Object.assign(ledger, {
    index: async () => {
      const reader = new LedgerReader(
        name,
        { connectionString: database.urls.reader, requireSync: [] },
        { connections: 1, timeoutMs: 5_000, opener: testOpener(origin) },
      );
      const indexer = new Indexer({
        ledger: name,
        reader,
        writer: new IndexWriter({
          ledger: name,
          database: { connectionString: database.urls.writer, requireSync: [] },
          sealer: key,
          version: indexVersion(key.id),
          timeoutMs: 5_000,
        }),
        recordedId,
        coreShare: 1,
        log: quiet,
        pollMs: 5,
        retryMs: 20,
      });
      const size = await ledger.size();
      indexer.start();
      await until(() => indexer.position().next >= size, "all entries are indexed", 20_000);
      await indexer.stop();
      await reader.close();
    },
  });
}

export interface Person {
  id: string;
  userName: string;
  displayName?: string;
  email?: string;
}

/** Creates an account; returns its transaction. */
export function join(writer: LedgerWriter, person: Person, connector = "okta"): Promise<string> {
  const { id, userName, displayName, email } = person;
  const resource = {
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
    userName,
    ...(displayName !== undefined && { displayName }),
    ...(email !== undefined && { emails: [{ value: email, primary: true }] }),
    active: true,
  };
  return pass(
    writer,
    { method: "POST", path: "/Users", body: resource, connector },
    { status: 201, body: { ...resource, id } },
  );
}

/** Deactivates an account. */
export function leave(writer: LedgerWriter, id: string, status = 200): Promise<string> {
  const body = {
    schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    Operations: [{ op: "replace", path: "active", value: false }],
  };
  return pass(writer, { method: "PATCH", path: `/Users/${id}`, body }, { status, body: undefined });
}

/** Makes a group with one member. */
export function group(
  writer: LedgerWriter,
  id: string,
  displayName: string,
  member: string,
): Promise<string> {
  const resource = {
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"],
    displayName,
    members: [{ value: member }],
  };
  return pass(
    writer,
    { method: "POST", path: "/Groups", body: resource },
    { status: 201, body: { ...resource, id } },
  );
}

/** A write that the proxy refused by itself. */
export async function refuse(writer: LedgerWriter): Promise<void> {
  await writer.append(refusalOf({ method: "PUT", path: "/Users/u-9", body: { id: "other" } }));
}
