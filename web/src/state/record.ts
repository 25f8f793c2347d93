// What was read from the record, kept while it may be looked at again: timelines by whose, interactions by id.
import { signal, type Signal } from "@preact/signals";
import { api, ApiError } from "../net/api.ts";
import type { CustomerPage, Disposition, Id, InteractionPage, TimelineEntry } from "../types.ts";

export type Loaded<T> = { kind: "loading" } | { kind: "ready"; value: T } | { kind: "error"; status: number; why: string };

const FIRST_PAGE = 50;
const NEXT_PAGE = 200;
/** Stores kept per kind: what an agent goes back to within a shift's hour. */
const KEPT = 24;

export function asError(error: unknown): { kind: "error"; status: number; why: string } {
  return { kind: "error", status: error instanceof ApiError ? error.status : 0, why: error instanceof Error ? error.message : "This could not be read." };
}

function keep<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) value = make();
  map.delete(key);
  map.set(key, value);
  const oldest = map.keys().next().value;
  if (map.size > KEPT && oldest !== undefined) map.delete(oldest);
  return value;
}

/** Whose timeline. */
export interface Subject { of: "customers" | "identities"; id: Id }

export class Timeline {
  readonly subject: Subject;
  readonly entries = signal<TimelineEntry[]>([]);
  readonly state = signal<Loaded<{ complete: boolean }>>({ kind: "loading" });
  readonly loadingMore = signal(false);
  /** Where the reader was. */
  scroll = 0;
  #next: string | null = null;
  #started = false;

  constructor(subject: Subject) {
    this.subject = subject;
  }

  /** Reads the first page, once; called when the frame with the brief has been painted, which goes first. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.reload();
  }

  /** Reads the newest page again and keeps older ones that are there. */
  async reload(): Promise<void> {
    try {
      const page = await api.timeline(this.subject.of, this.subject.id, null, FIRST_PAGE);
      const fresh = new Set(page.entries.map((entry) => entry.interaction));
      const older = this.entries.value.filter((entry) => !fresh.has(entry.interaction));
      if (older.length === 0) this.#next = page.next;
      this.entries.value = [...page.entries, ...older];
      this.state.value = { kind: "ready", value: { complete: this.#next === null } };
    } catch (error) {
      if (this.state.value.kind !== "ready") this.state.value = asError(error);
    }
  }

  async more(): Promise<void> {
    if (this.#next === null || this.loadingMore.value || this.state.value.kind !== "ready") return;
    this.loadingMore.value = true;
    try {
      const page = await api.timeline(this.subject.of, this.subject.id, this.#next, NEXT_PAGE);
      const known = new Set(this.entries.value.map((entry) => entry.interaction));
      this.#next = page.next;
      this.entries.value = [...this.entries.value, ...page.entries.filter((entry) => !known.has(entry.interaction))];
      this.state.value = { kind: "ready", value: { complete: page.next === null } };
    } catch {
      // Scrolling again asks again.
    } finally {
      this.loadingMore.value = false;
    }
  }
}

const timelines = new Map<string, Timeline>();
const interactions = new Map<string, Signal<Loaded<InteractionPage>>>();
const customers = new Map<string, Signal<Loaded<CustomerPage>>>();

export function timelineOf(subject: Subject): Timeline {
  return keep(timelines, `${subject.of}/${subject.id}`, () => new Timeline(subject));
}

function reader<T>(map: Map<string, Signal<Loaded<T>>>, key: Id, read: (key: Id) => Promise<T>): Signal<Loaded<T>> {
  return keep(map, key, () => {
    const slot = signal<Loaded<T>>({ kind: "loading" });
    void fill(slot, () => read(key));
    return slot;
  });
}

/** How often each slot was asked for. */
const asked = new WeakMap<object, number>();

/** Answers may overtake each other: only that to the newest question counts. */
async function fill<T>(slot: Signal<Loaded<T>>, read: () => Promise<T>): Promise<void> {
  const mine = (asked.get(slot) ?? 0) + 1;
  asked.set(slot, mine);
  try {
    const value = await read();
    if (asked.get(slot) === mine) slot.value = { kind: "ready", value };
  } catch (error) {
    if (asked.get(slot) === mine && slot.value.kind !== "ready") slot.value = asError(error);
  }
}

export const interactionOf = (interaction: Id): Signal<Loaded<InteractionPage>> => reader(interactions, interaction, api.interaction);
export const customerOf = (customer: Id): Signal<Loaded<CustomerPage>> => reader(customers, customer, api.customer);

/** Reads an interaction again, whether or not it was shown before. */
export function reloadInteraction(interaction: Id): void {
  void fill(interactionOf(interaction), () => api.interaction(interaction));
}

/** Something of an interaction changed: what is being shown of it is read again. */
export function refreshInteraction(interaction: Id, customer: Id | null): void {
  if (interactions.has(interaction)) reloadInteraction(interaction);
  for (const timeline of timelines.values()) {
    const touched = timeline.entries.value.some((entry) => entry.interaction === interaction);
    if (touched || timeline.subject.id === customer) void timeline.reload();
  }
  const slot = customer === null ? undefined : customers.get(customer);
  if (slot && customer !== null) void fill(slot, () => api.customer(customer));
}

export const dispositions = signal<Disposition[]>([]);

/** Why there are none: without them nobody can finish. */
export const dispositionsTrouble = signal<string | null>(null);

export async function loadDispositions(): Promise<void> {
  if (dispositions.value.length > 0) return;
  try {
    dispositions.value = await api.dispositions();
    dispositionsTrouble.value = null;
  } catch (error) {
    dispositionsTrouble.value = asError(error).why;
  }
}
