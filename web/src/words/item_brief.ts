// The brief of a work item that is opened without a call: the same frame, filled from the record. Pure.
import type { Brief, Chip, CustomerPage, TimelineEntry, WorkItem } from "../types.ts";
import { count, due } from "./format.ts";
import { WORK } from "./labels.ts";

const THIRTY_DAYS_MS = 30 * 24 * 3_600_000;

export function briefOfItem(item: WorkItem, page: CustomerPage | null, entries: TimelineEntry[], now: number): Brief {
  return {
    number: item.number ?? page?.identities.find((identity) => identity.kind === "phone" && identity.until === null)?.value ?? null,
    country: null, display_name: null, identity: null,
    matched: item.customer ? "known" : "unknown",
    customer: page?.customer ?? item.customer, candidates: [],
    reasons: [{ text: item.title || WORK[item.kind], because: `${WORK[item.kind].toLowerCase()}${item.due === null ? "" : `, due ${due(item.due, now).text}`}`, score: 0, interaction: item.interaction, ticket: null }],
    chips: page ? chips(page) : [],
    last_contacts: entries.slice(0, 3).map(({ interaction, channel, at, title, outcome }) => ({ interaction, channel, at, title, outcome })),
    contacts_30_days: entries.filter((entry) => now - entry.at < THIRTY_DAYS_MS).length,
    sentiment: entries.flatMap((entry) => (entry.sentiment === null ? [] : [entry.sentiment])).slice(0, 5).reverse(),
  };
}

function chips(page: CustomerPage): Chip[] {
  const open = page.tickets.filter((ticket) => ticket.state !== "solved").length;
  return open > 0 ? [{ kind: "open_tickets", text: count(open, "open ticket") }] : [];
}
