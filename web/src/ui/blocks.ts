// Where a line of a transcript is in the document: transcripts are drawn in blocks of lines.
import type { Line } from "../words/transcript.ts";

/** Lines of a block: less than a screen, so that few words come with a step. */
export const BLOCK = 8;
/** Blocks on the way become words as they come near: the place is looked for again in so many frames. */
const FRAMES_MAX = 4;

type Root = HTMLElement | null;

/** A line, or its block where that has no words yet. */
export function elementOfLine(root: Root, line: number, key: string): Element | null {
  const block = root?.children[Math.floor(line / BLOCK)] ?? null;
  return [...(block?.children ?? [])].find((one) => one.getAttribute("data-key") === key) ?? block;
}

/** Brings a line to the middle of what is seen. */
export function reveal(root: Root, lines: readonly Line[], line: number): void {
  const key = lines[line]?.key;
  if (key === undefined) return;
  let frames = 0;
  const step = () => {
    const element = elementOfLine(root, line, key);
    element?.scrollIntoView({ block: "center" });
    frames += 1;
    if (frames < FRAMES_MAX && element?.classList.contains("block")) requestAnimationFrame(step);
  };
  step();
}
