// The supervisor's list of calls: a filter, pages, newest first.
import { computed, signal } from "@preact/signals";
import { api } from "../net/api.ts";
import type { CallRow } from "../types.ts";
import { asError, type Loaded } from "./record.ts";

export interface CallFilter { from: string; to: string; agent: string | null; q: string }

export const NO_FILTER: CallFilter = { from: "", to: "", agent: null, q: "" };
export const filter = signal<CallFilter>(NO_FILTER);
export const calls = signal<Loaded<CallRow[]>>({ kind: "loading" });
export const moreCalls = signal<string | null>(null);

/** Changes of a busy floor within this are read together. */
const REFRESH_MS = 1000;

/** Pages without a call that fits, one after the other; then somebody has to want to look further. */
const LOOKS_MAX = 25;
/** How many of them there were. */
const looks = signal(0);
export const lookedEnough = computed(() => looks.value >= LOOKS_MAX);

/** What the list that is shown was looked through for. */
export const searched = signal("");

let asked = 0;
let refreshing: ReturnType<typeof setTimeout> | undefined;

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
    looks.value = page.calls.length > 0 ? 0 : 1;
    searched.value = filter.value.q;
    calls.value = { kind: "ready", value: page.calls };
    moreCalls.value = page.next;
  } catch (error) {
    if (mine === asked) calls.value = asError(error);
  }
}

let readingMore = -1;

/** The page after those that are shown; `wanted`: by somebody, not by itself. */
export async function loadMoreCalls(wanted = false): Promise<void> {
  const before = moreCalls.value;
  if (before === null || calls.value.kind !== "ready" || readingMore === asked || (lookedEnough.value && !wanted)) return;
  const mine = asked;
  readingMore = mine;
  try {
    const page = await read(before);
    if (mine !== asked || calls.value.kind !== "ready") return;
    looks.value = page.calls.length > 0 ? 0 : wanted ? 1 : looks.value + 1;
    readingMore = -1;
    calls.value = { kind: "ready", value: [...calls.value.value, ...page.calls] };
    moreCalls.value = page.next;
  } catch {
    // Scrolling again asks again.
    readingMore = -1;
  }
}

/** A call changed: the newest page is read again, once for all that changed meanwhile; older pages stay. */
export function refreshCalls(): void {
  if (calls.value.kind !== "ready" || refreshing !== undefined) return;
  refreshing = setTimeout(async () => {
    refreshing = undefined;
    const mine = asked;
    const page = await read(null).catch(() => null);
    if (page === null || mine !== asked || calls.value.kind !== "ready") return;
    const oldest = page.calls.at(-1)?.at ?? 0;
    const again = new Set(page.calls.map((row) => row.interaction));
    calls.value = { kind: "ready", value: [...page.calls, ...calls.value.value.filter((row) => row.at <= oldest && !again.has(row.interaction))] };
  }, REFRESH_MS);
}

export function setFilter(part: Partial<CallFilter>): void {
  filter.value = { ...filter.value, ...part };
  void loadCalls();
}
