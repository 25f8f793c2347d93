// Whether a growing list is read at its end or somewhere above. Pure: places are arguments.

/** `unseen`: lines that came while the reader was above. */
export type Follow = { kind: "following" } | { kind: "reading"; unseen: number };

export const FOLLOWING: Follow = { kind: "following" };
/** So near to the end is at the end, px. */
export const AT_END_PX = 24;

export interface Place { top: number; height: number; view: number }

/** The reader, or the list itself, moved from `before`. Only upward leaves the end: a list that grows does not. */
export function scrolled(state: Follow, before: number, now: Place): Follow {
  if (now.height - now.view - now.top <= AT_END_PX) return FOLLOWING;
  if (state.kind === "following") return now.top < before - 1 ? { kind: "reading", unseen: 0 } : state;
  return state;
}

/** Lines came. */
export function arrived(state: Follow, lines: number): Follow {
  return state.kind === "following" || lines === 0 ? state : { kind: "reading", unseen: state.unseen + lines };
}

/** What the button says. */
export function jumpLabel(state: Follow): string | null {
  if (state.kind === "following") return null;
  return state.unseen === 0 ? "Jump to live" : `Jump to live · ${state.unseen} new`;
}
