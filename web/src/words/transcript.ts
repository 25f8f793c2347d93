// A transcript as lines in order of time, with what interrupted it; and what is said about how much was understood. Pure.
import type { Correction, Fired, Gap, InteractionPage, Party, Transcript, Utterance, Word } from "../types.ts";
import { duration, signed } from "./format.ts";
import { isSound } from "./live_words.ts";

export type Line =
  | { kind: "say"; key: string; at: number; utterance: Utterance; speaker: boolean; /** a sound, not words: nobody's turn */ quiet: boolean }
  /** Sound like a voice in no utterance. */
  | { kind: "voice"; key: string; at: number; party: Party; spans: Span[] }
  | { kind: "mark"; key: string; at: number; text: string };

export interface Span { from_ms: number; to_ms: number }

/** Coverage under which the words are no substitute for listening, percent. */
const LISTEN_UNDER = 85;
/** A loss shorter than this is not worth a line. */
const GAP_SHOWN_MS = 500;
/** A sound like a voice shorter than this is a breath: on the waveform, but no line. */
const VOICE_SHOWN_MS = 300;

/** Utterances with holds and pauses between them, by time; `speaker` where it changes. */
export function transcriptLines(page: InteractionPage): Line[] {
  const begins = firstWords(page.transcript);
  const lines: Line[] = [];
  for (const utterance of page.transcript.utterances) {
    const quiet = isSound(utterance.rejected);
    // The hiss of a line before anybody spoke into it.
    if (quiet && utterance.to_ms <= (begins.get(utterance.leg) ?? 0)) continue;
    lines.push({ kind: "say", key: `${utterance.leg}/${utterance.from_ms}`, at: utterance.from_ms, utterance, speaker: !quiet, quiet });
  }
  for (const hold of holds(page)) lines.push({ kind: "mark", key: `hold/${hold.from_ms}`, at: hold.from_ms, text: `on hold ${duration(hold.to_ms - hold.from_ms)}` });
  for (const gap of unexplained(page)) {
    // The words say it themselves: [card number].
    if (gap.kind === "redacted") continue;
    if (gap.to_ms - gap.from_ms >= GAP_SHOWN_MS) lines.push({ kind: "mark", key: `gap/${gap.party}/${gap.from_ms}`, at: gap.from_ms, text: gapText(gap) });
  }
  for (const { leg, party, doubtful } of page.transcript.legs) {
    for (const span of doubtful) if (span.to_ms - span.from_ms >= VOICE_SHOWN_MS) lines.push({ kind: "voice", key: `voice/${leg}/${span.from_ms}`, at: span.from_ms, party, spans: [span] });
  }
  lines.sort((a, b) => a.at - b.at || (a.kind === "mark" ? -1 : 1));
  return named(together(lines));
}

/** Where each leg's words begin. */
function firstWords({ utterances }: Pick<Transcript, "utterances">): Map<string, number> {
  const begins = new Map<string, number>();
  for (const { leg, rejected, from_ms } of utterances) if (rejected === null) begins.set(leg, Math.min(from_ms, begins.get(leg) ?? from_ms));
  return begins;
}

/** Voices without words that follow each other are one line. */
function together(lines: Line[]): Line[] {
  const result: Line[] = [];
  for (const line of lines) {
    const last = result.at(-1);
    if (line.kind === "voice" && last?.kind === "voice" && last.party === line.party) last.spans.push(...line.spans);
    else result.push(line);
  }
  return result;
}

/** Names the speaker where it changes; what is not words changes nothing. */
function named(lines: Line[]): Line[] {
  let speaking: Party | null = null;
  for (const line of lines) {
    if (line.kind === "mark") speaking = null;
    if (line.kind !== "say" || line.quiet) continue;
    line.speaker = line.utterance.party !== speaking;
    speaking = line.utterance.party;
  }
  return lines;
}

