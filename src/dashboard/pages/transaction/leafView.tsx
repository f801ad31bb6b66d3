// The evidence itself: the leaf as three parts of a compact JWS (RFC 7515), what it says, its signature, and the way
// from it to a signed root.

import { decodeBase64url } from "../../../ledger/base64url.ts";
import { pathOf } from "../../api/client.ts";
import type { InclusionAnswer, ShownEntry } from "../../api/types.ts";
import { useApi } from "../../api/useApi.ts";
import { CopyButton, Hash } from "../../parts/copy.tsx";
import { Failure, Skeleton } from "../../parts/states.tsx";
import { Body } from "../../parts/value/text.tsx";
import { ProofPath } from "./proofPath.tsx";

/** The leaf, and its inclusion proof. */
export function LeafView({ ledger, shown }: { ledger: string; shown: ShownEntry }) {
  const path = `/audit/v1${pathOf("ledgers", ledger, "entries", String(shown.seq), "proof")}`;
  const proof = useApi<InclusionAnswer>(path);
  const [header = "", payload = "", signature = ""] = shown.leaf.split(".");
  return (
    <div class="leaf-view">
      <section aria-label="Leaf">
        <div class="leaf-head">
          <h3>Header</h3>
          <CopyButton text={shown.leaf} what="the whole leaf" label="Copy the leaf" />
        </div>
        <Body text={decodeText(header)} />
        <h3>Payload</h3>
        <Body text={decodeText(payload)} />
        <h3>Signature</h3>
        <p>
          <Hash value={signature} what="the signature" keep={20} />
        </p>
      </section>
      <section aria-label="Inclusion proof">
        <h3>Inclusion proof</h3>
        {proof.data ? (
          <ProofPath proof={proof.data} />
        ) : proof.error ? (
          <Failure error={proof.error} retry={proof.reload} />
        ) : (
          <Skeleton rows={8} />
        )}
      </section>
    </div>
  );
}

function decodeText(part: string): string {
  const bytes = decodeBase64url(part);
  return bytes ? new TextDecoder().decode(bytes) : part;
}
