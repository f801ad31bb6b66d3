// Old → new per attribute. Multi-valued attributes are compared item by item, matched by `value` as SCIM means it
// (RFC 7643 §2.4), not by position: who came, who went, who changed. What the ledger does not know is called unknown.

import type { AttributeChange } from "../../api/types.ts";
import { diffLists, type ItemChange } from "./listChange.ts";
import { type Names, withNames } from "./named.ts";
import { Value } from "./text.tsx";

/**
 * Shows changes of attributes as a table. `isNew`: there was nothing before, so nothing is said of it; `names`: those of
 * the members and managers in it.
 */
export function Diff({
  changes,
  names = {},
  isNew = false,
}: {
  changes: readonly AttributeChange[];
  names?: Names;
  isNew?: boolean;
}) {
  if (changes.length === 0) return <p class="fine">No attribute changed, as far as the ledger knows.</p>;
  return (
    <table class={isNew ? "diff is-new" : "diff"}>
      <thead>
        <tr>
          <th scope="col">Attribute</th>
          {!isNew && <th scope="col">Before</th>}
          <th scope="col">After</th>
        </tr>
      </thead>
      <tbody>
        {groupItems(changes).map(({ path, items, change }) => (
          <tr key={path}>
            <th scope="row">
              <AttributePath path={path} />
            </th>
            {change ? (
              <Cells change={named(change, names)} isNew={isNew} />
            ) : (
              <ItemCells
                items={items.map((item) => ({ ...item, ...named({ path, ...item }, names) }))}
                isNew={isNew}
              />
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface Group {
  readonly path: string;
  /** Changes of the items of a list. */
  readonly items: ShownItem[];
  /** Or the change of a whole value. */
  readonly change?: AttributeChange;
}

interface ShownItem extends ItemChange {
  readonly isCertain: boolean;
}

/** `members[value eq "…"]` of the same list belong together: one line of the table, one line in it for each. */
function groupItems(changes: readonly AttributeChange[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const change of changes) {
    const { old, new: now, oldKnown, newKnown } = change;
    const list = /^(.+)\[\w+ eq .*\]$/s.exec(change.path)?.[1];
    if (list !== undefined) {
      const group = groups.get(list) ?? { path: list, items: [] };
      groups.set(list, group);
      const kind = old === null ? "added" : now === null ? "removed" : "changed";
      const isCertain = (oldKnown || kind === "added") && newKnown;
      const named = /\[\w+ eq "(.*)"\]$/s.exec(change.path)?.[1];
      group.items.push(
        old === null && now === null
          ? { kind: "removed", old: named ?? change.path, isCertain: false }
          : { kind, old, new: now, isCertain },
      );
    } else if (oldKnown && newKnown && (Array.isArray(old) || Array.isArray(now))) {
      const { changes: items } = diffLists(listOf(old), listOf(now));
      groups.set(change.path, {
        path: change.path,
        items: items.map((item) => ({ ...item, isCertain: true })),
      });
    } else groups.set(change.path, { path: change.path, items: [], change });
  }
  return [...groups.values()];
}

function named<Change extends { readonly path: string; readonly old?: unknown; readonly new?: unknown }>(
  change: Change,
  names: Names,
): Change {
  const { path, old, new: now } = change;
  return { ...change, old: withNames(path, old, names), new: withNames(path, now, names) };
}

const SIGNS = { added: "+", removed: "−", changed: "~" } as const;

function ItemCells({ items, isNew }: { items: readonly ShownItem[]; isNew: boolean }) {
  return (
    <td colSpan={isNew ? 1 : 2}>
      <ul class="item-changes">
        {items.map((item, index) => (
          <li key={index} class={item.kind}>
            <span class="sign" aria-hidden="true">
              {SIGNS[item.kind]}
            </span>
            <div>
              <span class="visually-hidden">{item.kind}: </span>
              {item.kind === "changed" && (
                <>
                  <span class="was">
                    <Value value={item.old} />
                  </span>
                  {" → "}
                </>
              )}
              <Value value={item.kind === "removed" ? item.old : item.new} />
              {!item.isCertain && <span class="badge wait">not certain</span>}
            </div>
          </li>
        ))}
      </ul>
    </td>
  );
}

function Cells({
  change: { old, new: now, oldKnown, newKnown },
  isNew,
}: {
  change: AttributeChange;
  isNew: boolean;
}) {
  return (
    <>
      {!isNew && (
        <td class="was">{oldKnown ? <Value value={old} /> : <span class="none">not known</span>}</td>
      )}
      <td class="now">
        {now === null ? (
          <span class="none">{newKnown ? "removed" : "not known"}</span>
        ) : (
          <Value value={now} />
        )}
        {now !== null && !newKnown && <span class="badge wait">not certain</span>}
      </td>
    </>
  );
}

/** A path of an attribute; a long schema URN stands small above the name. */
export function AttributePath({ path }: { path: string }) {
  const match = /^(urn:.*):([^:]+)$/i.exec(path);
  if (!match) return <code>{path}</code>;
  return (
    <>
      <code>{match[2]}</code>
      <span class="urn" title={match[1]}>
        {match[1]}
      </span>
    </>
  );
}

function listOf(value: unknown): readonly unknown[] {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}
