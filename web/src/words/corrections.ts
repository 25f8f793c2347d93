// What people put right in the words of a call: what is marked, what a selection covers, how much was understood. Pure.
import type { Correction, LegShares, Party, Utterance, Word } from "../types.ts";

/** Where a correction goes, and what was read there. */
export interface Place { leg: string; from_ms: number; to_ms: number; before: string }

/** The correction whose words stand where a word is. */
export function correctionOf(corrections: readonly Correction[], leg: string, word: Word): Correction | null {
  const middle = (word.from_ms + word.to_ms) / 2;
  for (let n = corrections.length - 1; n >= 0; n -= 1) {
    const one = corrections[n] as Correction;
    if (one.state === "stands" && one.leg === leg && one.from_ms <= middle && middle < one.to_ms) return one;
  }
  return null;
}

/** From one word to another of an utterance, or all of one that was not understood; `null` where there is nothing. */
export function placeOf(utterance: Utterance, first: number, last: number): Place | null {
  const { leg, words } = utterance;
  if (words.length === 0) return { leg, from_ms: utterance.from_ms, to_ms: utterance.to_ms, before: "" };
  const part = words.slice(Math.min(first, last), Math.max(first, last) + 1);
  const [a, b] = [part[0], part.at(-1)];
  // A word of no length still has a place.
  return a && b ? { leg, from_ms: a.from_ms, to_ms: Math.max(b.to_ms, a.from_ms + 1), before: part.map((word) => word.text).join(" ") } : null;
}

export function samePlace(a: Place | null, b: Place | null): boolean {
  return a !== null && b !== null && a.leg === b.leg && a.from_ms === b.from_ms && a.to_ms === b.to_ms;
}

/** "94 % understood, 3 % not understood, 2 % lost"; what there is none of is left out. */
export function sharesText(shares: LegShares): string {
  const parts: [number, string][] = [[shares.understood, "understood"], [shares.not_understood, "not understood"], [shares.lost, "lost"], [shares.waiting, "still waiting"]];
  const said = parts.filter(([percent, name]) => percent > 0 || name === "understood");
  return shares.understood + shares.not_understood + shares.lost + shares.waiting === 0 ? "silent throughout" : said.map(([percent, name]) => `${percent} % ${name}`).join(", ");
}

export interface Doubt { party: Party; from_ms: number; to_ms: number; why: string }

/** Confidence under which a whole utterance is worth listening to, percent. */
const UNSURE = 50;

/** Spans that a supervisor should listen to rather than read, by time. */
export function doubts(utterances: readonly Utterance[]): Doubt[] {
  return utterances.flatMap(({ party, from_ms, to_ms, rejected, confidence, words }) => {
    const why = rejected !== null ? REASONS[rejected] ?? rejected : words.length > 0 && confidence < UNSURE ? `${confidence} % sure` : null;
    return why === null ? [] : [{ party, from_ms, to_ms, why }];
  });
}

const REASONS: Record<string, string> = { later: "words follow", echo: "echo of the other side", "struck out": "struck out by a person", unsure: "the model was not sure", "nothing understood": "no word was understood", "too short": "too short for a word", "too quiet": "too quiet for a voice" };
