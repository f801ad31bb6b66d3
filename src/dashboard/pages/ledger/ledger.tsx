// The ledger itself: how far it is verified, published and anchored; what was found; alarms, with acknowledging; its
// checkpoints with their witnesses; what happened to it; and its keys.

import { getText, pathOf } from "../../api/client.ts";
import type { LedgerStatus } from "../../api/types.ts";
import { useText } from "../../api/useText.ts";
import { CopyButton } from "../../parts/copy.tsx";
import { Failure, Skeleton } from "../../parts/states.tsx";
import { formatCount } from "../../parts/time.tsx";
import { BrokenBanner, describeIntegrity, INTEGRITY_TONES } from "../../shell/badge.tsx";
import { useDesk } from "../../shell/desk.ts";
import { Alarms, Findings } from "./alarms.tsx";
import { Checkpoints } from "./checkpoints.tsx";
import { Events } from "./events.tsx";

/** The page. */
export default function Ledger() {
  const { ledger, status, canRead } = useDesk();
  if (status.error && !status.data) return <Failure error={status.error} retry={status.reload} />;
  if (!ledger) return <Skeleton rows={12} />;
  return (
    <>
      <BrokenBanner ledger={ledger} isLedger />
      <Standing ledger={ledger} />
      {ledger.findings.length > 0 && <Findings ledger={ledger} />}
      <Alarms ledger={ledger} />
      {canRead && <Checkpoints key={`checkpoints ${ledger.name}`} ledger={ledger} />}
      {canRead && <Events key={`events ${ledger.name}`} ledger={ledger} />}
      <Keys key={`keys ${ledger.name}`} ledger={ledger} />
    </>
  );
}

type Step = readonly [name: string, count: number, what: string];

function Standing({ ledger }: { ledger: LedgerStatus }) {
  const tone = INTEGRITY_TONES[ledger.state];
  const steps: readonly Step[] = [
    ["Recorded", ledger.size, "signed, chained and durable before the target sees a change"],
    verifiedStep(ledger),
    ["Published", ledger.published, "covered by a signed checkpoint"],
    ["Anchored", ledger.anchoredUpTo, "kept outside of this database"],
  ];
  return (
    <section class="panel" aria-labelledby="standing">
      <header class="panel-head">
        <h2 id="standing">
          <code>{ledger.origin}</code>
        </h2>
        {!ledger.isWritable && <span class="badge bad">writes are refused</span>}
        <span class={`badge ${tone}`}>{describeIntegrity(ledger)}</span>
      </header>
      <ul class="bars standing">
        {steps.map(([name, count, what]) => (
          <li key={name}>
            <span class="bar-name">{name}</span>
            <progress
              class={name === "Verified" || tone === "good" ? tone : "info"}
              max={Math.max(1, ledger.size)}
              value={Math.min(count, ledger.size)}
              aria-label={`${name}: ${count} of ${ledger.size}`}
            />
            <span class="number">{formatCount(count)}</span>
            <span class="fine">{what}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** How much is verified: where the ledger is broken, not what was read but what is good. */
function verifiedStep({ state, verified, brokenAt, findings, acknowledged }: LedgerStatus): Step {
  if (state !== "broken") {
    const noted = acknowledged > 0 ? `, with ${formatFindings(acknowledged)} acknowledged` : "";
    return ["Verified", verified, `read again and checked by the monitor${noted}`];
  }
  const read = `read ${formatCount(verified)}`;
  const seq = brokenAt ?? findings[0]?.seq;
  if (seq === undefined) return ["Verified", 0, `${read}, and none can be called good: see what was found`];
  const good = seq === 0 ? "none good" : `good up to #${formatCount(Math.min(seq, verified) - 1)}`;
  return ["Verified", Math.min(seq, verified), `${read}, ${good}`];
}

function formatFindings(count: number): string {
  return `${formatCount(count)} finding${count === 1 ? "" : "s"}`;
}

function Keys({ ledger }: { ledger: LedgerStatus }) {
  const text = useText(pathOf("ledgers", ledger.name, "vkey"), getText);
  const keys = (text ?? "").split("\n").filter((line) => line !== "");
  return (
    <section class="panel" aria-labelledby="keys">
      <header class="panel-head">
        <h2 id="keys">Public keys</h2>
      </header>
      <div class="panel-body">
        {keys.length === 0 ? (
          <p class="fine">Not given to this sign-in.</p>
        ) : (
          <ul class="vkeys">
            {keys.map((key) => (
              <li key={key}>
                <code>{key}</code>
                <CopyButton text={key} what="the verifier key" />
              </li>
            ))}
          </ul>
        )}
        <p class="fine">
          To compare with the key you keep elsewhere. From this page alone it proves nothing: whoever could
          forge the ledger could forge this too.
        </p>
      </div>
    </section>
  );
}
