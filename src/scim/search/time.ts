// Times as people write them in a question: RFC 3339 date-times, and plain dates, which mean their midnight in UTC.
// Strict: a day that its month does not have is no time, however a runtime would roll it over.

const TIME =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2})))?$/;

/** Epoch milliseconds, with a fraction of up to three digits (microseconds; finer ones are cut); undefined if it is no time. */
export function parseTime(text: string): number | undefined {
  const found = TIME.exec(text);
  if (!found) return undefined;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", sign, ...offset] = found;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const [offsetHour = 0, offsetMinute = 0] = offset.map((part) => Number(part ?? 0));
  if (offsetHour > 23 || offsetMinute > 59) return undefined;
  const shift = (offsetHour * 60 + offsetMinute) * (sign === "-" ? -60_000 : 60_000);
  const seconds = (Number(hour) * 60 + Number(minute)) * 60 + Number(second);
  const microseconds = Number(fraction.slice(0, 6).padEnd(6, "0"));
  return date.getTime() + seconds * 1_000 - shift + microseconds / 1_000;
}