/** Stretches of a side that are in no words: refused ones, and those that no utterance holds. */
export function wordlessSpans({ utterances, legs }: Pick<Transcript, "utterances" | "legs">): { party: Party; refused: boolean; from_ms: number; to_ms: number }[] {
  return [
    ...utterances.filter((one) => one.rejected !== null && one.rejected !== "echo" && one.rejected !== "struck out").map(({ party, from_ms, to_ms }) => ({ party, refused: true, from_ms, to_ms })),
    ...legs.flatMap(({ party, doubtful }) => doubtful.map(({ from_ms, to_ms }) => ({ party, refused: false, from_ms, to_ms }))),
  ];
}

/** Whether two lines read the same: a page that is read again brings all of them anew. */
export function sameLine(a: Line, b: Line): boolean {
  if (a === b) return true;
  if (a.kind === "mark" || b.kind === "mark") return a.kind === "mark" && b.kind === "mark" && a.key === b.key && a.text === b.text;
  if (a.kind === "voice" || b.kind === "voice") {
    return a.kind === "voice" && b.kind === "voice" && a.key === b.key && a.spans.length === b.spans.length && a.spans.every((span, n) => span.from_ms === b.spans[n]?.from_ms && span.to_ms === b.spans[n]?.to_ms);
  }
  const [u, v] = [a.utterance, b.utterance];
  return a.key === b.key && a.speaker === b.speaker && u.to_ms === v.to_ms && u.rejected === v.rejected && u.words.length === v.words.length && u.fired.length === v.fired.length
    && u.words.every((word, n) => word.text === v.words[n]?.text && word.from_ms === v.words[n]?.from_ms && word.to_ms === v.words[n]?.to_ms && word.confidence === v.words[n]?.confidence)
    && u.fired.every((one, n) => one.from_ms === v.fired[n]?.from_ms && one.to_ms === v.fired[n]?.to_ms && one.weight === v.fired[n]?.weight);
}

export function sameCorrections(a: readonly Correction[], b: readonly Correction[]): boolean {
  return a === b || (a.length === b.length && a.every((one, n) => one.correction === b[n]?.correction && one.state === b[n]?.state));
}

/** Times that the customer was on hold, each once. */
export function holds(page: Pick<InteractionPage, "segments" | "legs" | "duration_ms">): { from_ms: number; to_ms: number }[] {
  const customers = new Set(page.legs.filter((leg) => leg.party === "customer").map((leg) => leg.leg));
  const all = page.segments.filter((segment) => segment.kind === "hold");
  const own = all.filter((segment) => segment.leg !== null && customers.has(segment.leg));
  return (own.length > 0 ? own : all).map((segment) => ({ from_ms: segment.from_ms, to_ms: segment.to_ms ?? page.duration_ms ?? segment.from_ms }));
}

/** The gaps that want a mark of their own: not the pauses of a hold, and a pause of both sides once. */
export function unexplained(page: Pick<InteractionPage, "recording" | "segments" | "legs" | "duration_ms">): Gap[] {
  const held = holds(page);
  const pauses: Gap[] = [];
  return page.recording.gaps.filter((gap) => {
    if (gap.kind !== "paused") return true;
    if (held.some((hold) => gap.from_ms < hold.to_ms && gap.to_ms > hold.from_ms)) return false;
    if (pauses.some((pause) => gap.from_ms < pause.to_ms && gap.to_ms > pause.from_ms)) return false;
    pauses.push(gap);
    return true;
  });
}

function gapText(gap: Gap): string {
  const length = duration(gap.to_ms - gap.from_ms);
  return gap.kind === "paused" ? `recording paused ${length} · silence kept` : `${length} of the ${gap.party}'s audio lost`;
}

/** What stands where a number was taken out ("[card number]."): its name, and the punctuation after it; null for any other word. */
export function takenOut(text: string): { what: string; after: string } | null {
  const found = text.startsWith("[") ? /^\[([^\]]+)\](.*)$/.exec(text) : null;
  return found ? { what: found[1] ?? "", after: found[2] ?? "" } : null;
}

/** A word with the place of its line in the transcript. */
export interface Spoken extends Word { line: number; key: string }

