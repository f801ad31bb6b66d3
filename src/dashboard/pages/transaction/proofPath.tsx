// The inclusion proof as a picture: the leaf below, the signed root above, and between them each hash that is needed, on
// the side where it stands. The same as a list of hashes beside it, for whoever wants to compute it.

import { climb } from "../../../ledger/tree/proof.ts";
import type { InclusionAnswer } from "../../api/types.ts";
import { Hash, shorten } from "../../parts/copy.tsx";
import { formatCount } from "../../parts/time.tsx";
import { Body } from "../../parts/value/text.tsx";

const STEP = 44;
const WIDTH = 340;
const MIDDLE = WIDTH / 2;

/** The picture and the numbers. */
export function ProofPath({ proof }: { proof: InclusionAnswer }) {
  const sides = [...climb(0, proof.seq, proof.tree.size)].map(({ side }) => side);
  const height = (sides.length + 1) * STEP + 16;
  const y = (level: number) => height - 28 - level * STEP;
  return (
    <div class="proof">
      <svg
        class="proof-path"
        viewBox={`0 0 ${WIDTH} ${height}`}
        width={WIDTH}
        height={height}
        role="img"
        aria-label={`From entry ${proof.seq} over ${sides.length} hashes to the root of ${proof.tree.size} entries`}
      >
        {sides.map((side, level) => {
          const siblingX = side === "left" ? MIDDLE - 110 : MIDDLE + 110;
          return (
            <g key={level}>
              <path class="edge own" d={`M${MIDDLE} ${y(level)}V${y(level + 1)}`} />
              <path
                class="edge"
                d={`M${siblingX} ${y(level) - 8}Q${siblingX} ${y(level + 1)} ${MIDDLE} ${y(level + 1)}`}
              />
              <rect class="node" x={siblingX - 48} y={y(level) - 11} width={96} height={22} rx={5} />
              <text class="node-text" x={siblingX} y={y(level) + 4}>
                {shorten(proof.hashes[level] ?? "", 4)}
              </text>
            </g>
          );
        })}
        <rect class="node leaf" x={MIDDLE - 52} y={y(0) - 12} width={104} height={24} rx={5} />
        <text class="node-text strong" x={MIDDLE} y={y(0) + 4}>
          entry #{proof.seq}
        </text>
        {sides.slice(1).map((_, level) => (
          <circle key={level} class="joint" cx={MIDDLE} cy={y(level + 1)} r={4.5} />
        ))}
        <rect class="node root" x={MIDDLE - 52} y={y(sides.length) - 12} width={104} height={24} rx={5} />
        <text class="node-text strong" x={MIDDLE} y={y(sides.length) + 4}>
          root
        </text>
      </svg>
      <div class="proof-numbers">
        <dl class="facts">
          <div>
            <dt>Root</dt>
            <dd>
              <Hash value={proof.tree.root} what="the root" keep={12} />
            </dd>
          </div>
          <div>
            <dt>Tree size</dt>
            <dd>{formatCount(proof.tree.size)} entries</dd>
          </div>
          <div>
            <dt>Leaf hash</dt>
            <dd>
              <Hash value={proof.leafHash} what="the leaf hash" keep={12} />
            </dd>
          </div>
          <div>
            <dt>Anchored</dt>
            <dd>{proof.anchored.statement}</dd>
          </div>
        </dl>
        <h3>Hashes, from the leaf up</h3>
        <ol class="hashes">
          {proof.hashes.map((hash, level) => (
            <li key={hash}>
              <span class="fine">{sides[level] ?? ""}</span>{" "}
              <Hash value={hash} what={`hash ${level + 1}`} keep={12} />
            </li>
          ))}
        </ol>
        {proof.tree.checkpoint !== null && (
          <>
            <h3>Checkpoint, a signed note</h3>
            <Body text={proof.tree.checkpoint} />
          </>
        )}
      </div>
    </div>
  );
}
