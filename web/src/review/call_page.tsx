// One call: the player with two lanes, the words, the card and everything that was measured.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api } from "../net/api.ts";
import { now } from "../state/clock.ts";
import { useKeys } from "../state/keys.ts";
import { changeRate, load, loaded, playing, position, rate, seek, setSolo, solo, toggle, trouble, type Solo } from "../state/player.ts";
import { asError, interactionOf, reloadInteraction, type Loaded } from "../state/record.ts";
import { hint } from "../state/hint.ts";
import { liveWordsOf } from "../state/live_words.ts";
import { watchWords } from "../state/desk.ts";
import { mayChange } from "../state/rights.ts";
import { searched } from "../state/calls.ts";
import { callHash, go } from "../state/route.ts";
import { Empty, Kbd, Problem, Skeleton, Tag } from "../ui/bits.tsx";
import { Pause, Play } from "../ui/icons.tsx";
import { LiveWords } from "../ui/live_words.tsx";
import { Words } from "../ui/words.tsx";
import type { InteractionPage, LiveUtterance, Peaks, Segment, Transcript } from "../types.ts";
import { dateTime, duration, phone } from "../words/format.ts";
import { plain, SEGMENT } from "../words/labels.ts";
import { holds, recordingSentence, transcriptSentence } from "../words/transcript.ts";
import { Facts } from "./facts.tsx";
import { SoundStrip } from "./sound_strip.tsx";
import { TranscriptHead } from "./transcript_head.tsx";
import { Wave } from "./wave.tsx";

/** `at`: the second that a link names, ms. */
export function CallPage({ interaction, at }: { interaction: string; at: number | null }) {
  const slot = interactionOf(interaction).value;
  if (slot.kind === "loading") return <div class="call-page"><Skeleton lines={8} /></div>;
  if (slot.kind === "error") return <div class="call-page none"><Problem {...(slot.status === 404 || slot.status === 403 ? {} : { retry: () => reloadInteraction(interaction) })}>{slot.why}</Problem></div>;
  return <Call page={slot.value} at={at} />;
}

function Call({ page, at }: { page: InteractionPage; at: number | null }) {
  const playable = page.recording.state === "ready" || page.recording.state === "trouble";
  // While the call is on, the recording that it will have gets its room.
  const expected = playable || page.recording.state === "open";
  const peaks = usePeaks(page, playable);
  const length = (peaks.kind === "ready" ? peaks.value.duration_ms : null) ?? page.recording.duration_ms ?? page.duration_ms ?? 0;
  useEffect(() => { if (playable) load(page.interaction); }, [page.interaction, playable]);
  useEffect(() => { if (playable && at !== null) seek(at); }, [page.interaction, playable, at]);
  usePlayerKeys(page, playable);
  const [older, setOlder] = useState<Transcript | null>(null);
  const shown = older ?? page.transcript;
  const choose = (revision: number | null) => {
    if (revision === null) return setOlder(null);
    api.words(page.interaction, revision).then(setOlder, (error: unknown) => hint(error instanceof Error ? error.message : "This revision could not be read."));
  };
  // What somebody put right is in the older revision too.
  useEffect(() => { if (older?.revision != null) choose(older.revision); }, [page]);
  const on = page.state === "open";
  // From the list's row the focus goes to what was opened, or Space would press the row again.
  const player = useRef<HTMLElement>(null);
  useEffect(() => player.current?.focus({ preventScroll: true }), []);
  return (
    <div class="call-page">
      <section class="player" aria-label="Recording" ref={player} tabIndex={-1}>
        <Title page={page} />
        {expected ? <>
          <Controls length={length} playable={playable} />
          {playable ? <Wave page={page} peaks={peaks.kind === "ready" ? peaks.value : null} durationMs={length} /> : <div class="wave none"><p class="muted">{recordingSentence(page)}</p></div>}
        </> : <Empty title={recordingSentence(page) ?? "No recording."} />}
        <SoundStrip page={page} durationMs={length} expected={expected && (on || page.transcript.state === "pending")} />
        {peaks.kind === "error" && playable && <p class="warn-text">{peaks.why}</p>}
        {trouble.value && loaded.value === page.interaction && <p class="bad-text" role="alert">{trouble.value}</p>}
      </section>
      {on ? <WordsNow page={page} /> : (
        <section class="call-words scroll" aria-label="Transcript" tabIndex={0}>
          <TranscriptHead page={page} shown={shown} choose={choose} note={<TranscriptNote page={page} />} />
          {older && <p class="words-note"><Tag tone="warn">An older revision. Card and mood are of the newest.</Tag></p>}
          <Words page={older ? { ...page, transcript: older } : page} follow editable={mayChange(page)} at={at} sought={searched.value} />
        </section>
      )}
      <aside class="call-facts scroll" aria-label="About this call" tabIndex={0}><Facts page={page} shown={shown} /></aside>
    </div>
  );
}

