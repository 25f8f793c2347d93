// Drafts in the browser's local store: one per agent and call, so that colleagues at one desk never see each other's.
import type { Id } from "../types.ts";

export interface Kept { text: string; version: number; saved: boolean }

const PREFIX = "throughline.draft.";

export function draftKey(agent: Id | null, interaction: Id): string {
  return `${PREFIX}${agent ?? "nobody"}.${interaction}`;
}

export function parseKept(text: string | null): Kept | null {
  try {
    const kept = JSON.parse(text ?? "null") as Partial<Kept> | null;
    return typeof kept?.text === "string" && typeof kept.version === "number" ? { text: kept.text, version: kept.version, saved: kept.saved === true } : null;
  } catch {
    return null;
  }
}

/** At logout: what the server has too need not stay on this machine. */
export function forgetSavedDrafts(): void {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith(PREFIX) && parseKept(localStorage.getItem(key))?.saved !== false) localStorage.removeItem(key);
  }
}
