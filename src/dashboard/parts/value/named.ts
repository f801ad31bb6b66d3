// Names beside ids: members and managers are recorded by their ids alone, which say nothing to people. What the target said
// of somebody itself stays as it is. Pure.

/** Best known names by id. */
export type Names = Readonly<Record<string, string>>;

/** The value of an attribute with the names of the accounts that it names; of any other attribute: as it is. */
export function withNames(path: string, value: unknown, names: Names): unknown {
  if (!/(?:^|:)(?:members|manager)(?:\.value|\[.*\])?$/is.test(path)) return value;
  return Array.isArray(value) ? value.map((item) => named(item, names)) : named(value, names);
}

function named(item: unknown, names: Names): unknown {
  const isComplex = typeof item === "object" && item !== null;
  const id = isComplex && "value" in item ? item.value : item;
  if (typeof id !== "string" || !Object.hasOwn(names, id) || (isComplex && "display" in item)) return item;
  return { display: names[id], ...(isComplex ? item : { value: id }) };
}
