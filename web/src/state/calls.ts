// The supervisor's list of calls: a filter, pages, newest first.
import { signal } from "@preact/signals";
import { api } from "../net/api.ts";
import type { CallRow } from "../types.ts";
import { asError, type Loaded } from "./record.ts";

export interface CallFilter { from: string; to: string; agent: string | null; q: string }

export const NO_FILTER: CallFilter = { from: "", to: "", agent: null, q: "" };
export const filter = signal<CallFilter>(NO_FILTER);
export const calls = signal<Loaded<CallRow[]>>({ kind: "loading" });
export const moreCalls = signal<string | null>(null);

let asked = 0;

/** The beginning of a day that an `<input type="date">` names, plus `days`. */
export function dayStart(text: string, days = 0): number | null {
  const [year, month, day] = text.split("-").map(Number);
  return year && month && day ? new Date(year, month - 1, day + days).getTime() : null;
}

async function read(before: string | null) {
  const { from, to, agent, q } = filter.value;
  // "To" a day means to its end.
  return api.calls({ from: dayStart(from), to: dayStart(to, 1), agent, q: q.trim(), before });
}

export async function loadCalls(): Promise<void> {
  const mine = ++asked;
  try {
    const page = await read(null);
    if (mine !== asked) return;
    calls.value = { kind: "ready", value: page.calls };
    moreCalls.value = page.next;
  } catch (error) {
    if (mine === asked) calls.value = asError(error);
  }
}

export async function loadMoreCalls(): Promise<void> {
  const before = moreCalls.value;
  if (before === null || calls.value.kind !== "ready") return;
  moreCalls.value = null;
  const mine = asked;
  try {
    const page = await read(before);
    if (mine !== asked || calls.value.kind !== "ready") return;
    calls.value = { kind: "ready", value: [...calls.value.value, ...page.calls] };
    moreCalls.value = page.next;
  } catch {
    moreCalls.value = before;
  }
}

export function setFilter(part: Partial<CallFilter>): void {
  filter.value = { ...filter.value, ...part };
  void loadCalls();
}
