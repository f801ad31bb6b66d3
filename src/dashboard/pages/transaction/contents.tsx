// What an entry commits to and does not contain: bodies and facts, with what was taken out before storing; the changes
// that a request asks for; and a Bulk's operations with what became of each.

import type { ShownEntry } from "../../api/types.ts";
import { Icon } from "../../parts/icons.tsx";
import { Action, Effects } from "../../parts/outcome.tsx";
import { formatCount } from "../../parts/time.tsx";
import { AttributePath } from "../../parts/value/diff.tsx";
import { type Names, withNames } from "../../parts/value/named.ts";
import { Body, Foreign, Value } from "../../parts/value/text.tsx";
import { Link } from "../../routing/location.tsx";
import { formatAccount } from "../../routing/route.ts";
import { at, contentOf, refsOf, textAt } from "./leafMembers.ts";
import type { BulkOperation } from "./operations.ts";

/** One attachment as it was stored. */
export function Contents({ shown, name }: { shown: ShownEntry; name: "body" | "facts" }) {
  const ref = refsOf(shown).find((one) => one.name === name);
  if (!ref) return <p class="fine">This entry has no {name}: there was none to record.</p>;
  const text = contentOf(shown, name);
  return (
    <>
      <p class="fine contents-head">
        {ref.mediaType} · {formatCount(ref.size)} bytes, as recorded
        {(ref.redacted ?? []).length > 0 && (
          <>
            {" · taken out before storing: "}
            {(ref.redacted ?? []).map((place) => (
              <mark key={place} class="redacted">
                {place}
              </mark>
            ))}
          </>
        )}
      </p>
      {text === undefined ? (
        <p class="panel-empty">Not given: it is sealed or was shredded. The leaf still commits to it.</p>
      ) : (
        <Body text={text} />
      )}
    </>
  );
}

interface Asked {
  readonly op: string;
  readonly path: string;
  readonly value: unknown;
}

/** What the request asks for, from its body. `isDone`: it came to be; `names`: of members and managers. */
export function RequestedChanges({
  request,
  names,
  isOnly,
  isDone,
}: {
  request: ShownEntry | null;
  names: Names;
  isOnly: boolean;
  isDone: boolean;
}) {
  const asked = request ? readAsked(contentOf(request, "body")) : [];
  if (asked.length === 0) {
    if (!isOnly) return null;
    return (
      <p class="fine">The request has no body that says what to change, or it cannot be read as SCIM.</p>
    );
  }
  const table = (
    <table class={isDone ? "diff asked" : "diff asked not-done"}>
      <thead>
        <tr>
          <th scope="col">Attribute</th>
          <th scope="col">How</th>
          <th scope="col">Value</th>
        </tr>
      </thead>
      <tbody>
        {asked.map(({ op, path, value }, index) => (
          <tr key={index}>
            <th scope="row">
              {path === "" ? <span class="none">whole resource</span> : <AttributePath path={path} />}
            </th>
            <td>{op.toLowerCase()}</td>
            <td>
              <Value value={withNames(path, value, names)} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
  if (isOnly) return table;
  return (
    <details class="asked-for">
      <summary>
        <Icon name="chevron" /> What the request asked for
      </summary>
      {table}
    </details>
  );
}

/** The changes of a PATCH (RFC 7644 §3.5.2), a path-less value attribute by attribute; or a resource's attributes. */
function readAsked(text: string | undefined): readonly Asked[] {
  let body: unknown;
  try {
    body = JSON.parse(text ?? "null");
  } catch {
    // Not JSON: the raw tab shows it as it is.
    return [];
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) return [];
  const operations = Object.entries(body).find(([name]) => name.toLowerCase() === "operations")?.[1];
  if (!Array.isArray(operations)) return attributesOf("set", body);
  return operations.flatMap((operation: unknown) => {
    const op = textAt(operation, "op") ?? "?";
    const path = textAt(operation, "path");
    const value = at(operation, "value");
    const isMap = path === undefined && typeof value === "object" && value !== null && !Array.isArray(value);
    return isMap ? attributesOf(op, value) : [{ op, path: path ?? "", value }];
  });
}

function attributesOf(op: string, value: object): readonly Asked[] {
  return Object.entries(value)
    .filter(([name]) => name !== "schemas" && name !== "meta")
    .map(([path, one]) => ({ op, path, value: one }));
}

/** A Bulk's operations. `names`: of what they are about, by type and id; `connector`: whose accounts these are. */
export function OperationList({
  operations,
  names,
  connector,
}: {
  operations: readonly BulkOperation[];
  names: Names;
  connector: string;
}) {
  // Whose `/Me` is, is a user (RFC 7644 §3.11).
  const nameOf = (type: string, id: string): string | undefined =>
    names[`${type === "Me" ? "User" : type}/${id}`];
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col" class="number">
            #
          </th>
          <th scope="col">Change</th>
          <th scope="col">Of</th>
          <th scope="col" class="wide-only">
            Attributes
          </th>
          <th scope="col">Status</th>
        </tr>
      </thead>
      <tbody>
        {operations.map(({ index, action, effects, paths, resourceType, id = "", status, verdict }) => (
          <tr key={index}>
            <td class="number">{index}</td>
            <td>
              <Action action={action} verdict={verdict} />{" "}
              <Effects action={action} effects={effects} verdict={verdict} />
            </td>
            <td>
              <span class="type">{resourceType}</span>{" "}
              {id !== "" && (
                <span class="object-value">
                  <Link to={formatAccount(resourceType, id, connector)}>
                    <Foreign text={nameOf(resourceType, id) ?? id} />
                  </Link>
                  {nameOf(resourceType, id) !== undefined && <code class="fine">{id}</code>}
                </span>
              )}
            </td>
            <td class="wide-only">{paths.length > 0 && <code>{paths.join(", ")}</code>}</td>
            <td>
              {status === undefined ? (
                <span class="badge wait">not said</span>
              ) : (
                <span class={`badge ${status < 400 ? "good" : "bad"}`}>{status}</span>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
