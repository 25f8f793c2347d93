// The word that is chosen in a transcript, and the one that is being put right.
import { signal } from "@preact/signals";
import { api, ApiError } from "../net/api.ts";
import type { Correction, Id, Transcript } from "../types.ts";
import type { Place } from "../words/corrections.ts";
import { hint } from "./hint.ts";
import { reloadInteraction } from "./record.ts";

export interface Editing {
  interaction: Id;
  revision: number;
  place: Place;
  text: string;
  saving: boolean;
  problem: string | null;
  /** Somebody else's words at the same place. */
  other: { text: string; correction: Correction | null } | null;
}

export const editing = signal<Editing | null>(null);

export function startEdit(interaction: Id, transcript: Transcript, place: Place): void {
  if (transcript.revision === null) return;
  editing.value = { interaction, revision: transcript.revision, place, text: place.before, saving: false, problem: null, other: null };
}

export function type(text: string): void {
  if (editing.value) editing.value = { ...editing.value, text, problem: null };
}

export function leaveEdit(): void {
  editing.value = null;
}

/** Sends what was typed; nothing new is nothing to send. Somebody else's words at the place are shown beside. */
export async function saveEdit(): Promise<void> {
  const now = editing.value;
  if (!now || now.saving) return;
  const after = now.text.trim().replace(/\s+/g, " ");
  if (after === now.place.before) return leaveEdit();
  editing.value = { ...now, saving: true, problem: null };
  try {
    await api.correct(now.interaction, { revision: now.revision, ...now.place, after });
    leaveEdit();
    reloadInteraction(now.interaction);
  } catch (error) {
    if (editing.value === null) return;
    const other = error instanceof ApiError && error.status === 409 ? (error.current as Editing["other"]) : null;
    editing.value = { ...editing.value, saving: false, other, problem: other ? null : error instanceof Error ? error.message : "Not saved." };
  }
}

/** Writes over what the other wrote, having seen it. */
export async function overwrite(): Promise<void> {
  const now = editing.value;
  if (!now?.other) return;
  editing.value = { ...now, place: { ...now.place, before: now.other.text }, other: null };
  await saveEdit();
}

/** Leaves the other's words as they are, and shows them. */
export function keepTheirs(): void {
  const now = editing.value;
  leaveEdit();
  if (now) reloadInteraction(now.interaction);
}

export async function takeBack(interaction: Id, correction: Id): Promise<void> {
  try {
    await api.takeBack(interaction, correction);
  } catch (error) {
    hint(error instanceof Error ? error.message : "Not taken back.");
  }
  reloadInteraction(interaction);
}
