// A note while it is being typed: kept locally after 300 ms, on the server after 2 s, and never overwritten.
import { signal } from "@preact/signals";
import { api, ApiError } from "../net/api.ts";
import type { Id } from "../types.ts";
import { draftKey, parseKept, type Kept } from "./kept_drafts.ts";
import { me } from "./session.ts";

const LOCAL_AFTER_MS = 300;
const SERVER_AFTER_MS = 2000;
const RETRY_AFTER_MS = 5000;

export type DraftStatus = "empty" | "typing" | "local" | "saved" | "conflict";

export class Draft {
  readonly interaction: Id;
  readonly text = signal("");
  readonly status = signal<DraftStatus>("empty");
  /** The other text of a conflict, beside mine. */
  readonly other = signal<string | null>(null);
  #version = 0;
  #touched = false;
  #local: ReturnType<typeof setTimeout> | undefined;
  #server: ReturnType<typeof setTimeout> | undefined;
  #saving = false;
  #done = false;

  constructor(interaction: Id) {
    this.interaction = interaction;
    const kept = this.#read();
    if (!kept) return;
    this.text.value = kept.text;
    this.#version = kept.version;
    this.#touched = kept.text !== "";
    this.status.value = kept.saved ? "saved" : "local";
    if (!kept.saved) this.#schedule(SERVER_AFTER_MS);
  }

  /** The server's copy arrived: it fills an untouched draft only. */
  fromServer(draft: { text: string; version: number } | null): void {
    if (!draft || draft.version <= this.#version) return;
    if (this.#touched) return;
    this.text.value = draft.text;
    this.#version = draft.version;
    this.status.value = draft.text === "" ? "empty" : "saved";
  }

  type(text: string): void {
    this.#touched = true;
    this.text.value = text;
    if (this.status.value !== "conflict") this.status.value = "typing";
    clearTimeout(this.#local);
    this.#local = setTimeout(() => this.#keep(false), LOCAL_AFTER_MS);
    this.#schedule(SERVER_AFTER_MS);
  }

  /** Ends a conflict with the text that the agent chose. */
  resolve(text: string): void {
    this.other.value = null;
    this.status.value = "typing";
    this.type(text);
  }

  /** The call is wrapped up: nothing is left to save. */
  finish(): void {
    this.#done = true;
    clearTimeout(this.#local);
    clearTimeout(this.#server);
    localStorage.removeItem(this.#key());
  }

  /** Keeps what is typed at once, as when the page goes away. */
  flush(): void {
    if (!this.#done && this.status.value === "typing") this.#keep(false);
  }

  #schedule(after: number): void {
    if (this.#server !== undefined || this.#done) return;
    this.#server = setTimeout(() => {
      this.#server = undefined;
      void this.#save();
    }, after);
  }

  async #save(): Promise<void> {
    if (this.#saving || this.#done || this.status.value === "conflict") return;
    const text = this.text.value;
    this.#saving = true;
    try {
      this.#version = (await api.saveDraft(this.interaction, text, this.#version)).version;
      if (this.#done) return;
      if (this.text.value === text) this.#keep(true);
      else this.#schedule(SERVER_AFTER_MS);
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) this.#conflict(error.current);
      else if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500 || error.status === 401) this.#schedule(RETRY_AFTER_MS);
    } finally {
      this.#saving = false;
    }
  }

  #conflict(current: unknown): void {
    const other = current as { text?: unknown; version?: unknown } | string | null;
    const text = typeof other === "string" ? other : typeof other?.text === "string" ? other.text : "";
    if (typeof other === "object" && typeof other?.version === "number") this.#version = other.version;
    if (text === this.text.value || text === "") return this.#schedule(0);
    this.other.value = text;
    this.status.value = "conflict";
    this.#keep(false);
  }

  #keep(saved: boolean): void {
    const kept: Kept = { text: this.text.value, version: this.#version, saved };
    try {
      localStorage.setItem(this.#key(), JSON.stringify(kept));
    } catch {
      // A full or forbidden local store leaves the server's copy.
    }
    if (this.status.value !== "conflict") this.status.value = this.text.value === "" ? "empty" : saved ? "saved" : "local";
  }

  #read(): Kept | null {
    return parseKept(localStorage.getItem(this.#key()));
  }

  #key(): string {
    return draftKey(me()?.agent ?? null, this.interaction);
  }
}

const drafts = new Map<Id, Draft>();

export function draftOf(interaction: Id): Draft {
  let draft = drafts.get(interaction);
  if (!draft) {
    draft = new Draft(interaction);
    drafts.set(interaction, draft);
  }
  return draft;
}

export function startDrafts(): void {
  addEventListener("pagehide", () => drafts.forEach((draft) => draft.flush()));
}
