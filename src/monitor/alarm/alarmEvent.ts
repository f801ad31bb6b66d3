// Alarms as event entries of the ledger (docs/FORMAT.md, "Event entries"). A leaf can never be erased, so it holds the
// code and the place of a finding and not its detail, which may quote what somebody wrote into the database. Reading is
// total: an event of another shape is none of ours.

/** The members of `event` in an entry. */
export type AlarmEvent =
  | { name: "alarm-raised"; alarm: string; code: string; at?: number }
  | { name: "alarm-acknowledged"; alarm: string; code: string; at?: number; by: string };

interface Raised {
  id: string;
  code: string;
  seq?: number;
}

/** The event that raises an alarm. */
export function formatRaised(alarm: Raised): AlarmEvent {
  return { name: "alarm-raised", ...membersOf(alarm) };
}

/** The event that acknowledges an alarm; `by` is where from, never a person's name. */
export function formatAcknowledged(alarm: Raised, by: string): AlarmEvent {
  return { name: "alarm-acknowledged", ...membersOf(alarm), by };
}

/** Reads an entry's `event`; undefined if it is not about an alarm. Only for events of verified entries. */
export function parseAlarmEvent(event: Readonly<Record<string, unknown>>): AlarmEvent | undefined {
  const { name, alarm, code, at, by } = event;
  if (typeof alarm !== "string" || typeof code !== "string") return undefined;
  if (at !== undefined && !Number.isSafeInteger(at)) return undefined;
  const members = { alarm, code, ...(at === undefined ? {} : { at: Number(at) }) };
  if (name === "alarm-raised") return { name, ...members };
  if (name === "alarm-acknowledged") return { name, ...members, by: typeof by === "string" ? by : "" };
  return undefined;
}

/** Which alarms are open after these events, in ledger order. */
export function openAlarms(events: Iterable<AlarmEvent>): Extract<AlarmEvent, { name: "alarm-raised" }>[] {
  const open = new Map<string, Extract<AlarmEvent, { name: "alarm-raised" }>>();
  for (const event of events) {
    if (event.name === "alarm-raised") open.set(event.alarm, event);
    else open.delete(event.alarm);
  }
  return [...open.values()];
}

function membersOf({ id, code, seq }: Raised): { alarm: string; code: string; at?: number } {
  return { alarm: id, code, ...(seq === undefined ? {} : { at: seq }) };
}
