// "Verify in this browser": which key is trusted, one press, and every check with its verdict. A key from the same
// server proves nothing about that server, and the page says so; a pinned one stays in this browser.

import { useState } from "preact/hooks";
import { getJson } from "../../api/client.ts";
import type { ShownEntry, Transaction } from "../../api/types.ts";
import { asApiError } from "../../api/useApi.ts";
import { Icon } from "../../parts/icons.tsx";
import { useSetting } from "../../shell/settings.ts";
import type { Step } from "../../verify/verifyEntry.ts";

interface Verdict {
  readonly label: string;
  readonly seq: number;
  readonly steps: readonly Step[];
}

type Outcome =
  | { readonly kind: "none" }
  | { readonly kind: "busy" }
  | { readonly kind: "failed"; readonly problem: string }
  | {
      readonly kind: "done";
      readonly verdicts: readonly Verdict[];
      readonly by: string;
      readonly tookMs: number;
      readonly isPinned: boolean;
      /** There was no outcome to check. */
      readonly isOpen: boolean;
    };

const NAMES: Readonly<Record<Step["name"], string>> = {
  signature: "Signature of the leaf",
  link: "Link to the entry before",
  checkpoint: "Signed checkpoint",
  inclusion: "Inclusion in the tree",
  contents: "Contents",
  transaction: "Part of this transaction",
};

interface VerifyPanelProps {
  ledger: string;
  /** What the entries are shown as. */
  transaction: Transaction;
  entries: readonly { readonly label: string; readonly entry: ShownEntry }[];
}

/** The panel. */
export function VerifyPanel({ ledger, transaction, entries }: VerifyPanelProps) {
  const [pinned, pin] = useSetting(`key.${ledger}`);
  const [draft, setDraft] = useState(pinned ?? "");
  const [isEditing, setEditing] = useState(pinned === undefined);
  const [outcome, setOutcome] = useState<Outcome>({ kind: "none" });

  const run = async (keyText: string | undefined) => {
    setOutcome({ kind: "busy" });
    const began = performance.now();
    try {
      // The code for it, and its curves, come only when they are used.
      const [{ checkPart, verifyEntry }, { gatherEvidence }, { parsePinned }] = await Promise.all([
        import("../../verify/verifyEntry.ts"),
        import("../../verify/gather.ts"),
        import("../../../verifier/pinned.ts"),
      ]);
      const text =
        keyText ?? JSON.stringify(await getJson(`/ledgers/${encodeURIComponent(ledger)}/jwks.json`));
      const keys = parsePinned(text);
      if (typeof keys === "string") return setOutcome({ kind: "failed", problem: keys });
      let by = "";
      const verdicts: Verdict[] = [];
      for (const { label, entry } of entries) {
        const verified = await verifyEntry(await gatherEvidence(ledger, entry), keys);
        by = verified.by;
        verdicts.push({
          label,
          seq: entry.seq,
          steps: [...verified.steps, checkPart(entry, transaction)],
        });
      }
      if (keyText !== undefined) pin(keyText);
      setEditing(false);
      setOutcome({
        kind: "done",
        verdicts,
        isOpen: transaction.state === "open",
        by,
        tookMs: performance.now() - began,
        isPinned: keyText !== undefined,
      });
    } catch (cause) {
      setOutcome({ kind: "failed", problem: asApiError(cause).message });
    }
  };

  return (
    <section class="panel verify" id="verify" aria-labelledby="verify-title">
      <header class="panel-head">
        <h2 id="verify-title">Verify in this browser</h2>
        {!isEditing && (
          <button type="button" class="link-button" onClick={() => setEditing(true)}>
            Change the key
          </button>
        )}
      </header>
      <div class="panel-body">
        {isEditing ? (
          <form
            class="key-form"
            onSubmit={(event) => {
              event.preventDefault();
              void run(draft);
            }}
          >
            <label class="field">
              <span>The ledger’s public key, from where you keep it: a vkey or a JWK</span>
              <textarea
                rows={2}
                spellcheck={false}
                value={draft}
                onInput={(event) => setDraft(event.currentTarget.value)}
                placeholder="origin+1a2b3c4d+AbCd…"
              />
            </label>
            <div class="buttons">
              <button
                type="submit"
                class="button primary"
                disabled={draft.trim() === "" || outcome.kind === "busy"}
              >
                Pin and verify
              </button>
              <button
                type="button"
                class="button"
                disabled={outcome.kind === "busy"}
                onClick={() => void run(undefined)}
              >
                Use the server’s own key
              </button>
            </div>
            <p class="fine">
              Take it from the copy that was put away when the ledger began, or from the machine itself: by
              default it is <code>keys/{ledger}.genesis.pub.jwk</code> beside the configuration (
              <code>pinnedKeys</code> in it names the file), in the demonstration in <code>.scimseal/</code>,
              which also prints it at its start as “Pinned key”. A key from this same server shows only that
              its answers fit each other: whoever forged them would send his own key too.
            </p>
          </form>
        ) : (
          <button
            type="button"
            class="button primary"
            disabled={outcome.kind === "busy"}
            onClick={() => void run(pinned)}
          >
            <Icon name="check" />
            {pinned === undefined ? "Verify again with the server’s key" : "Verify with the pinned key"}
          </button>
        )}
        <div aria-live="polite">
          <Result outcome={outcome} />
        </div>
      </div>
    </section>
  );
}