/** All words in the order in which they begin: where both speak, lines overlap. */
export function spokenWords(lines: readonly Line[]): Spoken[] {
  const words = lines.flatMap((line, index) => (line.kind === "say" ? line.utterance.words.map((word): Spoken => ({ ...word, line: index, key: line.key })) : []));
  return words.sort((a, b) => a.from_ms - b.from_ms);
}

/** The line that is said at a time, or the last before it. */
export function lineAt(lines: readonly Line[], ms: number): number {
  let best = 0;
  for (let n = 0; n < lines.length; n += 1) {
    const line = lines[n] as Line;
    if (line.at > ms) break;
    if (line.kind === "say") best = n;
  }
  return best;
}

/** The word that sounds at a time: the last that began, while it or the breath after it lasts. */
export function wordAt<W extends Word>(words: readonly W[], ms: number): W | null {
  let low = 0;
  let high = words.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((words[middle] as W).from_ms <= ms) low = middle + 1;
    else high = middle;
  }
  const word = words[low - 1];
  return word && ms < word.to_ms + 400 ? word : null;
}

/** The share understood, the worse side first; `null` when nothing was transcribed. */
export function understood(page: Pick<InteractionPage, "transcript">): number | null {
  const sides = [page.transcript.coverage.customer, page.transcript.coverage.agent].filter((side) => side !== null);
  return sides.length === 0 ? null : Math.min(...sides);
}

/** What moved the mood at a word, the heaviest first where several overlap. */
export function firedAt(utterance: Pick<Utterance, "fired">, word: Pick<Word, "from_ms" | "to_ms">): Fired | null {
  if (utterance.fired.length === 0) return null;
  const middle = (word.from_ms + word.to_ms) / 2;
  const here = utterance.fired.filter((one) => one.from_ms <= middle && middle < Math.max(one.to_ms, one.from_ms + 1));
  return here.sort((a, b) => Number(a.by !== "words") - Number(b.by !== "words") || Math.abs(b.weight) - Math.abs(a.weight))[0] ?? null;
}

/** "“charged twice” −55", "said again −38: “…”". */
export function firedText({ text, weight, by }: Fired): string {
  switch (by) {
    case "words": return `“${text}” ${signed(weight)}`;
    case "repeated": return `said again ${signed(weight)}: “${text}”`;
    case "problem": return `tells of a problem ${signed(weight)}: “${text}”`;
  }
}

/** One sentence where the words are missing or not enough, else `null`. */
export function transcriptSentence(page: InteractionPage): string | null {
  const { state, trouble, utterances, kind } = page.transcript;
  if (state === "failed") return trouble ?? "The words of this call could not be read. Listen.";
  if (state === "none") return trouble ?? "No words were made of this contact.";
  if (state === "pending" && kind === "live" && utterances.length > 0) return "As heard live, being completed from the recording…";
  if (state === "pending") return "Words are being read from the recording…";
  const share = understood(page);
  if (utterances.length === 0) return "Nobody said a word that could be heard.";
  return share !== null && share < LISTEN_UNDER ? `${share} % understood. Listen.` : null;
}

/** One sentence where the recording is missing or not whole, else `null`. */
export function recordingSentence(page: Pick<InteractionPage, "recording" | "segments" | "legs" | "duration_ms">): string | null {
  const { state, trouble } = page.recording;
  const gaps = unexplained(page);
  const paused = gaps.filter((gap) => gap.kind === "paused");
  const lost = gaps.filter((gap) => gap.kind === "lost").reduce((sum, gap) => sum + gap.to_ms - gap.from_ms, 0);
  const pauses = [...new Set(paused.map((gap) => `${duration(gap.from_ms)}–${duration(gap.to_ms)}`))].join(", ");
  switch (state) {
    case "none": return `No recording: ${trouble ?? (pauses ? `paused ${pauses}` : "this call was not recorded")}.`.replace(/\.\.$/, ".");
    case "open": return "The recording is still being written.";
    case "trouble": return trouble ?? "The recording is not whole.";
    case "ready":
      if (pauses) return `Recording paused ${pauses}.`;
      return lost >= 1000 ? `${(lost / 1000).toFixed(1)} s of audio were lost on the way; the gaps are marked.` : null;
  }
}