/** A call that is on: a supervisor reads along. */
function WordsNow({ page }: { page: InteractionPage }) {
  const transcript = liveWordsOf(page.interaction);
  useEffect(() => {
    watchWords(page.interaction);
    return () => watchWords(null);
  }, [page.interaction]);
  const agents = new Map(page.legs.map((leg) => [leg.leg, leg.agent]));
  const nameOf = (one: LiveUtterance) => (one.party === "customer" ? (page.customer?.name ?? (page.number ? phone(page.number) : "Caller")) : (agents.get(one.leg) ?? "Agent"));
  return (
    <div class="call-now">
      <LiveWords transcript={transcript} nameOf={nameOf} empty={<Empty title={transcript.trouble.value ? "No words." : "Listening."}>{transcript.trouble.value ?? "Words appear here as they are said."}</Empty>} />
    </div>
  );
}

function usePeaks(page: InteractionPage, playable: boolean): Loaded<Peaks> {
  const [peaks, setPeaks] = useState<Loaded<Peaks>>({ kind: "loading" });
  useEffect(() => {
    if (!playable) return;
    let wanted = true;
    api.peaks(page.interaction).then((value) => { if (wanted) setPeaks({ kind: "ready", value }); }, (error: unknown) => { if (wanted) setPeaks(asError(error)); });
    return () => { wanted = false; };
  }, [page.interaction, playable]);
  return peaks;
}

function Title({ page }: { page: InteractionPage }) {
  const name = page.customer?.name ?? (page.number ? phone(page.number) : "Number withheld");
  const agent = page.legs.find((leg) => leg.party === "agent" && leg.agent)?.agent;
  const playable = page.recording.state === "ready" || page.recording.state === "trouble";
  const lacks = playable ? recordingSentence(page) : null;
  return (
    <div class="call-title">
      <button type="button" class="link back" onClick={() => go("calls")}>All calls</button>
      <h1><span class="one" dir="auto">{name}</span> <span class="muted">{agent && <>with <bdi>{agent}</bdi> · </>}{dateTime(page.at, now.peek())}{page.duration_ms !== null && ` · ${duration(page.duration_ms)}`}</span></h1>
      <div class="muted num one times">{times(page.segments, page)}{lacks && <span class="warn-text" title={lacks}> · {lacks}</span>}</div>
    </div>
  );
}

/** "queue 0:05 · ring 0:04 · talk 0:49 · hold 0:08": the customer's time by what it was spent on. */
function times(segments: Segment[], page: InteractionPage): string {
  const customers = new Set(page.legs.filter((leg) => leg.party === "customer").map((leg) => leg.leg));
  const sums = new Map<Segment["kind"], number>();
  const running = new Set(segments.filter((segment) => segment.to_ms === null).map((segment) => segment.kind));
  for (const segment of segments) {
    const theirs = segment.leg !== null && customers.has(segment.leg);
    if (!theirs && segment.kind !== "wrap_up") continue;
    sums.set(segment.kind, (sums.get(segment.kind) ?? 0) + Math.max(0, (segment.to_ms ?? segment.from_ms) - segment.from_ms));
  }
  return [...[...sums].map(([kind, ms]) => `${SEGMENT[kind]} ${running.has(kind) ? "running" : duration(ms)}`), ...(page.cause ? [plain(page.cause)] : [])].join(" · ");
}

