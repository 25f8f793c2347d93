// A transcript: one column with a speaker gutter. A click on a word plays from just before it; the word that sounds is marked.
// All lines are in the document, so that the browser's own search finds them; blocks out of sight are neither laid out nor
// painted (content-visibility), and a line that says the same as before is not drawn again.
import { effect, useComputed } from "@preact/signals";
import { Component, Fragment } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { now } from "../state/clock.ts";
import { useKeys } from "../state/keys.ts";
import { loaded, pause, playFrom, playing, position } from "../state/player.ts";
import { editing, leaveEdit, startEdit } from "../state/word_edit.ts";
import type { Correction, Fired, InteractionPage, Utterance, Word } from "../types.ts";
import { correctionOf, placeOf, type Place } from "../words/corrections.ts";
import { dateTime, duration } from "../words/format.ts";
import { wordless } from "../words/live_words.ts";
import { firedAt, firedText, sameCorrections, sameLine, takenOut, transcriptLines, wordAt, type Line } from "../words/transcript.ts";
import { WordEditNote, WordInput } from "./word_edit.tsx";

/** Confidence under which a word is drawn as doubtful, percent. */
export const DOUBTFUL = 50;
/** Scrolling by hand stops following for this long. */
const FOLLOW_AGAIN_MS = 4000;

/** Lines of a block: as many as some screens hold. */
const BLOCK = 40;

function blocksOf(lines: Line[]): Line[][] {
  return Array.from({ length: Math.ceil(lines.length / BLOCK) }, (_, n) => lines.slice(n * BLOCK, (n + 1) * BLOCK));
}

/** The chosen word: `E` puts it right. By utterance, then by place in it. */
interface Chosen { key: string; index: number }

export function Words({ page, follow = false, editable = false }: { page: InteractionPage; follow?: boolean; editable?: boolean }) {
  const root = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => transcriptLines(page), [page]);
  const names = useMemo(() => speakerNames(page), [page]);
  const place = useComputed(() => (editing.value?.interaction === page.interaction ? editing.value.place : null)).value;
  const [chosen, setChosen] = useState<Chosen | null>(null);
  useFollow(root, page, follow);
  useEffect(() => () => leaveEdit(), [page.interaction]);
  const edit = (key: string, first: number, last: number) => {
    const line = lines.find((one) => one.key === key);
    const place = line?.kind === "say" ? placeOf(line.utterance, first, last) : null;
    if (!place) return false;
    getSelection()?.removeAllRanges();
    startEdit(page.interaction, page.transcript, place);
    return true;
  };
  useKeys({
    e: () => {
      if (!editable || editing.value) return false;
      const range = selectedWords(root.current);
      if (range) return edit(range.key, range.first, range.last);
      return chosen ? edit(chosen.key, chosen.index, chosen.index) : false;
    },
  });
  const onClick = (event: MouseEvent) => {
    const target = (event.target as HTMLElement).closest<HTMLElement>("[data-from]");
    const from = target?.dataset["from"];
    if (!target || from === undefined || getSelection()?.toString()) return;
    const key = target.closest<HTMLElement>("[data-key]")?.dataset["key"];
    if (editable && key !== undefined) setChosen({ key, index: Number(target.dataset["index"] ?? 0) });
    playFrom(page.interaction, Number(from));
  };
  const onDblClick = (event: MouseEvent) => {
    const target = (event.target as HTMLElement).closest<HTMLElement>("[data-index]");
    const key = target?.closest<HTMLElement>("[data-key]")?.dataset["key"];
    if (!editable || !target || key === undefined) return;
    pause();
    edit(key, Number(target.dataset["index"]), Number(target.dataset["index"]));
  };
  return (
    <div class="words" ref={root} onClick={onClick} onDblClick={onDblClick}>
      {blocksOf(lines).map((block) => <div key={block[0]?.key} class="block">{block.map((line) => <WordsLine key={line.key} line={line} name={line.kind === "say" ? names[line.utterance.party] : ""} corrections={page.transcript.corrections} place={line.kind === "say" && place && covers(line.utterance, place) ? place : null} chosen={chosen?.key === line.key ? chosen.index : null} />)}</div>)}
    </div>
  );
}

