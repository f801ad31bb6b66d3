// The README of an evidence pack: what it is and how an outsider checks it with public tools, in plain ASCII. It holds
// nothing that a verifier relies on. Pure.

import type { Statement } from "./statement.ts";

/** The text of `README.txt`. */
export function formatReadme(statement: Statement): string {
  const { origin, count, firstSeq, lastSeq, gapFree, checkpoints, madeBy, attachments, leftOut } = statement;
  const completeness = gapFree
    ? "All entries between the first and the last are here; a verifier sees if one is missing."
    : "This is a selection. That each entry is in the ledger is proved. That the selection is complete is the\nexporter's word; a pack of the whole range proves it.";
  return `EVIDENCE PACK OF A SCIMSEAL LEDGER

Ledger       ${origin}
Entries      ${count}: first ${firstSeq}, last ${lastSeq}
Tree         ${checkpoints.last} entries (checkpoints/last.txt)
Attachments  ${attachments === "included" ? "included" : "left out"}
Made by      ${madeBy}

${completeness}
${leftOut.map((line) => `Not in it: ${line}\n`).join("")}
WHAT YOU NEED
The public key of the ledger, from a way of its own: from the operator by hand, from an earlier audit, from a
contract. keys.json is a hint only. A key that travels with the evidence proves nothing.

HOW TO CHECK
- scimseal verify --pack THIS.tar --key KEY        (key as JWK file or as vkey; no network, no database)
- verifier.html in any browser: drop this file and the key; nothing leaves your machine
- verify_pack.py, Python 3 without further packages: docs/verify/ of the scimseal source
- or by hand, with tools that others wrote:
  entries/*.jws          one entry a line: compact JWS (RFC 7515), EdDSA. Any JOSE library checks one.
  proofs/*.tlog-proof    c2sp.org/tlog-proof@v1: that entry is in the tree of checkpoints/last.txt.
                         The leaf hash is SHA-256 of a zero byte and the line without its newline (RFC 6962).
  checkpoints/*.txt      c2sp.org/tlog-checkpoint, signed as c2sp.org/signed-note: the tree's size and root.
  consistency.json       RFC 6962 consistency proof: the first checkpoint's tree is the beginning of the last one's.
  rotations/             entries by which the ledger's key introduced its next key, with their proofs.
  attachments/SEQ/NAME   bytes an entry commits to: SHA-256(NAME.salt, then NAME), in base64url, is its commitment.
Compare checkpoints/last.txt with one you were given earlier or elsewhere (an archive, a witness): only that shows
that newer entries were not cut off, or the whole ledger rewritten by whoever holds its key.

The format is described byte by byte in docs/FORMAT.md of the scimseal source.
`;
}
