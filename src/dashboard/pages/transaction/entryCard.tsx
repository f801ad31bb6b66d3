// What one entry of a transaction claims, as facts in the order in which people ask.

import type { ComponentChildren } from "preact";
import type { ShownEntry } from "../../api/types.ts";
import { Hash } from "../../parts/copy.tsx";
import { OutcomeBadge } from "../../parts/outcome.tsx";
import { formatDuration, Time } from "../../parts/time.tsx";
import { Foreign } from "../../parts/value/text.tsx";
import { at, textAt } from "./leafMembers.ts";

/** The card. `isDone`: what it asks for came to be, all of it. */
export function EntryCard({ title, shown, isDone }: { title: string; shown: ShownEntry; isDone: boolean }) {
  const { entry } = shown;
  const effects = at(entry, "scim", "effects");
  const paths = at(entry, "scim", "paths");
  const outcome = textAt(entry, "outcome");
  const status = at(entry, "status");
  const replied = at(entry, "replied");
  const duration = at(entry, "durationMs");
  const facts: (readonly [string, ComponentChildren])[] = [];
  const add = (name: string, shown: ComponentChildren) => facts.push([name, shown]);
  const http = textAt(entry, "http", "method");
  if (http) {
    add(
      "Request",
      <code class="request-line">
        {http} <Foreign text={textAt(entry, "http", "path") ?? ""} />
      </code>,
    );
  }
  const refusal = textAt(entry, "refusal", "code");
  if (refusal) {
    add(
      "Refused",
      <>
        <span class="badge bad">{textAt(entry, "refusal", "status")}</span> <code>{refusal}</code>
      </>,
    );
  }
  if (textAt(entry, "actor", "client"))
    add("Client", `${textAt(entry, "actor", "client")}, by ${textAt(entry, "actor", "method") ?? "?"}`);
  if (Array.isArray(effects) && effects.length > 0)
    add(isDone ? "Effects" : "Asked for", effects.map(String).join(", "));
  if (Array.isArray(paths) && paths.length > 0)
    add(
      "Attributes",
      <span class="paths">
        {paths.map((path) => (
          <code key={String(path)}>{String(path)}</code>
        ))}
      </span>,
    );
  if (outcome !== undefined) {
    const number = (value: unknown) => (typeof value === "number" ? value : null);
    add(
      "Outcome",
      <>
        {outcome.replaceAll("_", " ")}{" "}
        <OutcomeBadge outcome={outcome} status={number(status)} replied={number(replied)} />
      </>,
    );
    if (replied !== undefined && replied !== status) add("Replied", String(replied));
    if (textAt(entry, "reason")) add("Reason", <code>{textAt(entry, "reason")}</code>);
    if (typeof duration === "number") add("Took", formatDuration(duration));
    if (textAt(entry, "version")) add("Version", <code>{textAt(entry, "version")}</code>);
  }
  const retryOf = textAt(entry, "retryOf");
  if (retryOf) add("Retry of", <Hash value={retryOf} what="the earlier transaction" keep={8} />);
  const unparsed = at(entry, "scim", "unparsed");
  if (Array.isArray(unparsed)) add("Not understood", unparsed.map(String).join(", "));
  return (
    <section class="panel entry-card" aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        <span class="fine">entry #{shown.seq}</span>
      </header>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        <div>
          <dt>Recorded</dt>
          <dd>
            <Time at={textAt(entry, "time") ?? ""} form="full" />
          </dd>
        </div>
        <div>
          <dt>Leaf hash</dt>
          <dd>
            <Hash value={shown.leafHash} what="the leaf hash" />
            {!shown.intact && <span class="badge bad">does not fit the leaf</span>}
          </dd>
        </div>
      </dl>
    </section>
  );
}
