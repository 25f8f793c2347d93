// The wrap-up form of one call: what the agent chose so far. Suggestions fill it only where nobody has typed.
import { signal } from "@preact/signals";
import type { Id, InteractionPage } from "../types.ts";

export interface PromiseRow { key: number; text: string; due: number | null; keep: boolean }

export class WrapUpForm {
  readonly disposition = signal<string | null>(null);
  readonly solved = signal(false);
  readonly promises = signal<PromiseRow[]>([]);
  readonly problem = signal<string | null>(null);
  readonly saving = signal(false);
  #touchedSolved = false;
  #touchedPromises = false;
  #keys = 0;

  choose(disposition: string): void {
    this.disposition.value = disposition;
    this.problem.value = null;
  }

  setSolved(solved: boolean): void {
    this.#touchedSolved = true;
    this.solved.value = solved;
  }

  setPromises(rows: PromiseRow[]): void {
    this.#touchedPromises = true;
    this.promises.value = rows;
  }

  addPromise(due: number): number {
    const key = ++this.#keys;
    this.setPromises([...this.promises.value, { key, text: "", due, keep: true }]);
    return key;
  }

  /** Takes the suggestions that arrived with the card. */
  suggest(page: Pick<InteractionPage, "card" | "suggested_promises">): void {
    // With a promise open the matter is not over, however glad the customer was.
    if (!this.#touchedSolved && page.card) this.solved.value = page.card.outcome === "solved" && page.suggested_promises.length === 0;
    if (!this.#touchedPromises && this.promises.value.length === 0 && page.suggested_promises.length > 0) {
      this.promises.value = page.suggested_promises.map((heard) => ({ key: ++this.#keys, text: heard.text, due: heard.due, keep: true }));
    }
  }
}

const forms = new Map<Id, WrapUpForm>();

export function wrapUpOf(interaction: Id): WrapUpForm {
  let form = forms.get(interaction);
  if (!form) {
    form = new WrapUpForm();
    forms.set(interaction, form);
  }
  return form;
}

export function forgetWrapUp(interaction: Id): void {
  forms.delete(interaction);
}
