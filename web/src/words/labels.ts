// What the contract's enums and errors are called on the screen.
import type { AgentState, Brief, CardLabel, CardOutcome, Channel, OfferGone, SegmentKind, Sound, WorkItem, WorkItemKind } from "../types.ts";
import { duration, phone } from "./format.ts";

export const STATE: Record<AgentState, string> = {
  offline: "Offline", ready: "Ready", not_ready: "Not ready", offered: "Call offered", busy: "On a call", wrap_up: "Wrap-up",
};

export const CHANNEL: Record<Channel, string> = {
  phone: "Call", email: "E-mail", chat: "Chat", whatsapp: "WhatsApp", sms: "SMS", web_form: "Web form", social: "Social", self_service: "Self-service",
};

export const CHANNELS: Record<Channel, string> = { ...CHANNEL, phone: "Calls", chat: "Chats", web_form: "Forms" };

export const WORK: Record<WorkItemKind, string> = {
  call: "Call", message: "Message", callback: "Callback", missed_call: "Missed call", promise: "Promise", follow_up: "Follow-up", not_wrapped_up: "Not wrapped up",
};

export const CARD: Record<CardLabel, string> = { reason: "Reason", details: "Details", done: "Done", agreed: "Agreed", open: "Open", outcome: "Outcome" };

export const OUTCOME: Record<CardOutcome, string> = { solved: "Solved", not_solved: "Not solved", unclear: "Unclear" };

export const SEGMENT: Record<SegmentKind, string> = {
  ivr: "menu", queue: "queue", ring: "ring", talk: "talk", hold: "hold", consult: "consult", park: "park", listen: "listening in", whisper: "whisper",
  barge: "barge", voicemail: "voicemail", wrap_up: "wrap-up",
};

export const SOUND: Record<Sound["kind"], string> = { announcement: "announcement", place: "place in the queue", music: "music", closing: "closing words" };

/** Reasons that an agent can give for not being ready. */
export const NOT_READY_REASONS = ["Break", "Lunch", "Meeting", "Training", "Back office"] as const;

/** Why a pop went away. */
export function offerGone(why: OfferGone, by: string | null): string {
  switch (why) {
    case "caller_hung_up": return "The caller hung up. It is in the missed calls.";
    case "answered_elsewhere": return `Answered by ${by ?? "a colleague"}.`;
    case "no_answer": return "Not answered in time. It goes to the next colleague.";
    case "declined": return "Declined. It goes to the next colleague.";
    case "phone_busy": return "Your phone was busy. It goes to the next colleague.";
    case "phone_failed": return "Your phone could not be reached. Check that it is registered.";
  }
}

const CAUSES: Record<string, string> = {
  customer_hung_up: "customer hung up", agent_hung_up: "agent hung up", abandoned: "caller gave up", no_agent: "nobody was ready", declined: "declined",
  busy: "busy", no_answer: "not answered", answered_elsewhere: "answered elsewhere", signalling_lost: "signalling lost", media_lost: "audio lost",
  not_acceptable: "no common codec", unknown_number: "no such number", trunk_failed: "no trunk took it",
  limit: "ended by a limit", crash: "the server stopped", bug: "ended by a fault of ours", shutdown: "server shut down",
  accepted: "accepted", failed: "phone failed", solved: "solved", not_solved: "not solved", unclear: "unclear",
};

/** A snake_case word of the contract in plain words. */
export function plain(word: string): string {
  return CAUSES[word] ?? word.replaceAll("_", " ");
}

/** The one name for a caller. */
export function callerName(brief: Brief): string {
  if (brief.customer) return brief.customer.name;
  if (brief.matched === "several") return brief.number ? phone(brief.number) : "Several customers";
  return brief.display_name ?? (brief.number ? phone(brief.number) : "Number withheld");
}

/** The one line under a caller's name: the probable reason, or what is known. */
export function callerLine(brief: Brief): string {
  switch (brief.matched) {
    case "late": return "Looking up…";
    case "several": return `${brief.candidates.length} customers share this number`;
    case "withheld": return "Withheld: ask for the name";
    case "unknown": return brief.last_contacts.length > 0 ? "Unknown, has contacted us before" : "First contact";
    case "known": return brief.reasons[0]?.text ?? "No open ticket";
  }
}

/** What a work item is, and for a missed call how long the caller waited. */
export function workLine(item: WorkItem): string {
  const waited = item.waited_ms === null ? "" : `, waited ${duration(item.waited_ms)}`;
  const kind = `${WORK[item.kind]}${waited}`;
  const title = item.title.replace(`${WORK[item.kind]}: `, "");
  return title && title !== WORK[item.kind] ? `${kind} · ${title}` : kind;
}

/** Who a work item is about. */
export function workName(item: WorkItem): string {
  return item.customer?.name ?? (item.number ? phone(item.number) : WORK[item.kind]);
}

/** Sentiment −100…100 in one word. */
export function mood(value: number): "positive" | "neutral" | "negative" {
  return value >= 20 ? "positive" : value <= -20 ? "negative" : "neutral";
}

/** Where a row of sentiments is going. */
export function moodTrend(values: number[]): string {
  const first = values[0];
  const last = values[values.length - 1];
  if (first === undefined || last === undefined) return "not known";
  if (values.length < 2 || Math.abs(last - first) < 25) return mood(last) === "neutral" ? "steady" : mood(last);
  return last > first ? "rising" : "falling";
}

/** What made a card, as a reader knows it: "local rules, version 2", "language model llama3.1". */
export function madeBy(method: string): string {
  const [what = "", ...version] = method.split(" ");
  switch (what) {
    case "card-rules": return `local rules, version ${version.join(" ")}`;
    case "card-model": return `language model ${version.join(" ")}`;
    default: return method;
  }
}
