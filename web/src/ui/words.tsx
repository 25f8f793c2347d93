// A transcript: one column with a speaker gutter. A click on a word plays from just before it; the word that sounds is marked.
// All lines are in the document, so that the browser's own search finds them. Far from what is read a block is plain text that is
// neither laid out nor painted (content-visibility); only blocks near it have words that can be clicked.
import { effect, signal, useComputed } from "@preact/signals";
import { Component, createContext, type ComponentChildren } from "preact";
import { useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { now } from "../state/clock.ts";
import { useKeys } from "../state/keys.ts";
import { loaded, pause, playFrom, playing, position } from "../state/player.ts";
import { editing, leaveEdit, startEdit } from "../state/word_edit.ts";
import type { Correction, Fired, InteractionPage, Utterance, Word } from "../types.ts";
import { correctionOf, placeOf, type Place } from "../words/corrections.ts";
import { dateTime, duration } from "../words/format.ts";
import { wordless } from "../words/live_words.ts";
import { firedAt, firedText, lineAt, sameCorrections, sameLine, spokenWords, takenOut, transcriptLines, wordAt, type Line } from "../words/transcript.ts";
import { Play } from "./icons.tsx";
import { WordEditNote, WordInput } from "./word_edit.tsx";
import { BLOCK, elementOfLine, reveal } from "./blocks.ts";
import { FindBar } from "./find_bar.tsx";
import { found } from "../words/find.ts";

/** Confidence under which a word is drawn as doubtful, percent. */
export const DOUBTFUL = 50;
/** Scrolling by hand stops following for this long. */
const FOLLOW_AGAIN_MS = 4000;

/** A transcript up to this many lines has all its words at once. */
const WHOLE = 200;
/** Blocks this near to what is seen have their words already. */
const NEAR = "60px 0px";
/** Characters of a row of words, about. */
const GUESS_CHARS = 80;

function blocksOf(lines: Line[]): Line[][] {
  return Array.from({ length: Math.ceil(lines.length / BLOCK) }, (_, n) => lines.slice(n * BLOCK, (n + 1) * BLOCK));
}

/** Tells each block when it comes near to what is seen, and when it goes. */
interface Nearness { watch(block: Element, tell: (near: boolean) => void): () => void; /** rises when words came into the document */ came: { value: number } }

const NearContext = createContext<Nearness | null>(null);

function useNearness(root: { current: HTMLElement | null }): Nearness {
  return useMemo(() => {
    const tells = new Map<Element, (near: boolean) => void>();
    let observer: IntersectionObserver | null = null;
    return {
      came: signal(0),
      watch(block, tell) {
        observer ??= new IntersectionObserver((entries) => { for (const entry of entries) tells.get(entry.target)?.(entry.isIntersecting); }, { root: root.current?.closest(".scroll") ?? null, rootMargin: NEAR });
        tells.set(block, tell);
        observer.observe(block);
        return () => {
          tells.delete(block);
          observer?.unobserve(block);
        };
      },
    };
  }, []);
}

/** The chosen word: `E` puts it right. By utterance, then by place in it. */
interface Chosen { key: string; index: number }

/** `at`: what is said then is brought into sight, ms. `sought`: what is looked for in the words. */
interface WordsProps { page: InteractionPage; follow?: boolean; editable?: boolean; at?: number | null; sought?: string }

export function Words({ page, follow = false, editable = false, at = null, sought = "" }: WordsProps) {
  const root = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => transcriptLines(page), [page]);
  const names = useMemo(() => speakerNames(page), [page]);
  const place = useComputed(() => (editing.value?.interaction === page.interaction ? editing.value.place : null)).value;
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const nearness = useNearness(root);
  const blocks = useMemo(() => blocksOf(lines), [lines]);
  useFollow(root, page, lines, nearness, follow);
  const places = useMemo(() => found(lines, sought), [lines, sought]);
  useEffect(() => { if (at !== null) reveal(root.current, lines, lineAt(lines, at)); }, [at, lines.length > 0]);
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
    <>
      {places.length > 0 && <FindBar root={root} places={places} lines={lines} came={nearness.came} sought={sought} interaction={page.interaction} at={at} />}
      <div class={lines.length <= WHOLE ? "words" : "words long"} ref={root} onClick={onClick} onDblClick={onDblClick}>
        <NearContext.Provider value={nearness}>
          {blocks.map((block, index) => (
            <Block
              key={index} lines={block} whole={lines.length <= WHOLE} first={index === 0} names={names} corrections={page.transcript.corrections}
              place={place && block.some((line) => line.kind === "say" && covers(line.utterance, place)) ? place : null}
              chosen={chosen && block.some((line) => line.key === chosen.key) ? chosen : null}
            />
          ))}
        </NearContext.Provider>
      </div>
    </>
  );
}

