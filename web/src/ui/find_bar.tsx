// What was looked for in the list of calls, in the words of the call: marked, counted, and gone through by N and P.
import { effect } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { useKeys } from "../state/keys.ts";
import { load, seek } from "../state/player.ts";
import type { Found } from "../words/find.ts";
import { count } from "../words/format.ts";
import type { Line } from "../words/transcript.ts";
import { Kbd } from "./bits.tsx";
import { elementOfLine, reveal } from "./blocks.ts";
import { ChevronDown, ChevronUp } from "./icons.tsx";

/** A link names tenths of seconds. */
const LINK_STEP_MS = 100;

interface Props { root: { current: HTMLElement | null }; places: Found[]; lines: Line[]; came: { value: number }; sought: string; interaction: string; at: number | null }

export function FindBar({ root, places, lines, came, sought, interaction, at }: Props) {
  const first = at === null ? -1 : places.findIndex((place) => place.from_ms > at - LINK_STEP_MS);
  const [current, setCurrent] = useState(first);
  useEffect(() => setCurrent(first), [sought, at]);
  // The words come and go with what is near: they are marked whenever some came.
  useEffect(() => effect(() => {
    void came.value;
    const marked: Element[] = [];
    for (const [index, place] of places.entries()) {
      const line = elementOfLine(root.current, place.line, place.key);
      if (!line || line.classList.contains("block")) continue;
      for (const word of line.querySelectorAll<HTMLElement>(".word[data-index]")) {
        const at = Number(word.dataset["index"]);
        if (at < place.first || at > place.last) continue;
        word.classList.add("found");
        word.classList.toggle("found-now", index === current);
        marked.push(word);
      }
    }
    return () => { for (const word of marked) word.classList.remove("found", "found-now"); };
  }), [places, current]);
  const go = (step: 1 | -1) => {
    const next = (current + step + places.length) % places.length;
    const place = places[next];
    if (!place) return;
    setCurrent(next);
    load(interaction);
    seek(place.from_ms);
    reveal(root.current, lines, place.line);
  };
  useKeys({ n: () => go(1), p: () => go(-1) });
  return (
    <div class="line find-bar" role="group" aria-label="Places found">
      <span class="one">“{sought.trim()}”</span><span class="muted num">{current >= 0 ? `${current + 1} of ${count(places.length, "place")}` : count(places.length, "place")}</span>
      <button type="button" class="btn small" aria-label="Previous place" onClick={() => go(-1)}><ChevronUp size={13} aria-hidden="true" /><Kbd>P</Kbd></button>
      <button type="button" class="btn small" aria-label="Next place" onClick={() => go(1)}><ChevronDown size={13} aria-hidden="true" /><Kbd>N</Kbd></button>
    </div>
  );
}
