// How the ledger stands, on every page: verified up to an entry, verifying, or broken at one. Never a bare "OK": it says
// how far, and how far beyond this machine. What somebody took note of is still altered, and is still said.

import { useNow } from "../api/attention.ts";
import type { LedgerStatus } from "../api/types.ts";
import { Icon, type IconName } from "../parts/icons.tsx";
import { formatAge, formatCount, Time } from "../parts/time.tsx";
import { Link } from "../routing/location.tsx";

/** The state in words. Entries are numbered from 0, so the newest of n verified ones is n - 1. */
export function describeIntegrity(ledger: LedgerStatus): string {
  const { state, verified, size, brokenAt, findings, acknowledged } = ledger;
  if (state === "broken") {
    const seq = brokenAt ?? findings[0]?.seq;
    return seq === undefined ? "BROKEN" : `BROKEN at #${formatCount(seq)}`;
  }
  if (verified === 0) return size === 0 ? "Nothing recorded yet" : "Verifying…";
  const noted =
    acknowledged > 0
      ? `, ${formatCount(acknowledged)} acknowledged finding${acknowledged === 1 ? "" : "s"}`
      : "";
  return state === "verifying"
    ? `Verifying, #${formatCount(verified - 1)} of #${formatCount(size - 1)}${noted}`
    : `Verified to #${formatCount(verified - 1)}${noted}`;
}

/** A state's colour. */
export const INTEGRITY_TONES = {
  verified: "good",
  acknowledged: "wait",
  verifying: "wait",
  broken: "bad",
} as const satisfies Readonly<Record<LedgerStatus["state"], string>>;

/** A state's picture. */
export const INTEGRITY_ICONS: Readonly<Record<LedgerStatus["state"], IconName>> = {
  verified: "check",
  acknowledged: "warning",
  verifying: "clock",
  broken: "warning",
};

/** A state older than this is said to be old. */
const FRESH_MS = 45_000;

/** The badge in the head of every page; leads to the ledger. `at`: when this was so. */
export function IntegrityBadge({ ledger, at }: { ledger: LedgerStatus | undefined; at: string | undefined }) {
  const now = useNow(15_000);
  if (!ledger) return <span class="integrity loading">Reading the state…</span>;
  const isOld = at !== undefined && now - Date.parse(at) > FRESH_MS;
  const tone = isOld && ledger.state !== "broken" ? "old" : INTEGRITY_TONES[ledger.state];
  return (
    <Link to="/ledger" class={`integrity ${tone}`}>
      <Icon name={tone === "old" ? "clock" : INTEGRITY_ICONS[ledger.state]} />
      <span>
        {describeIntegrity(ledger)}
        {isOld && `, ${formatAge(at, now)}`}
      </span>
    </Link>
  );
}

/** The same as a banner with what is wrong, where a page begins, if something is. `isLedger`: on the page it leads to. */
export function BrokenBanner({
  ledger,
  isLedger = false,
}: {
  ledger: LedgerStatus | undefined;
  isLedger?: boolean;
}) {
  if (ledger?.state !== "broken") return null;
  const [first] = ledger.findings;
  const more = ledger.findings.length - 1;
  return (
    <div class="banner bad" role="alert">
      <Icon name="warning" />
      <div>
        <p>
          <strong>The ledger {ledger.name} is broken.</strong>{" "}
          {first
            ? `${first.seq === undefined ? "" : `Entry #${first.seq}: `}${first.code}: ${first.detail}`
            : describeIntegrity(ledger)}
          {more > 0 && ` And ${more} more.`}
        </p>
        <p>
          Do not rely on entries from there on.{" "}
          {isLedger ? (
            "What was found stands below."
          ) : (
            <Link to="/ledger">What was found, and what to do</Link>
          )}
        </p>
      </div>
    </div>
  );
}

/** The sentence below the badge on the overview. */
export function AnchorLine({ ledger, at }: { ledger: LedgerStatus; at: string | undefined }) {
  return (
    <span>
      {ledger.anchoredUpTo > 0
        ? `anchored up to #${formatCount(ledger.anchoredUpTo - 1)}`
        : "not anchored yet"}
      {ledger.anchoredUpTo < ledger.size &&
        ledger.anchoredUpTo > 0 &&
        `, ${formatCount(ledger.size - ledger.anchoredUpTo)} since then not yet`}
      {at !== undefined && (
        <>
          {" · as of "}
          <Time at={at} form="clock" />
        </>
      )}
    </span>
  );
}
