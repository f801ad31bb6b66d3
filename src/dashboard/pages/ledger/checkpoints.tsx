// The signed checkpoints, the newest first: each with its root, who cosigned it, how far it is anchored, and the note to
// take home. The API pages from the oldest on; here the sizes below the newest are asked for, in a window that widens.

import { useEffect, useState } from "preact/hooks";
import { pathOf } from "../../api/client.ts";
import type { Checkpoint, LedgerStatus } from "../../api/types.ts";
import { useApi } from "../../api/useApi.ts";
import { CopyButton, Hash } from "../../parts/copy.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { Skeleton } from "../../parts/states.tsx";
import { formatCount, Time } from "../../parts/time.tsx";
import { Body } from "../../parts/value/text.tsx";

/** Rows shown at first, and more at each press. */
const SHOWN = 10;
/** Entries in which checkpoints are looked for at first: there is at most one an entry, and an answer holds as many. */
const WINDOW = 1_000;
const WIDER = 8;
const EVERY_MS = 10_000;

interface CheckpointsPage {
  readonly checkpoints: readonly Checkpoint[];
  readonly next: number | null;
}

/** The checkpoints. */
export function Checkpoints({ ledger }: { ledger: LedgerStatus }) {
  const base = `/audit/v1${pathOf("ledgers", ledger.name, "checkpoints")}`;
  const [shown, setShown] = useState(SHOWN);
  const [span, setSpan] = useState(WINDOW);
  const latest = useApi<{ checkpoint: Checkpoint }>(`${base}/latest`, undefined, EVERY_MS);
  const size = latest.data?.checkpoint.size;
  const after = Math.max(-1, (size ?? 0) - span);
  const list = useApi<CheckpointsPage>(size === undefined ? undefined : base, { after, limit: WINDOW });
  const [note, setNote] = useState<Checkpoint>();
  const found = (list.data?.checkpoints ?? []).filter((one) => one.size !== size).toReversed();
  const canWiden = after > -1 && list.data?.next === null;
  useEffect(() => {
    if (canWiden && !list.isLoading && found.length < shown) setSpan(span * WIDER);
  }, [canWiden, list.isLoading, found.length, shown, span]);
  return (
    <section class="panel flush" aria-labelledby="checkpoints">
      <header class="panel-head">
        <h2 id="checkpoints">Checkpoints</h2>
        {latest.data && <span class="fine">{latest.data.checkpoint.anchored.statement}</span>}
      </header>
      {latest.error && !latest.data ? (
        <p class="panel-empty">{latest.error.message}</p>
      ) : !latest.data || !list.data ? (
        <Skeleton rows={4} />
      ) : (
        <>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">Size</th>
                <th scope="col" class="wide-only">
                  Root
                </th>
                <th scope="col">Signed</th>
                <th scope="col" class="wide-only">
                  Witnesses
                </th>
                <th scope="col">Anchored</th>
                <th scope="col">
                  <span class="visually-hidden">Note</span>
                </th>
              </tr>
            </thead>
            <tbody>
              <CheckpointRow checkpoint={latest.data.checkpoint} isLatest show={setNote} />
              {found.slice(0, shown - 1).map((checkpoint) => (
                <CheckpointRow key={checkpoint.size} checkpoint={checkpoint} show={setNote} />
              ))}
            </tbody>
          </table>
          {found.length >= shown && (
            <p class="pager">
              <button type="button" class="button" onClick={() => setShown(shown + 5 * SHOWN)}>
                Older
              </button>
            </p>
          )}
        </>
      )}
      <Dialog
        title={`Checkpoint of ${formatCount(note?.size ?? 0)} entries`}
        isOpen={note !== undefined}
        close={() => setNote(undefined)}
      >
        <Body text={note?.note ?? ""} />
        <CopyButton text={note?.note ?? ""} what="the note" label="Copy the note" />
        <p class="fine">
          Keep it where nobody who runs this ledger can change it: whatever is changed later does not fit to
          it any more.
        </p>
      </Dialog>
    </section>
  );
}

function CheckpointRow({
  checkpoint,
  isLatest = false,
  show,
}: {
  checkpoint: Checkpoint;
  isLatest?: boolean;
  show: (checkpoint: Checkpoint) => void;
}) {
  const witnesses = witnessesOf(checkpoint.note);
  const isAnchored = checkpoint.anchored.notAnchoredSince === null;
  return (
    <tr>
      <td class="number-left">
        {formatCount(checkpoint.size)} {isLatest && <span class="badge quiet">latest</span>}
      </td>
      <td class="wide-only">
        <Hash value={checkpoint.root} what="the root" />
      </td>
      <td>
        <Time at={checkpoint.publishedAt} />
      </td>
      <td class="wide-only">
        {witnesses.length === 0 ? <span class="none">none</span> : witnesses.join(", ")}
      </td>
      <td>
        {isAnchored ? (
          <span class="badge good">anchored</span>
        ) : (
          <span class="badge wait">up to {formatCount(checkpoint.anchored.upTo)}</span>
        )}
      </td>
      <td>
        <button type="button" class="link-button" onClick={() => show(checkpoint)}>
          Note<span class="visually-hidden"> of {checkpoint.size}</span>
        </button>
      </td>
    </tr>
  );
}

/** Names that signed a note beside the log itself. They are claims: whoever relies on one checks it with its key. */
export function witnessesOf(note: string): string[] {
  const [origin] = note.split("\n", 1);
  const names = [...note.matchAll(/^\u2014 (\S+) \S+$/gm)].map((match) => match[1] ?? "");
  return [...new Set(names)].filter((name) => name !== origin);
}
