// The agent's own work items, next due first.
import { signal } from "@preact/signals";
import { api, ApiError } from "../net/api.ts";
import type { Id, WorkItem } from "../types.ts";
import { Refresher } from "../words/refresher.ts";

export const work = signal<{ kind: "loading" } | { kind: "ready"; items: WorkItem[] } | { kind: "error"; why: string }>({ kind: "loading" });

let asked = 0;

export async function loadWork(): Promise<void> {
  const mine = ++asked;
  try {
    const items = await api.workItems();
    if (mine === asked) work.value = { kind: "ready", items };
  } catch (error) {
    // What is shown stays until there is something newer.
    if (mine === asked && work.value.kind !== "ready") work.value = { kind: "error", why: error instanceof ApiError ? error.message : "Your work could not be read." };
  }
}

const refresher = new Refresher(loadWork);
/** Calls that were before the agent: what follows from the last ones is the agent's own. */
const recent: Id[] = [];
const RECENT = 4;

/** Names a call that is before the agent now. */
export function ownCall(interaction: Id | undefined): void {
  if (interaction === undefined || recent.includes(interaction)) return;
  recent.push(interaction);
  if (recent.length > RECENT) recent.shift();
}

/** Contacts changed somewhere in the house: what touches the agent's own is read soon, the rest together and seldom. */
export function workChanged(changes: readonly { interaction: Id }[]): void {
  const items = work.value.kind === "ready" ? work.value.items : [];
  const mine = changes.some(({ interaction }) => recent.includes(interaction) || items.some((item) => item.interaction === interaction));
  if (mine) refresher.own();
  else refresher.others();
}
