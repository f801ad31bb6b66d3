// What can be done with the view: order, live tail with pause, saved views, and the same rows as CSV, NDJSON or a link.

import { useState } from "preact/hooks";
import { urlOf } from "../../api/client.ts";
import type { LiveState } from "../../api/live.ts";
import { CopyButton } from "../../parts/copy.tsx";
import { Icon } from "../../parts/icons.tsx";
import { navigate } from "../../routing/location.tsx";
import { readSetting, useSetting } from "../../shell/settings.ts";
import { ask, type Question } from "./activity.tsx";

const LIVE_WORDS: Readonly<Record<LiveState, string>> = {
  off: "Paused",
  connecting: "Connecting…",
  live: "Live",
  interrupted: "Interrupted, trying again",
};

interface ToolbarProps {
  question: Question;
  ledger: string | undefined;
  isPaused: boolean;
  setPaused: (isPaused: boolean) => void;
  /** Undefined: this view has no tail. */
  live: LiveState | undefined;
}

/** The bar. */
export function Toolbar({ question, ledger, isPaused, setPaused, live }: ToolbarProps) {
  const { filter, text, order } = question;
  const query = { ledger, filter, text, order };
  return (
    <div class="toolbar">
      <fieldset class="segments" aria-label="Order">
        {(["newest", "oldest"] as const).map((one) => (
          <button
            key={one}
            type="button"
            class="segment"
            aria-pressed={order === one}
            onClick={() => ask({ order: one })}
          >
            {one === "newest" ? "Newest" : "Oldest"}
          </button>
        ))}
      </fieldset>
      {live !== undefined && (
        <button
          type="button"
          class={`button tail ${isPaused ? "off" : live}`}
          aria-pressed={!isPaused}
          onClick={() => setPaused(!isPaused)}
        >
          <Icon name={isPaused ? "play" : "pause"} />
          <span class="live-dot" />
          {isPaused ? "Paused" : LIVE_WORDS[live]}
        </button>
      )}
      <SavedViews question={question} />
      <span class="spread" />
      <a class="button" href={urlOf("/audit/v1/transactions.csv", query)} download>
        <Icon name="download" /> CSV
      </a>
      <a class="button" href={urlOf("/audit/v1/transactions.ndjson", query)} download>
        <Icon name="download" /> NDJSON
      </a>
      <CopyButton text={location.href} what="a link to this view" label="Link" />
    </div>
  );
}

interface View {
  readonly name: string;
  readonly search: string;
}

const SUGGESTED: readonly View[] = [
  {
    name: "Leavers",
    search: `filter=${encodeURIComponent('(effect eq "deactivate" or effect eq "delete")')}`,
  },
  {
    name: "Joiners",
    search: `filter=${encodeURIComponent('action eq "create" and resourceType eq "User"')}`,
  },
  { name: "Failures", search: `filter=${encodeURIComponent('(outcome ne "answered" or status ge 400)')}` },
  { name: "Group changes", search: `filter=${encodeURIComponent('resourceType eq "Group"')}` },
];

/** Views kept in this browser. */
function SavedViews({ question }: { question: Question }) {
  const [stored, store] = useSetting("views");
  const [name, setName] = useState("");
  const saved = parseViews(stored);
  const current = new URLSearchParams(
    Object.entries(question).filter(
      ([key, value]) => value !== "" && !(key === "order" && value === "newest"),
    ),
  ).toString();
  const save = (event: Event) => {
    event.preventDefault();
    if (name.trim() === "") return;
    const rest = parseViews(readSetting("views")).filter((view) => view.name !== name.trim());
    store(JSON.stringify([...rest, { name: name.trim(), search: current }]));
    setName("");
  };
  return (
    <details
      class="menu"
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.currentTarget.open = false;
        event.currentTarget.querySelector("summary")?.focus();
      }}
      onFocusOut={(event) => {
        const to = event.relatedTarget;
        if (to instanceof Node && !event.currentTarget.contains(to)) event.currentTarget.open = false;
      }}
    >
      <summary class="button">
        <Icon name="star" /> Views
      </summary>
      <div class="menu-body">
        {[...SUGGESTED, ...saved].map((view, index) => (
          <div key={`${index} ${view.name}`} class="menu-line">
            <button
              type="button"
              class="menu-item"
              onClick={(event) => {
                navigate(`/activity?${view.search}`);
                event.currentTarget.closest("details")?.removeAttribute("open");
              }}
            >
              <bdi>{view.name}</bdi>
            </button>
            {index >= SUGGESTED.length && (
              <>
                <CopyButton
                  text={`${location.origin}/activity?${view.search}`}
                  what={`the link of ${view.name}`}
                />
                <button
                  type="button"
                  class="icon-button small"
                  aria-label={`Forget ${view.name}`}
                  onClick={() => store(JSON.stringify(saved.filter((one) => one !== view)))}
                >
                  <Icon name="cross" />
                </button>
              </>
            )}
          </div>
        ))}
        <form class="menu-form" onSubmit={save}>
          <input
            type="text"
            value={name}
            maxLength={60}
            placeholder="Save this view as…"
            aria-label="Name for this view"
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <button type="submit" class="button" disabled={name.trim() === ""}>
            Save
          </button>
        </form>
      </div>
    </details>
  );
}

/** Reads what was kept; anything else there is nothing. */
function parseViews(text: string | undefined): readonly View[] {
  if (!text) return [];
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return [];
    return value.filter(
      (one: unknown): one is View =>
        typeof one === "object" &&
        one !== null &&
        "name" in one &&
        typeof one.name === "string" &&
        "search" in one &&
        typeof one.search === "string",
    );
  } catch {
    // Not ours, or damaged: the next save writes it anew.
    return [];
  }
}