type Names = Record<"customer" | "agent", string>;
interface BlockProps { lines: Line[]; whole: boolean; first: boolean; names: Names; corrections: Correction[]; place: Place | null; chosen: Chosen | null }

/** Drawn again only for what it is given, or when it comes near. */
class Block extends Component<BlockProps> {
  override shouldComponentUpdate(next: BlockProps): boolean {
    return (Object.keys(next) as (keyof BlockProps)[]).some((key) => next[key] !== this.props[key]);
  }

  override render(props: BlockProps) {
    return <NearBlock {...props} />;
  }
}

function NearBlock({ lines, whole, first, names, corrections, place, chosen }: BlockProps) {
  const nearness = useContext(NearContext);
  const element = useRef<HTMLDivElement>(null);
  // The first is what one sees when the page opens.
  const [near, setNear] = useState(first);
  useEffect(() => (element.current && !whole ? nearness?.watch(element.current, setNear) : undefined), [nearness, whole]);
  useLayoutEffect(() => { if (near && nearness) nearness.came.value += 1; }, [near]);
  const size = useMemo(() => ({ containIntrinsicBlockSize: `auto ${lines.reduce((sum, line) => sum + guess(line), 0)}px` }), [lines]);
  if (!near && !whole && !place) {
    return (
      <div class="block far" ref={element} style={size}>
        <p>{lines.map((line) => textOf(line)).join("\n")}</p>
      </div>
    );
  }
  return (
    <div class="block" ref={element} style={size}>
      {lines.map((line) => (
        <WordsLine key={line.key} line={line} name={line.kind === "say" ? names[line.utterance.party] : ""} corrections={corrections} place={line.kind === "say" && place && covers(line.utterance, place) ? place : null} chosen={chosen?.key === line.key ? chosen.index : null} />
      ))}
    </div>
  );
}

/** What the browser's search finds of a line. */
function textOf(line: Line): string {
  return line.kind === "say" ? line.utterance.words.map((word) => word.text).join(" ") : line.kind === "mark" ? line.text : "";
}

/** A line's height before it is laid out, px. */
function guess(line: Line): number {
  return line.kind === "say" ? 10 + 19 * Math.max(1, Math.ceil(textOf(line).length / GUESS_CHARS)) + (line.speaker ? 16 : 0) : 28;
}

type SayLine = Extract<Line, { kind: "say" }>;

function Row({ line, name, note, children }: { line: SayLine; name: string; note?: ComponentChildren; children: ComponentChildren }) {
  const { utterance } = line;
  return (
    <div class={`say ${utterance.party}${line.quiet ? " quiet" : ""}`} data-key={line.key}>
      <button type="button" class="at num" data-from={utterance.from_ms} aria-label={`Play from ${duration(utterance.from_ms)}`}>{duration(utterance.from_ms)}</button>
      <div class="what">
        {line.speaker && <div class="speaker one">{name}</div>}
        <p>{children}</p>
        {note}
      </div>
    </div>
  );
}

/** Sound like a voice that no utterance holds: can be heard at its place. */
function VoiceLine({ line }: { line: Extract<Line, { kind: "voice" }> }) {
  const first = line.spans[0]?.from_ms ?? line.at;
  return (
    <div class={`say quiet ${line.party}`}>
      <button type="button" class="at num" data-from={first} aria-label={`Play from ${duration(first)}`}>{duration(first)}</button>
      <div class="what"><p>
        {line.spans.map((span, index) => (
          <button key={span.from_ms} type="button" class="not-understood" data-from={span.from_ms} title={`Like a voice, too short to be read: ${line.party}`} {...(index > 0 ? { "aria-label": `voice, not transcribed, ${seconds(span)}` } : {})}>
            {index === 0 && <Play size={9} aria-hidden="true" />}{index === 0 ? `voice, not transcribed ${seconds(span)}` : seconds(span)}
          </button>
        ))}
      </p></div>
    </div>
  );
}

const seconds = (span: { from_ms: number; to_ms: number }) => `${((span.to_ms - span.from_ms) / 1000).toFixed(1)} s`;

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
    if (line.kind === "voice") return <VoiceLine line={line} />;
    const { utterance } = line;
    return (
      <Row line={line} name={name} note={place && <WordEditNote />}>
        {utterance.rejected === null ? <Spoken utterance={utterance} corrections={corrections} place={place} chosen={chosen} /> : place ? <WordInput /> : <NotUnderstood utterance={utterance} quiet={line.quiet} />}
      </Row>
    );
  }
}

