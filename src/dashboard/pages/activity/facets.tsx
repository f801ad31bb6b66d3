// How the matches divide: counts a value, and a click adds the value to the filter or takes it out again. Beside the
// rows on a wide screen, in a sheet on a narrow one.

import { useState } from "preact/hooks";
import type { FacetCount, Facets } from "../../api/types.ts";
import { useApi } from "../../api/useApi.ts";
import { chosenValues, toggleValue } from "../../filter/conjuncts.ts";
import { Dialog } from "../../parts/dialog.tsx";
import { Icon } from "../../parts/icons.tsx";
import { Skeleton } from "../../parts/states.tsx";
import { useMedia } from "../../parts/table/rows.tsx";
import { formatCount } from "../../parts/time.tsx";
import { ask, type Question } from "./activity.tsx";

const LABELS: readonly (readonly [attribute: string, label: string])[] = [
  ["connector", "Connector"],
  ["outcome", "Outcome"],
  ["action", "Action"],
  ["effect", "Effect"],
  ["resourceType", "Of"],
  ["client", "Client"],
  ["status", "Status"],
];
/** Attributes that a filter compares with numbers. */
const NUMBERS = new Set(["status"]);
/** More than these are shown only when asked for. */
const FEW = 6;

interface FacetPanelProps {
  ledger: string | undefined;
  question: Question;
  /** Rows that the live tail brought: counted again when there are more. */
  changes: number;
}

/** The facets. */
export function FacetPanel({ ledger, question, changes }: FacetPanelProps) {
  const isNarrow = useMedia("(max-width: 1100px)");
  const [isOpen, setOpen] = useState(false);
  const { filter, text } = question;
  const { data: given, error } = useApi<Facets>(
    ledger && "/audit/v1/facets",
    { ledger, filter, text },
    changes > 0 ? 10_000 : undefined,
  );
  // Counts of the question before stay until the next come, but not those of another ledger.
  const data = given?.ledger === ledger ? given : undefined;
  if (error && !data) return isNarrow ? null : <div />;
  const list = data ? <FacetList data={data} filter={filter} /> : <Skeleton rows={10} label="Counting" />;
  if (!isNarrow)
    return (
      <aside class="facets" aria-label="Narrow down">
        {list}
      </aside>
    );
  return (
    <>
      <button type="button" class="button open-facets" onClick={() => setOpen(true)}>
        <Icon name="filter" /> Narrow down
      </button>
      <Dialog title="Narrow down" kind="sheet" isOpen={isOpen} close={() => setOpen(false)}>
        {list}
      </Dialog>
    </>
  );
}

function FacetList({ data, filter }: { data: Facets; filter: string }) {
  return (
    <>
      {LABELS.map(([attribute, label]) => (
        <Facet
          key={attribute}
          attribute={attribute}
          label={label}
          counts={data.facets[attribute] ?? []}
          filter={filter}
        />
      ))}
      {data.isCapped && <p class="fine">Counted over the newest {formatCount(data.counted)} matches.</p>}
    </>
  );
}

function Facet({
  attribute,
  label,
  counts,
  filter,
}: {
  attribute: string;
  label: string;
  counts: readonly FacetCount[];
  filter: string;
}) {
  const [isWhole, setWhole] = useState(false);
  const chosen = new Set(chosenValues(filter, attribute));
  // What was chosen stays in sight though nothing matches it any more.
  const known = new Set(counts.map(({ value }) => String(value)));
  const all = [
    ...counts,
    ...[...chosen].filter((value) => !known.has(value)).map((value) => ({ value, count: 0 })),
  ];
  if (all.length === 0) return null;
  const shown = isWhole ? all : all.filter(({ value }, index) => index < FEW || chosen.has(String(value)));
  return (
    <fieldset class="facet">
      <legend>{label}</legend>
      {shown.map(({ value, count }) => {
        const isChosen = chosen.has(String(value));
        return (
          <button
            key={value}
            type="button"
            class="facet-value"
            aria-pressed={isChosen}
            onClick={() =>
              ask({ filter: toggleValue(filter, attribute, NUMBERS.has(attribute) ? Number(value) : value) })
            }
          >
            <span class="facet-name">
              <bdi>{String(value)}</bdi>
            </span>
            <span class="number">{formatCount(count)}</span>
          </button>
        );
      })}
      {all.length > FEW && (
        <button type="button" class="link-button" onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Fewer" : `${all.length - FEW} more`}
        </button>
      )}
    </fieldset>
  );
}
