// What was heard so far in a call that is on: by audio time, never by arrival. Pure.
import type { LiveUtterance } from "../types.ts";

/** Utterances kept of one call: four hours of brisk talk. Older ones are in the recording. */
export const KEPT_MAX = 10_000;
/** Lag over this is said. */
export const LAG_SHOWN_MS = 3000;
/** Reason of what nobody had time for. */
export const LATER = "later";
/** Reason of what one side's microphone heard of the other: not worth a line while somebody talks. */
const ECHO = "echo";
/** What was refused before any model heard it: sounds, but nobody's words. */
const SOUNDS: Record<string, string> = { "too short": "short sound", "too quiet": "faint sound", "key tones": "key tones", "tones or music": "tones or music" };

/** Whether it was refused before any model heard it: nobody said it. */
export function isSound(rejected: string | null): boolean {
  return rejected !== null && rejected in SOUNDS;
}

export function keyOf(utterance: Pick<LiveUtterance, "leg" | "from_ms">): string {
  return `${utterance.leg}/${utterance.from_ms}`;
}

/** A partial gives way to what is done, and "later" to words; never the other way, whatever comes first. */
function weight(utterance: LiveUtterance): number {
  return utterance.partial ? 0 : utterance.rejected === LATER ? 1 : 2;
}

function before(a: LiveUtterance, b: LiveUtterance): boolean {
  return a.from_ms < b.from_ms || (a.from_ms === b.from_ms && a.leg < b.leg);
}

function placeOf(list: readonly LiveUtterance[], utterance: LiveUtterance): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (before(list[middle] as LiveUtterance, utterance)) low = middle + 1;
    else high = middle;
  }
  return low;
}

export interface Merged {
  list: readonly LiveUtterance[];
  /** Those that are done and were not before, for a reader who listens. */
  finished: LiveUtterance[];
  /** How many lines are new. */
  added: number;
}

/** Puts utterances where they were said; one with a known key takes its place. The same list where nothing changed. */
export function merge(list: readonly LiveUtterance[], incoming: readonly LiveUtterance[]): Merged {
  const next = [...list];
  const finished: LiveUtterance[] = [];
  let added = 0;
  let changed = false;
  for (const utterance of incoming) {
    const at = placeOf(next, utterance);
    const there = next[at];
    const known = there !== undefined && keyOf(there) === keyOf(utterance);
    if (known && weight(utterance) < weight(there)) continue;
    if (known && same(there, utterance)) continue;
    changed = true;
    if (!utterance.partial && !(known && weight(there) === 2)) finished.push(utterance);
    if (known) next[at] = utterance;
    else {
      next.splice(at, 0, utterance);
      added += 1;
    }
  }
  if (!changed) return { list, finished: [], added: 0 };
  return { list: next.length > KEPT_MAX ? next.slice(next.length - KEPT_MAX) : next, finished, added };
}

function same(a: LiveUtterance, b: LiveUtterance): boolean {
  return a.partial === b.partial && a.rejected === b.rejected && a.to_ms === b.to_ms && a.words.length === b.words.length
    && a.words.every((word, index) => word.text === b.words[index]?.text && word.from_ms === b.words[index]?.from_ms);
}

export interface LiveLine { key: string; utterance: LiveUtterance; /** Whether the speaker changes here. */ speaker: boolean }

/** As shown: without echoes and empty partials, the speaker named where it changes. */
export function liveLines(list: readonly LiveUtterance[]): LiveLine[] {
  const lines: LiveLine[] = [];
  for (const utterance of list) {
    if (utterance.rejected === ECHO || isSound(utterance.rejected) || (utterance.partial && utterance.words.length === 0)) continue;
    lines.push({ key: keyOf(utterance), utterance, speaker: lines.at(-1)?.utterance.leg !== utterance.leg });
  }
  return lines;
}

/** "words 4 s behind", or nothing while they keep up. */
export function lagText(lagMs: number): string | null {
  return lagMs > LAG_SHOWN_MS ? `words ${Math.round(lagMs / 1000)} s behind` : null;
}

/** What a line without words says; `playable` once the call is over. */
export function wordless(rejected: string | null, ms: number, playable: boolean): string {
  if (rejected === LATER) return "words follow after the call";
  return `${(rejected !== null && SOUNDS[rejected]) || "not understood"} · ${(ms / 1000).toFixed(1)} s${playable ? " · listen" : ""}`;
}

/** One finished utterance for the ear. */
export function aloud(utterance: LiveUtterance, name: string): string {
  return `${name}: ${utterance.rejected === null ? utterance.words.map((word) => word.text).join(" ") : utterance.rejected === LATER ? "words follow after the call" : "not understood"}`;
}