/** One list of words and blanks: a component for each word would be most of the work of a long transcript. */
function Spoken({ utterance, corrections, place, chosen }: { utterance: Utterance; corrections: Correction[]; place: Place | null; chosen: number | null }) {
  const shown: ComponentChildren[] = [];
  let editing = false;
  for (const [index, word] of utterance.words.entries()) {
    if (place && word.from_ms >= place.from_ms && word.to_ms <= place.to_ms) {
      if (!editing) shown.push(<WordInput key="edit" />, " ");
      editing = true;
      continue;
    }
    shown.push(takenOut(word.text) ? <TakenOut key={index} text={word.text} /> : oneWord(word, index, correctionOf(corrections, utterance.leg, word), firedAt(utterance, word), chosen === index), " ");
  }
  return <>{shown}</>;
}

/** A number that must not be kept: what it was, instead of it. */
export function TakenOut({ text }: { text: string }) {
  const found = takenOut(text);
  return found && <><span class="taken-out" title="Not kept: taken out of the words and the recording">{found.what}</span>{found.after}</>;
}

function oneWord(word: Word, index: number, correction: Correction | null, fired: Fired | null, chosen: boolean) {
  const doubtful = word.confidence < DOUBTFUL;
  const title = correction ? `${correction.by} wrote this for ${correction.before ? `“${correction.before}”` : "what was not understood"}, ${dateTime(correction.at, now.peek())}` : [...(doubtful ? [`${word.confidence} % sure`] : []), ...(fired ? [`Mood: ${firedText(fired)}`] : [])].join(" · ") || undefined;
  return <span key={index} data-from={word.from_ms} data-index={index} class={`word${doubtful ? " doubtful" : ""}${correction ? " corrected" : ""}${fired && fired.weight !== 0 ? (fired.weight < 0 ? " mood-down" : " mood-up") : ""}${fired && fired.by !== "words" ? " whole" : ""}${chosen ? " chosen" : ""}`} title={title}>{word.text}</span>;
}

function NotUnderstood({ utterance, quiet }: { utterance: Utterance; quiet: boolean }) {
  return (
    <button type="button" class="not-understood" data-from={utterance.from_ms} data-index={0} title={utterance.rejected ?? undefined}>
      {quiet && <Play size={9} aria-hidden="true" />}
      {utterance.rejected === "struck out" ? "struck out · listen" : wordless(utterance.rejected, utterance.to_ms - utterance.from_ms, !quiet)}
    </button>
  );
}

function speakerNames(page: InteractionPage): Names {
  const agent = page.legs.find((leg) => leg.party === "agent" && leg.agent !== null)?.agent;
  return { customer: page.customer?.name ?? "Caller", agent: agent ?? "Agent" };
}

/** Marks the word that sounds now, without drawing the list again, and keeps it in sight. */
function useFollow(root: { current: HTMLDivElement | null }, page: InteractionPage, lines: Line[], nearness: Nearness, follow: boolean): void {
  useEffect(() => {
    const spoken = spokenWords(lines);
    let marked: Element | null = null;
    let handsOffUntil = 0;
    const scroller = root.current?.closest<HTMLElement>(".scroll");
    const scrolled = () => (handsOffUntil = performance.now() + FOLLOW_AGAIN_MS);
    for (const kind of ["wheel", "touchmove", "pointerdown"]) scroller?.addEventListener(kind, scrolled, { passive: true });
    /** The word, or its block where that has no words yet. */
    const elementOf = (word: (typeof spoken)[number]) => {
      const line = elementOfLine(root.current, word.line, word.key);
      return line?.querySelector(`.word[data-from="${word.from_ms}"]`) ?? line;
    };
    const stop = effect(() => {
      void nearness.came.value;
      const word = loaded.value === page.interaction ? wordAt(spoken, position.value) : null;
      const element = word ? elementOf(word) : null;
      if (element === marked) return;
      marked?.classList.remove("now");
      marked?.closest(".say")?.classList.remove("now");
      element?.classList.add("now");
      element?.closest(".say")?.classList.add("now");
      marked = element;
      if (follow && element && playing.peek() && performance.now() > handsOffUntil) (element.closest(".say") ?? element).scrollIntoView({ block: "nearest" });
    });
    return () => {
      stop();
      marked?.classList.remove("now");
      marked?.closest(".say")?.classList.remove("now");
      for (const kind of ["wheel", "touchmove", "pointerdown"]) scroller?.removeEventListener(kind, scrolled);
    };
  }, [lines, follow]);
}
