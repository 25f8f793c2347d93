// The timeline as rows: entries with a heading wherever the day changes. Pure.
import type { Channel, Id, TimelineEntry } from "../types.ts";
import { calendarDays } from "./format.ts";

export type Row = { kind: "day"; key: string; at: number } | { kind: "entry"; key: string; entry: TimelineEntry };

/** Everything before: without the call that is on now, which the agent is in. */
export function entriesBefore(entries: TimelineEntry[], now: Id | null): TimelineEntry[] {
  return now === null ? entries : entries.filter((entry) => entry.interaction !== now);
}

export function timelineRowsOf(entries: TimelineEntry[], channel: Channel | null): Row[] {
  const rows: Row[] = [];
  let before: number | null = null;
  for (const entry of entries) {
    if (channel !== null && entry.channel !== channel) continue;
    if (before === null || calendarDays(entry.at, before) !== 0) rows.push({ kind: "day", key: `day/${entry.interaction}`, at: entry.at });
    rows.push({ kind: "entry", key: entry.interaction, entry });
    before = entry.at;
  }
  return rows;
}
