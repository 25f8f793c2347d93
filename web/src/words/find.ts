// Looking for words in what was said: by their beginnings, whatever stands between them, as the server does in the list of calls. Pure.
import type { Line } from "./transcript.ts";

/** Letters under which everything would be found. */
const LETTERS_MIN = 3;

/** Lower case; what is neither letter nor digit is one blank, none at the ends. */
export function plainText(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}\p{M}]+/gu, " ").trim();
}

/** Whether something typed is looked for in the words; a number, or a letter or two, is not. */
export function soughtIn(typed: string): string | null {
  const sought = plainText(typed);
  return sought.split(" ").some((word) => [...word].length >= LETTERS_MIN) ? sought : null;
}

/** One place: the line, and its words from `first` to `last`. */
export interface Found { line: number; key: string; first: number; last: number; from_ms: number }

/** The last of the words, from `at` on, that the text reaches; `null` where they don't begin with it. */
function reach(words: readonly string[], at: number, sought: string): number | null {
  let said = "";
  for (let n = at; n < words.length; n += 1) {
    const word = words[n] ?? "";
    if (word === "") continue;
    said = said === "" ? word : `${said} ${word}`;
    if (said.length >= sought.length) return said.startsWith(sought) ? n : null;
    if (!sought.startsWith(said)) return null;
  }
  return null;
}

function placesIn(forms: readonly string[], sought: string): { first: number; last: number }[] {
  const places: { first: number; last: number }[] = [];
  for (let at = 0; at < forms.length; at += 1) {
    const last = forms[at] === "" ? null : reach(forms, at, sought);
    if (last === null) continue;
    places.push({ first: at, last });
    at = last;
  }
  return places;
}

/** Every place in a transcript where it was said, by time. */
export function found(lines: readonly Line[], typed: string): Found[] {
  const sought = soughtIn(typed);
  if (sought === null) return [];
  return lines.flatMap((line, index) => {
    if (line.kind !== "say") return [];
    const { words } = line.utterance;
    return placesIn(words.map((word) => plainText(word.text)), sought).map(({ first, last }) => ({ line: index, key: line.key, first, last, from_ms: words[first]?.from_ms ?? line.at }));
  });
}

/** A text in parts, those that were looked for marked. */
export function marked(text: string, typed: string): { text: string; found: boolean }[] {
  const sought = soughtIn(typed);
  if (sought === null) return [{ text, found: false }];
  const words = text.split(" ");
  const parts: { text: string; found: boolean }[] = [];
  let at = 0;
  for (const { first, last } of placesIn(words.map(plainText), sought)) {
    if (first > at) parts.push({ text: `${words.slice(at, first).join(" ")} `, found: false });
    parts.push({ text: words.slice(first, last + 1).join(" "), found: true });
    at = last + 1;
    if (at < words.length) parts.push({ text: " ", found: false });
  }
  if (at < words.length) parts.push({ text: words.slice(at).join(" "), found: false });
  return parts;
}
