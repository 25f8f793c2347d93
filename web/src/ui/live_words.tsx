// Words while they are said: one column by audio time, at its end until the reader scrolls up.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { LiveTranscript } from "../state/live_words.ts";
import type { LiveUtterance } from "../types.ts";
import { arrived, FOLLOWING, jumpLabel, scrolled, type Follow } from "../words/follow.ts";
import { duration } from "../words/format.ts";
import { aloud, keyOf, lagText, LATER, liveLines, wordless, type LiveLine } from "../words/live_words.ts";
import { takenOut } from "../words/transcript.ts";
import { ArrowDown } from "./icons.tsx";
import { Tag } from "./bits.tsx";
import { useVirtual } from "./virtual.ts";
import { DOUBTFUL, TakenOut } from "./words.tsx";

/** Heights guessed before a line is drawn and measured, px. */
const GUESS = { line: 19, chars: 44, speaker: 17, around: 12 };

export function LiveWords({ transcript, nameOf, empty }: { transcript: LiveTranscript; nameOf: (utterance: LiveUtterance) => string; empty: ComponentChildren }) {
  const list = transcript.utterances.value;
  const lines = useMemo(() => liveLines(list), [list]);
  const lag = lagText(transcript.lagMs.value);
  const [follow, setFollow] = useState<Follow>(FOLLOWING);
  const jump = jumpLabel(follow);
  return (
    <section class="live-now" aria-label="Words">
      <div class="live-now-head">
        <h2 class="sec">Words</h2><span class="grow" />
        {lag && <Tag tone="warn">{lag}</Tag>}
        {jump && <button type="button" class="btn small primary" onClick={() => setFollow(FOLLOWING)}><ArrowDown size={13} aria-hidden="true" />{jump}</button>}
      </div>
      {lines.length === 0 ? <div class="live-now-none">{empty}</div> : <Lines transcript={transcript} lines={lines} nameOf={nameOf} follow={follow} setFollow={setFollow} />}
      <div class="sr" role="log" aria-label="Words as they are understood">
        {transcript.aloud.value.map((utterance) => <p key={keyOf(utterance)}>{aloud(utterance, nameOf(utterance))}</p>)}
      </div>
    </section>
  );
}

interface LinesProps { transcript: LiveTranscript; lines: LiveLine[]; nameOf: (utterance: LiveUtterance) => string; follow: Follow; setFollow: (change: Follow | ((now: Follow) => Follow)) => void }

function Lines({ transcript, lines, nameOf, follow, setFollow }: LinesProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const added = transcript.added.value;
  const seen = useRef(added);
  const lastTop = useRef(0);
  const drawn = useRef(lines);
  const anchor = useRef<{ key: string; offset: number } | null>(null);
  const list = useVirtual({ scroller, count: lines.length, estimate: (index) => guess(lines[index]), keyOf: (index) => lines[index]?.key ?? String(index) });
  useEffect(() => {
    const came = added - seen.current;
    seen.current = added;
    setFollow((now) => arrived(now, came));
  }, [added]);
  // While following, each drawing ends at the end; above it, the line that is read stays where it is.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    if (follow.kind === "following") element.scrollTop = element.scrollHeight;
    else if (anchor.current && drawn.current !== lines) {
      const at = lines.findIndex((line) => line.key === anchor.current?.key);
      if (at >= 0) element.scrollTop = list.startOf(at) + anchor.current.offset;
    }
    drawn.current = lines;
    lastTop.current = element.scrollTop;
  });
  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    const next = scrolled(follow, lastTop.current, { top: element.scrollTop, height: element.scrollHeight, view: element.clientHeight });
    lastTop.current = element.scrollTop;
    const first = list.items.find((item) => item.end > element.scrollTop);
    anchor.current = first ? { key: String(first.key), offset: element.scrollTop - first.start } : null;
    if (next !== follow) setFollow(next);
  };
  return (
    <div class="live-now-scroll scroll" ref={scroller} tabIndex={0} role="group" aria-label="What was said" onScroll={onScroll}>
      <div class="timeline-space" style={{ height: `${list.total}px` }}>
        {list.items.map((item) => {
          const line = lines[item.index];
          return line && (
            <div key={line.key} class="timeline-row" data-index={item.index} ref={list.measure} style={{ transform: `translateY(${item.start}px)` }}>
              <Said line={line} name={nameOf(line.utterance)} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

function guess(line: LiveLine | undefined): number {
  if (!line) return GUESS.line;
  const chars = line.utterance.words.reduce((sum, word) => sum + word.text.length + 1, 0);
  return GUESS.line * Math.max(1, Math.ceil(chars / GUESS.chars)) + (line.speaker ? GUESS.speaker : 0) + GUESS.around;
}

function Said({ line, name }: { line: LiveLine; name: string }) {
  const { utterance } = line;
  return (
    <div class={`say ${utterance.party}${utterance.partial ? " partial" : ""}`}>
      <span class="at num">{duration(utterance.from_ms)}</span>
      <div class="what">
        {line.speaker && <div class="speaker one">{name}{utterance.partial && <span class="speaking"> · speaking</span>}</div>}
        <p>{utterance.rejected === null ? <Heard utterance={utterance} /> : <span class={utterance.rejected === LATER ? "not-understood later" : "not-understood"}>{wordless(utterance.rejected, utterance.to_ms - utterance.from_ms, false)}</span>}</p>
      </div>
    </div>
  );
}

function Heard({ utterance }: { utterance: LiveUtterance }) {
  const { words, partial } = utterance;
  return (
    <>
      {words.map((word, index) => (takenOut(word.text) ? <TakenOut key={index} text={word.text} /> : word.confidence < DOUBTFUL && !partial ? <span key={index} class="word doubtful" title={`${word.confidence} % sure`}>{word.text}</span> : word.text))
        .flatMap((shown, index) => (index === 0 ? [shown] : [" ", shown]))}
      {partial && "…"}
    </>
  );
}
