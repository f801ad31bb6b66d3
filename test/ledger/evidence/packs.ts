// What the tests of evidence packs share: a ledger in memory with its tree, checkpoints and rotations, a source over
// it, packs, and tools to take a pack apart and put it together again with something changed.

import { fastVerify } from "../../../src/keys/fastVerify.ts";
import type { Signer } from "../../../src/keys/signer.ts";
import type { EntryBody } from "../../../src/ledger/entry.ts";
import { formatTarEnd, formatTarMember, readTar, type TarMember } from "../../../src/ledger/evidence/tar.ts";
import { type PackOptions, type PackReport, verifyPack } from "../../../src/ledger/evidence/verifyPack.ts";
import {
  type EvidenceOptions,
  type EvidenceSource,
  type SourceCheckpoint,
  writeEvidence,
} from "../../../src/ledger/evidence/writeEvidence.ts";
import type { PublicKey } from "../../../src/ledger/key.ts";
import { formatCheckpoint } from "../../../src/ledger/note/checkpoint.ts";
import { signNote } from "../../../src/ledger/note/note.ts";
import { makeLogKey } from "../../../src/ledger/note/verifierKey.ts";
import { hashLevels, readLevels } from "../../../src/ledger/tree/treeLevels.ts";
import { newUuid, nodeSha256 } from "../../../src/nodeCrypto.ts";
import { Chain, newSigner, ORIGIN, publicKeyOf } from "../chain.ts";

export const ACCOUNT = { resourceType: "User", resourceId: "2819c223-7f76-453a-919d-413861904646" };

/** A ledger with everything that is published of it. */
export class Published {
  readonly chain: Chain;
  readonly checkpoints: SourceCheckpoint[] = [];
  readonly genesis: PublicKey;
  readonly origin: string;

  constructor(signer = newSigner(), origin = ORIGIN) {
    this.origin = origin;
    this.chain = new Chain(signer);
    this.genesis = publicKeyOf(signer);
  }

  get size(): number {
    return this.chain.rows.length;
  }

  /** `ledger-opened`, then so many whole transactions; every fourth is about ACCOUNT. */
  static of(transactions: number): Published {
    const published = new Published();
    published.chain.event({ name: "ledger-opened", kid: published.genesis.kid });
    published.add(transactions);
    published.publish();
    return published;
  }

  add(transactions: number): this {
    for (let i = 0; i < transactions; i++) {
      const request = this.chain.add(requestBody(i % 4 === 3 ? ACCOUNT.resourceId : `other-${i}`), [
        {
          name: "facts",
          mediaType: "application/json",
          bytes: Buffer.from(`{"address":"192.0.2.${i % 250}"}`),
        },
        { name: "body", mediaType: "application/scim+json", bytes: Buffer.from(`{"active":true,"n":${i}}`) },
      ]);
      this.chain.response(request);
      if (i % 7 === 0) this.publish();
    }
    return this;
  }

  rotate(): Signer {
    const next = newSigner();
    const { kid, bytes } = publicKeyOf(next);
    this.chain.event({
      name: "key-rotated",
      kid,
      jwk: { ...next.publicJwk, x: Buffer.from(bytes).toString("base64url") },
    });
    this.chain.signer = next;
    return next;
  }

  publish(signer = this.chain.signer): string {
    const { size, root } = this.tree();
    const { origin } = this;
    const key = makeLogKey(origin, publicKeyOf(signer).bytes);
    const note = signNote(formatCheckpoint({ origin, size, root }), {
      key,
      sign: (message) => signer.sign(Buffer.from(message)),
    });
    this.checkpoints.push({ size, note });
    return note;
  }

  tree(size = this.size) {
    const hashes = this.chain.rows.slice(0, size).map(({ leafHash }) => Buffer.from(leafHash ?? []));
    return hashLevels(Buffer.concat(hashes), nodeSha256);
  }

  source(): EvidenceSource {
    const { rows } = this.chain;
    const { readTiles } = readLevels(this.tree());
    const attachmentsOf = async function* (seqs: readonly number[]) {
      for (const seq of seqs) yield { seq, attachments: rows[seq]?.attachments ?? [] };
    };
    const events = async function* (to: number) {
      yield* rows.slice(0, to).filter(({ type }) => type === "event");
    };
    return {
      origin: this.origin,
      keys: [this.genesis],
      readTiles,
      entries: async (from, to) => rows.slice(from, to),
      entriesAt: async (seqs) => seqs.flatMap((seq) => rows[seq] ?? []),
      attachments: attachmentsOf,
      events,
      seqsOfTransaction: async (txn) => rows.filter((row) => row.txn === txn).map(({ seq }) => seq),
      latestCheckpoint: async () => this.checkpoints.at(-1),
      checkpointCovering: async (seq) => this.checkpoints.find(({ size }) => size > seq),
    };
  }

  async pack(options: Partial<EvidenceOptions> = {}): Promise<Uint8Array> {
    return collect(
      writeEvidence(this.source(), {
        query: { kind: "range", from: 0 },
        madeBy: "scimseal test",
        now: 1_750_000_000_000,
        digest: nodeSha256,
        ...options,
      }),
    );
  }

  verify(pack: Uint8Array, options: Partial<PackOptions> = {}): Promise<PackReport> {
    return verifyPack([pack], { pinned: [this.genesis], verify: fastVerify, digest: nodeSha256, ...options });
  }
}

function requestBody(resourceId: string): EntryBody {
  return {
    type: "request",
    txn: newUuid(),
    connector: "okta",
    actor: { client: "c", method: "bearer" },
    http: { method: "PATCH", path: `/Users/${resourceId}` },
    scim: { action: "update", resourceType: "User", resourceId, effects: ["update"], paths: ["active"] },
  };
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

export async function takeApart(pack: Uint8Array): Promise<TarMember[]> {
  const members: TarMember[] = [];
  for await (const member of readTar([pack], () => Number.MAX_SAFE_INTEGER)) members.push(member);
  return members;
}

export function putTogether(members: readonly TarMember[]): Uint8Array {
  return Buffer.concat([
    ...members.flatMap(({ name, bytes }) => [...formatTarMember(name, bytes)]),
    formatTarEnd(),
  ]);
}

/** The pack with the members that `change` makes of each of its members. */
export async function changePack(
  pack: Uint8Array,
  change: (member: TarMember) => TarMember | readonly TarMember[],
): Promise<Uint8Array> {
  return putTogether((await takeApart(pack)).flatMap((member) => change(member)));
}

/** Changes the text of one member. */
export function changeText(
  pack: Uint8Array,
  name: string,
  change: (text: string) => string,
): Promise<Uint8Array> {
  return changePack(pack, (member) =>
    member.name === name
      ? { name, bytes: Buffer.from(change(Buffer.from(member.bytes).toString())) }
      : member,
  );
}

export function nameOf(kind: "entries" | "proofs", seq: number): string {
  return `${kind}/${String(seq).padStart(16, "0")}.${kind === "entries" ? "jws" : "tlog-proof"}`;
}
