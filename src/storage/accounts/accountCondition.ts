// A checked query as SQL over accounts: their names, ids, types and connectors. Whatever came from outside is a parameter.
// Leaves out what only transactions have; asking for it is an error with its place.

import { FilterError, type Query, type Test } from "../../scim/search/query.ts";
import { type AccountSet, likePattern, type Parameters } from "../search/searchSql.ts";

/** The condition on a row of `account a`. @throws {FilterError} */
export function accountCondition(
  schema: string,
  query: Query,
  accountsOf: ReadonlyMap<Test, AccountSet>,
  parameters: Parameters,
): string {
  switch (query.kind) {
    case "and":
    case "or": {
      const terms = query.terms.map((term) => accountCondition(schema, term, accountsOf, parameters));
      return `(${terms.join(query.kind === "and" ? " AND " : " OR ")})`;
    }
    case "not":
      return `NOT ${accountCondition(schema, query.term, accountsOf, parameters)}`;
    case "test":
      return testCondition(schema, query, accountsOf.get(query), parameters);
  }
}

const COLUMNS: ReadonlyMap<string, string> = new Map([
  ["connector", "a.connector"],
  ["resourceType", "a.type"],
]);

function testCondition(
  schema: string,
  test: Test,
  found: AccountSet | undefined,
  parameters: Parameters,
): string {
  const { attribute, operator, value, position } = test;
  const { kind, name, names } = attribute;
  if (kind === "name" && operator === "pr") {
    const which = names === undefined ? "" : ` AND n.attribute = ANY(${parameters.add(names, "text[]")})`;
    return `EXISTS (SELECT FROM ${schema}.account_name n WHERE n.account = a.id${which})`;
  }
  if (kind === "id" && operator === "pr") return "true";
  if ((kind === "name" || kind === "id") && found) {
    const isIn = `a.id = ANY(${parameters.add(found.ids, "bigint[]")})`;
    return operator === "ne" ? `NOT (${isIn})` : `(${isIn})`;
  }
  const column = COLUMNS.get(name);
  if (column === undefined) {
    const detail = `an account has no ${name}: use userName, displayName, email, externalId, name, id, resourceType or connector`;
    throw new FilterError(position, detail);
  }
  if (operator === "pr") return "true";
  const text = String(value).toLowerCase();
  if (operator === "eq" || operator === "ne")
    return `(lower(${column}) ${operator === "eq" ? "=" : "<>"} ${parameters.add(text, "text")})`;
  if (operator !== "co" && operator !== "sw" && operator !== "ew")
    throw new FilterError(position, `${name} has no order: use eq, ne, co, sw or ew`);
  return `(lower(${column}) LIKE ${parameters.add(likePattern(operator, text), "text")})`;
}
