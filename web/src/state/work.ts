// The agent's own work items, next due first.
import { signal } from "@preact/signals";
import { api, ApiError } from "../net/api.ts";
import type { WorkItem } from "../types.ts";

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
