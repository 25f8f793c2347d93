// The words of calls that are on: a snapshot when one is opened or the connection is back, then what comes.
import { signal } from "@preact/signals";
import { api } from "../net/api.ts";
import type { Id, LiveUtterance, LiveWords } from "../types.ts";
import { merge } from "../words/live_words.ts";

/** Calls kept: the agent's own, and those a supervisor looked at last. */
const KEPT = 4;
/** Sentences kept for a reader who listens. */
const ALOUD = 5;

export class LiveTranscript {
  readonly interaction: Id;
  readonly utterances = signal<readonly LiveUtterance[]>([]);
  readonly lagMs = signal(0);
  /** Why there are no words at all, in one sentence. */
  readonly trouble = signal<string | null>(null);
  readonly state = signal<"loading" | "ready" | "unreachable">("loading");
  /** What was finished last, once each: nothing of a snapshot, no partial word. */
  readonly aloud = signal<readonly LiveUtterance[]>([]);
  /** Lines added so far, for a reader who is above. */
  readonly added = signal(0);
  #asked = 0;

  constructor(interaction: Id) {
    this.interaction = interaction;
  }

  /** Reads what was heard so far; what came meanwhile stays. */
  async snapshot(): Promise<void> {
    const mine = ++this.#asked;
    try {
      const { utterances, lag_ms, trouble } = await api.liveWords(this.interaction);
      if (mine !== this.#asked) return;
      this.#take(utterances, lag_ms, false);
      this.trouble.value = trouble ?? null;
      this.state.value = "ready";
    } catch {
      if (mine === this.#asked && this.state.value === "loading") this.state.value = "unreachable";
    }
  }

  take(words: LiveWords): void {
    this.trouble.value = null;
    this.#take(words.utterances, words.lag_ms, true);
  }

  #take(utterances: readonly LiveUtterance[], lagMs: number, aloud: boolean): void {
    const { list, finished, added } = merge(this.utterances.value, utterances);
    this.utterances.value = list;
    this.lagMs.value = lagMs;
    this.added.value += added;
    if (aloud && finished.length > 0) this.aloud.value = [...this.aloud.value, ...finished].slice(-ALOUD);
  }
}

const transcripts = new Map<Id, LiveTranscript>();

/** The words of a call; the first to ask makes it be read. */
export function liveWordsOf(interaction: Id): LiveTranscript {
  let transcript = transcripts.get(interaction);
  if (!transcript) {
    transcript = new LiveTranscript(interaction);
    void transcript.snapshot();
  }
  transcripts.delete(interaction);
  transcripts.set(interaction, transcript);
  const oldest = transcripts.keys().next().value;
  if (transcripts.size > KEPT && oldest !== undefined) transcripts.delete(oldest);
  return transcript;
}

export function onLiveWords(words: LiveWords): void {
  transcripts.get(words.interaction)?.take(words);
}

/** The connection is back: what was missed is read. */
export function refreshLiveWords(): void {
  for (const transcript of transcripts.values()) void transcript.snapshot();
}
