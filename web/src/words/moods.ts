// Turns with a mood, as many as a strip can show. Pure.
import type { Utterance } from "../types.ts";

/** Dots that stand side by side on the strip without lying on each other. */
export const DOTS = 24;

/** The strongest turn of each stretch of the call; all of them in a short one. */
export function strongest<U extends Pick<Utterance, "from_ms" | "sentiment">>(turns: readonly U[], lengthMs: number, dots = DOTS): U[] {
  const best = new Map<number, U>();
  for (const turn of turns) {
    const at = Math.min(dots - 1, Math.floor((turn.from_ms / Math.max(1, lengthMs)) * dots));
    const there = best.get(at);
    if (!there || Math.abs(turn.sentiment ?? 0) > Math.abs(there.sentiment ?? 0)) best.set(at, turn);
  }
  return [...best.values()].sort((a, b) => a.from_ms - b.from_ms);
}