const SOLOS: [Solo, string, string][] = [["customer", "Customer", "1"], ["agent", "Agent", "2"], ["both", "Both", "0"]];

function Controls({ length, playable }: { length: number; playable: boolean }) {
  return (
    <div class="line controls">
      <button type="button" class="btn primary" disabled={!playable} onClick={toggle}>{playing.value ? <Pause size={14} aria-hidden="true" /> : <Play size={14} aria-hidden="true" />}{playing.value ? "Pause" : "Play"} <Kbd>Space</Kbd></button>
      <button type="button" class="btn" disabled={!playable} onClick={() => seek(position.value - 5000)}>−5 s <Kbd>J</Kbd></button>
      <button type="button" class="btn" disabled={!playable} onClick={() => seek(position.value + 5000)}>+5 s <Kbd>L</Kbd></button>
      <div class="line speed" role="group" aria-label="Speed">
        <button type="button" class="btn" aria-label="Slower" onClick={() => changeRate(-1)}>−</button>
        <span class="num" aria-live="polite">{rate.value.toFixed(2).replace(/0$/, "")}×</span>
        <button type="button" class="btn" aria-label="Faster" onClick={() => changeRate(1)}>+</button>
      </div>
      <div class="segmented" role="group" aria-label="Hear">
        {SOLOS.map(([which, label, key]) => <button key={which} type="button" aria-pressed={solo.value === which} onClick={() => setSolo(which)}>{label} <Kbd>{key}</Kbd></button>)}
      </div>
      <span class="grow" />
      <span class="num place"><b>{duration(position.value)}</b> <span class="muted">/ {duration(length)}</span></span>
    </div>
  );
}

function TranscriptNote({ page }: { page: InteractionPage }): ComponentChildren {
  const sentence = transcriptSentence(page);
  if (!sentence) return null;
  const { state } = page.transcript;
  return <Tag tone={state === "failed" ? "bad" : state === "done" ? "warn" : ""}>{sentence}</Tag>;
}

/** The address leads to this second from now on; it is copied where the browser lets a page do so. */
function link(interaction: string, atMs: number): void {
  history.replaceState(null, "", callHash(interaction, atMs));
  const where = `to ${duration(atMs)} of this call`;
  const shown = () => hint(`The address leads ${where}: copy it from there.`);
  if (!navigator.clipboard) return shown();
  navigator.clipboard.writeText(location.href).then(() => hint(`A link ${where} is copied.`), shown);
}

function usePlayerKeys(page: InteractionPage, playable: boolean): void {
  const turns = useMemo(() => {
    const starts = page.transcript.utterances.filter((one, index, all) => all[index - 1]?.party !== one.party).map((one) => one.from_ms);
    return [...starts, ...holds(page).map((hold) => hold.to_ms)].sort((a, b) => a - b);
  }, [page]);
  const when = (act: () => void) => () => {
    if (!playable) return false;
    act();
    return true;
  };
  const by = (ms: number) => when(() => seek(position.value + ms));
  useKeys({
    space: when(toggle), j: by(-5000), l: by(5000), arrowleft: by(-2000), arrowright: by(2000),
    "shift+arrowleft": when(() => seek(turns.filter((at) => at < position.value - 600).at(-1) ?? 0)),
    "shift+arrowright": when(() => { const next = turns.find((at) => at > position.value + 50); if (next !== undefined) seek(next); }),
    ",": when(() => changeRate(-1)), ".": when(() => changeRate(1)),
    "1": when(() => setSolo("customer")), "2": when(() => setSolo("agent")), "0": when(() => setSolo("both")),
    enter: () => link(page.interaction, position.value),
    escape: () => go("calls"),
  });
}