/** The words of one utterance that the reader has selected. */
function selectedWords(root: HTMLElement | null): { key: string; first: number; last: number } | null {
  const selection = getSelection();
  if (!root || !selection || selection.isCollapsed) return null;
  const touched = [...root.querySelectorAll<HTMLElement>(".word[data-index]")].filter((word) => selection.containsNode(word, true));
  const [first, last] = [touched[0], touched.at(-1)];
  const key = first?.closest<HTMLElement>("[data-key]")?.dataset["key"];
  if (!first || !last || key === undefined || last.closest<HTMLElement>("[data-key]")?.dataset["key"] !== key) return null;
  return { key, first: Number(first.dataset["index"]), last: Number(last.dataset["index"]) };
}

const covers = (utterance: Utterance, place: Place) => place.leg === utterance.leg && place.from_ms >= utterance.from_ms && place.to_ms <= utterance.to_ms;

/** `place`: what of it is being put right. */
interface LineProps { line: Line; name: string; corrections: Correction[]; place: Place | null; chosen: number | null }

class WordsLine extends Component<LineProps> {
  /** Nothing in here reads a signal itself, so what it is given decides. */
  override shouldComponentUpdate(next: LineProps): boolean {
    const { line, name, corrections, place, chosen } = this.props;
    return next.place !== place || next.chosen !== chosen || next.name !== name || !sameLine(next.line, line) || !sameCorrections(next.corrections, corrections);
  }

  override render({ line, name, corrections, place, chosen }: LineProps) {
    if (line.kind === "mark") return <div class="mark"><span>{line.text}</span></div>;
    const { utterance } = line;
    return (
      <div class={`say ${utterance.party}`} data-key={line.key}>
        <button type="button" class="at num" data-from={utterance.from_ms} aria-label={`Play from ${duration(utterance.from_ms)}`}>{duration(utterance.from_ms)}</button>
        <div class="what">
          {line.speaker && <div class="speaker">{name}</div>}
          <p>{utterance.rejected === null ? <Spoken utterance={utterance} corrections={corrections} place={place} chosen={chosen} /> : place ? <WordInput /> : <NotUnderstood utterance={utterance} />}</p>
          {place && <WordEditNote />}
        </div>
      </div>
    );
  }
}

function Spoken({ utterance, corrections, place, chosen }: { utterance: Utterance; corrections: Correction[]; place: Place | null; chosen: number | null }) {
  let shown = false;
  return (
    <>
      {utterance.words.map((word, index) => {
        if (place && word.from_ms >= place.from_ms && word.to_ms <= place.to_ms) {
          if (shown) return null;
          shown = true;
          return <Fragment key="edit"><WordInput />{" "}</Fragment>;
        }
        return <Fragment key={index}>{takenOut(word.text) ? <TakenOut text={word.text} /> : <OneWord word={word} index={index} correction={correctionOf(corrections, utterance.leg, word)} fired={firedAt(utterance, word)} chosen={chosen === index} />}{" "}</Fragment>;
      })}
    </>
  );
}

/** A number that must not be kept: what it was, instead of it. */
export function TakenOut({ text }: { text: string }) {
  const found = takenOut(text);
  return found && <><span class="taken-out" title="Not kept: taken out of the words and the recording">{found.what}</span>{found.after}</>;
}

function OneWord({ word, index, correction, fired, chosen }: { word: Word; index: number; correction: Correction | null; fired: Fired | null; chosen: boolean }) {
  const doubtful = word.confidence < DOUBTFUL;
  const title = correction ? `${correction.by} wrote this for ${correction.before ? `“${correction.before}”` : "what was not understood"}, ${dateTime(correction.at, now.peek())}` : [...(doubtful ? [`${word.confidence} % sure`] : []), ...(fired ? [`Mood: ${firedText(fired)}`] : [])].join(" · ") || undefined;
  return <span data-from={word.from_ms} data-index={index} class={`word${doubtful ? " doubtful" : ""}${correction ? " corrected" : ""}${fired && fired.weight !== 0 ? (fired.weight < 0 ? " mood-down" : " mood-up") : ""}${fired && fired.by !== "words" ? " whole" : ""}${chosen ? " chosen" : ""}`} title={title}>{word.text}</span>;
}

function NotUnderstood({ utterance }: { utterance: Utterance }) {
  return (
    <button type="button" class="not-understood" data-from={utterance.from_ms} data-index={0} title={utterance.rejected ?? undefined}>
      {utterance.rejected === "struck out" ? "struck out · listen" : wordless(utterance.rejected, utterance.to_ms - utterance.from_ms, true)}
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