/** All of it in a sentence: as good as the worst of its parts. */
function headlineOf({ verdicts, isPinned, isOpen }: Extract<Outcome, { kind: "done" }>): {
  tone: "good" | "wait" | "bad";
  words: string;
} {
  const has = (wanted: Step["verdict"]) =>
    verdicts.some(({ steps }) => steps.some(({ verdict }) => verdict === wanted));
  if (has("bad")) return { tone: "bad", words: "Do not believe this record" };
  if (!isPinned) {
    const words = "Consistent in itself, with the server’s own key: proof of nothing about the server";
    return { tone: "wait", words: has("skipped") ? `${words}; contents not checked` : words };
  }
  // Whether there is an outcome that was kept back cannot be told from here.
  if (isOpen && !has("skipped"))
    return { tone: "wait", words: "Request verified with your pinned key; no outcome was given" };
  // Nothing but contents can be left out while everything else holds.
  return has("skipped")
    ? { tone: "wait", words: "Leaf verified; contents not checked" }
    : { tone: "good", words: "Verified with your pinned key" };
}

function Result({ outcome }: { outcome: Outcome }) {
  switch (outcome.kind) {
    case "none":
      return null;
    case "busy":
      return <p class="fine">Fetching the proof and checking it…</p>;
    case "failed":
      return (
        <p class="form-error">
          <Icon name="warning" />
          {outcome.problem}
        </p>
      );
    case "done": {
      const { tone, words } = headlineOf(outcome);
      return (
        <div class="verdicts">
          <p class={`verdict ${tone}`}>
            <Icon name={tone === "good" ? "check" : tone === "bad" ? "warning" : "clock"} />
            <strong>{words}</strong>
          </p>
          {outcome.verdicts.map(({ label, seq, steps }) => (
            <section key={seq} aria-label={`${label}, entry ${seq}`}>
              <h3>
                {label} <span class="fine">entry #{seq}</span>
              </h3>
              <ol class="steps">
                {steps.map(({ name, verdict, detail }) => (
                  <li key={name} class={verdict}>
                    <Icon name={verdict === "good" ? "check" : verdict === "bad" ? "cross" : "clock"} />
                    <span>
                      <b>{NAMES[name]}</b> <span class="visually-hidden">{verdict}: </span>
                      <span class="detail">{detail}</span>
                    </span>
                  </li>
                ))}
              </ol>
            </section>
          ))}
          <p class="fine">
            Checked here by {outcome.by === "WebCrypto" ? "WebCrypto" : "this page’s own code"} in{" "}
            {Math.round(outcome.tookMs)} ms, fetching included. The name in the head and the table of changes
            are the server’s reading of the record; what was recorded stands in the other tabs.
          </p>
        </div>
      );
    }
  }
}
