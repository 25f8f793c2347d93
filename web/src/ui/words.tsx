// A transcript: one column with a speaker gutter. A click on a word plays from just before it; the word that sounds is marked.
import { effect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { loaded, playFrom, playing, position } from "../state/player.ts";
import type { InteractionPage, Utterance } from "../types.ts";
import { duration } from "../words/format.ts";
import { wordless } from "../words/live_words.ts";
import { takenOut, transcriptLines, wordAt, type Line } from "../words/transcript.ts";

/** Confidence under which a word is drawn as doubtful, percent. */
export const DOUBTFUL = 50;
/** Scrolling by hand stops following for this long. */
const FOLLOW_AGAIN_MS = 4000;

export function Words({ page, follow = false }: { page: InteractionPage; follow?: boolean }) {
  const root = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => transcriptLines(page), [page]);
  const names = useMemo(() => speakerNames(page), [page]);
  useFollow(root, page, follow);
  const onClick = (event: MouseEvent) => {
    const from = (event.target as HTMLElement).closest<HTMLElement>("[data-from]")?.dataset["from"];
    if (from !== undefined && !getSelection()?.toString()) playFrom(page.interaction, Number(from));
  };
  return (
    <div class="words" ref={root} onClick={onClick}>
      {lines.map((line) => <WordsLine key={line.key} line={line} names={names} />)}
    </div>
  );
}

function WordsLine({ line, names }: { line: Line; names: Record<"customer" | "agent", string> }) {
  if (line.kind === "mark") return <div class="mark"><span>{line.text}</span></div>;
  const { utterance } = line;
  return (
    <div class={`say ${utterance.party}`}>
      <button type="button" class="at num" data-from={utterance.from_ms} aria-label={`Play from ${duration(utterance.from_ms)}`}>{duration(utterance.from_ms)}</button>
      <div class="what">
        {line.speaker && <div class="speaker">{names[utterance.party]}</div>}
        <p>{utterance.rejected === null ? <Spoken utterance={utterance} /> : <NotUnderstood utterance={utterance} />}</p>
      </div>
    </div>
  );
}

function Spoken({ utterance }: { utterance: Utterance }) {
  return (
    <>
      {utterance.words.map((word, index) => (
        <>
          {takenOut(word.text) ? <TakenOut key={index} text={word.text} />
            : <span key={index} data-from={word.from_ms} class={word.confidence < DOUBTFUL ? "word doubtful" : "word"} title={word.confidence < DOUBTFUL ? `${word.confidence} % sure` : undefined}>{word.text}</span>}{" "}
        </>
      ))}
    </>
  );
}

/** A number that must not be kept: what it was, instead of it. */
export function TakenOut({ text }: { text: string }) {
  const found = takenOut(text);
  return found && <><span class="taken-out" title="Not kept: taken out of the words and the recording">{found.what}</span>{found.after}</>;
}

function NotUnderstood({ utterance }: { utterance: Utterance }) {
  return (
    <button type="button" class="not-understood" data-from={utterance.from_ms} title={utterance.rejected ?? undefined}>
      {wordless(utterance.rejected, utterance.to_ms - utterance.from_ms, true)}
    </button>
  );
}

function speakerNames(page: InteractionPage): Record<"customer" | "agent", string> {
  const agent = page.legs.find((leg) => leg.party === "agent" && leg.agent !== null)?.agent;
  return { customer: page.customer?.name ?? "Caller", agent: agent ?? "Agent" };
}

/** Marks the word that sounds now, without drawing the list again, and keeps it in sight. */
function useFollow(root: { current: HTMLDivElement | null }, page: InteractionPage, follow: boolean): void {
  useEffect(() => {
    const spoken = page.transcript.utterances.flatMap((utterance) => utterance.words);
    let marked: Element | null = null;
    let handsOffUntil = 0;
    const scroller = root.current?.closest<HTMLElement>(".scroll");
    const scrolled = () => (handsOffUntil = performance.now() + FOLLOW_AGAIN_MS);
    for (const kind of ["wheel", "touchmove", "pointerdown"]) scroller?.addEventListener(kind, scrolled, { passive: true });
    const stop = effect(() => {
      const word = loaded.value === page.interaction ? wordAt(spoken, position.value) : null;
      const element = word ? (root.current?.querySelector(`.word[data-from="${word.from_ms}"]`) ?? null) : null;
      if (element === marked) return;
      marked?.classList.remove("now");
      marked?.closest(".say")?.classList.remove("now");
      element?.classList.add("now");
      element?.closest(".say")?.classList.add("now");
      marked = element;
      if (follow && element && playing.peek() && performance.now() > handsOffUntil) element.closest(".say")?.scrollIntoView({ block: "nearest" });
    });
    return () => {
      stop();
      for (const kind of ["wheel", "touchmove", "pointerdown"]) scroller?.removeEventListener(kind, scrolled);
    };
  }, [page, follow]);
}
