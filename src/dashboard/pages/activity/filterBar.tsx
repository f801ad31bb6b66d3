// The search: words, or a SCIM filter; and the parts of the filter in force, each with a way to take it out.

import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "../../api/client.ts";
import { looksLikeFilter, splitConjuncts, withoutConjunct } from "../../filter/conjuncts.ts";
import { Icon } from "../../parts/icons.tsx";
import { SearchForm } from "../../parts/searchForm.tsx";
import { Foreign } from "../../parts/value/text.tsx";
import { ask, type Question } from "./activity.tsx";

/** The bar. */
export function FilterBar({ question: { filter, text } }: { question: Question }) {
  const [draft, setDraft] = useState(text);
  // The address may change from elsewhere: a saved view, the way back.
  useEffect(() => setDraft(text), [text]);
  const isFilter = looksLikeFilter(draft);
  const submit = (event: Event) => {
    event.preventDefault();
    const wanted = draft.trim();
    if (!isFilter) return ask({ text: wanted });
    const both = filter === "" ? wanted : `${filter} and ${splitConjuncts(wanted).join(" and ")}`;
    setDraft("");
    ask({ filter: both, text: "" });
  };
  const parts = splitConjuncts(filter);
  return (
    <div class="filter-bar">
      <SearchForm
        draft={draft}
        onDraft={setDraft}
        onSubmit={submit}
        placeholder="A name, address or id, or a filter: effect eq &quot;deactivate&quot;"
        label="Search: words, or a SCIM filter"
      >
        {draft !== "" && (
          <span class={`search-kind${isFilter ? " is-filter" : ""}`}>{isFilter ? "filter" : "words"}</span>
        )}
        {draft !== "" && (
          <button
            type="button"
            class="icon-button small"
            aria-label="Clear the words"
            onClick={() => {
              setDraft("");
              ask({ text: "" });
            }}
          >
            <Icon name="cross" />
          </button>
        )}
      </SearchForm>
      {parts.length > 0 && (
        <ul class="chips" aria-label="Filter in force">
          {parts.map((part, index) => (
            <li key={part} class="chip">
              <code>
                <Foreign text={part} />
              </code>
              <button
                type="button"
                class="chip-off"
                aria-label={`Remove ${part}`}
                onClick={() => ask({ filter: withoutConjunct(filter, index) })}
              >
                <Icon name="cross" />
              </button>
            </li>
          ))}
          <li>
            <button type="button" class="link-button" onClick={() => ask({ filter: "", text: "" })}>
              Clear all
            </button>
          </li>
        </ul>
      )}
    </div>
  );
}

/** What is wrong with the filter, with the place marked if the answer names one. */
export function FilterError({ error, filter }: { error: ApiError; filter: string }) {
  // The first character is 1, as the answer counts.
  const position = Number(/at character (\d+)/.exec(error.message)?.[1] ?? Number.NaN) - 1;
  return (
    <div class="banner bad" role="alert">
      <Icon name="warning" />
      <div>
        <p>{error.message}</p>
        {position >= 0 && position <= filter.length && (
          <p>
            <code class="filter-text">
              {filter.slice(0, position)}
              <mark class="here">{filter.slice(position, position + 1) || " "}</mark>
              {filter.slice(position + 1)}
            </code>
          </p>
        )}
        <button type="button" class="button small" onClick={() => ask({ filter: "" })}>
          Clear the filter
        </button>
      </div>
    </div>
  );
}
