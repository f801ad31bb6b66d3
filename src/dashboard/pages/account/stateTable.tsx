// A resource's attributes at a time, as the ledger knows them.

import type { AccountAnswer } from "../../api/types.ts";
import { Icon } from "../../parts/icons.tsx";
import { AttributePath } from "../../parts/value/diff.tsx";
import { withNames } from "../../parts/value/named.ts";
import { Value } from "../../parts/value/text.tsx";

/** What says nothing to people, or stands elsewhere on the page. */
const LEFT_OUT = new Set(["schemas", "meta", "members", "groups"]);

/** The table. */
export function StateTable({
  answer: { state, unknown, uncertain, exists, names, at },
}: {
  answer: AccountAnswer;
}) {
  const attributes = flatten(state ?? {});
  return (
    <>
      {state === null ? (
        <p class="panel-empty">
          <Icon name={exists === "no" ? "cross" : "help"} />
          {exists === "no"
            ? at === null
              ? "It does not exist: it was deleted."
              : "It did not exist at this time: it was not created yet, or deleted before."
            : "The ledger does not know whether it exists at this time."}
        </p>
      ) : attributes.length === 0 ? (
        <p class="panel-empty">No attribute is known.</p>
      ) : (
        <table class="state">
          <tbody>
            {attributes.map(([path, value]) => (
              <tr key={path}>
                <th scope="row">
                  <AttributePath path={path} />
                </th>
                <td>
                  <Value value={withNames(path, value, names)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {unknown.length > 0 && (
        <p class="unknown">
          <Icon name="help" />
          <span>
            {unknown.includes("*")
              ? "What it had before the proxy first saw it is not known."
              : "Not known: "}
            {unknown
              .filter((path) => path !== "*")
              .map((path) => (
                <code key={path}>{path}</code>
              ))}
          </span>
        </p>
      )}
      {uncertain.length > 0 && (
        <p class="unknown">
          <Icon name="warning" />
          <span>
            A change whose outcome nobody knows may have touched:{" "}
            {uncertain.map((path) => (
              <code key={path}>{path}</code>
            ))}
          </span>
        </p>
      )}
    </>
  );
}

/** Sub-attributes and extensions one by one; lists stay whole. */
function flatten(state: Readonly<Record<string, unknown>>, prefix = ""): (readonly [string, unknown])[] {
  return Object.entries(state).flatMap(([name, value]): (readonly [string, unknown])[] => {
    if (prefix === "" && LEFT_OUT.has(name)) return [];
    const isUrn = /^urn:/i.test(name);
    const path = prefix === "" ? name : `${prefix}${/^urn:/i.test(prefix) ? ":" : "."}${name}`;
    const isComplex =
      typeof value === "object" && value !== null && !Array.isArray(value) && !("value" in value);
    if (isComplex && (isUrn || prefix === "" || /^urn:/i.test(prefix)))
      return flatten(value as Readonly<Record<string, unknown>>, path);
    return [[path, value]];
  });
}
