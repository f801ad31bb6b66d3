// The search of a page: one line for words or a filter, which `/` leads to.

import type { ComponentChildren } from "preact";
import { Icon } from "./icons.tsx";

export interface SearchFormProps {
  readonly draft: string;
  readonly onDraft: (draft: string) => void;
  readonly onSubmit: (event: Event) => void;
  readonly placeholder: string;
  /** The input's name, for whoever does not see it. */
  readonly label: string;
  /** What stands between the input and the key's name. */
  readonly children?: ComponentChildren;
}

/** The form; its value is the caller's. */
export function SearchForm({ draft, onDraft, onSubmit, placeholder, label, children }: SearchFormProps) {
  return (
    <search>
      <form class="search" onSubmit={onSubmit}>
        <Icon name="search" />
        <input
          type="text"
          data-search
          inputMode="search"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={draft}
          onInput={(event) => onDraft(event.currentTarget.value)}
          placeholder={placeholder}
          aria-label={label}
        />
        {children}
        <span class="search-key" aria-hidden="true">
          /
        </span>
        <button type="submit" class="button">
          Search
        </button>
      </form>
    </search>
  );
}
