// What to do about a batch that the database refused. Only a refusal of the data itself (SQLSTATE classes 22, 23 and 54)
// is worth another try in smaller pieces; anything else is about the database and passes with time.

/** `smaller`: try its entries one by one; `skip`: it is one entry, and that one cannot be stored. */
export type BatchFate = "throw" | "smaller" | "skip";

export function fateOfBatch(cause: unknown, entries: number): BatchFate {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (typeof code !== "string" || !/^(?:22|23|54)[0-9A-Z]{3}$/.test(code)) return "throw";
  return entries > 1 ? "smaller" : "skip";
}
