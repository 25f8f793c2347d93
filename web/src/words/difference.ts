// What an edit changed, word by word. Pure.

export interface Part { kind: "same" | "out" | "in"; text: string }

/** Longer lines are shown as one out and one in: the comparison takes their product. */
const WORDS_MAX = 200;

/** From one text to another: the longest words in common stay, the rest goes out or comes in. */
export function difference(from: string, to: string): Part[] {
  const [a, b] = [split(from), split(to)];
  if (a.length > WORDS_MAX || b.length > WORDS_MAX) return join([...a.map(out), ...b.map(into)]);
  // common[i][j]: how many words the tails from i and j have in common.
  const common = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  const at = (i: number, j: number) => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) (common[i] as number[])[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }
  const parts: Part[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { parts.push({ kind: "same", text: a[i] as string }); i += 1; j += 1; }
    else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) { parts.push(out(a[i] as string)); i += 1; }
    else { parts.push(into(b[j] as string)); j += 1; }
  }
  return join(parts);
}

const split = (text: string) => text.split(/\s+/).filter((word) => word !== "");
const out = (text: string): Part => ({ kind: "out", text });
const into = (text: string): Part => ({ kind: "in", text });

/** Neighbours of one kind as one part; where words go out and come in by turns, all that goes out stands first. */
function join(parts: Part[]): Part[] {
  const joined: Part[] = [];
  for (const part of parts) {
    const [before, last] = [joined.at(-2), joined.at(-1)];
    if (last?.kind === part.kind) last.text += ` ${part.text}`;
    else if (part.kind === "out" && last?.kind === "in" && before?.kind === "out") before.text += ` ${part.text}`;
    else joined.push({ ...part });
  }
  return joined;
}
