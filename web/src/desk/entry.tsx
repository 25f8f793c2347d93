// One contact in the timeline: a message with its text, a call with its card, each line of which plays.
import { interactionOf } from "../state/record.ts";
import { loaded, pause, playFrom, trouble } from "../state/player.ts";
import { Facts, isPlaying, Mood, PlayEvidence, Problem, Skeleton, Tag } from "../ui/bits.tsx";
import { LineText } from "../ui/card.tsx";
import { CHANNEL_ICON, Pause, Play } from "../ui/icons.tsx";
import { Words } from "../ui/words.tsx";
import type { Card, Id, TimelineEntry } from "../types.ts";
import { duration, timeOfDay } from "../words/format.ts";
import { CARD, CHANNEL, plain } from "../words/labels.ts";
import { transcriptSentence } from "../words/transcript.ts";

/** Messages longer than this are folded. */
const FOLD_CHARS = 280;
const FOLD_LINES = 4;

function isLong(body: string | null): boolean {
  return body !== null && (body.length > FOLD_CHARS || body.split("\n").length > FOLD_LINES);
}

/** A first guess at an entry's height, px; it is measured when drawn. */
export function estimateEntry(entry: TimelineEntry): number {
  const text = Math.min(4, Math.ceil((entry.body?.length ?? 0) / 70)) * 19;
  return 62 + text + (entry.card?.lines.length ?? 0) * 21 + entry.notes.length * 24;
}

export function Entry({ entry, active, open, toggle }: { entry: TimelineEntry; active: boolean; open: boolean; toggle: () => void }) {
  const Icon = CHANNEL_ICON[entry.channel];
  const long = isLong(entry.body);
  const hasWords = entry.channel === "phone" && entry.transcript !== "none";
  return (
    <article class={active ? "entry active" : "entry"} aria-label={`${CHANNEL[entry.channel]}: ${entry.title}`}>
      <span class="num when">{timeOfDay(entry.at)}</span>
      <span class="channel" title={CHANNEL[entry.channel]}><Icon size={14} aria-hidden="true" /></span>
      <div class="entry-body">
        <div class="line entry-head">
          <b class="entry-title">{entry.title || CHANNEL[entry.channel]}</b>
          <span class="grow" />
          {entry.sentiment !== null && entry.sentiment <= -20 && <Mood value={entry.sentiment} />}
          {entry.outcome && <OutcomeTag outcome={entry.outcome} />}
          {entry.recorded && <PlayCall interaction={entry.interaction} />}
        </div>
        <div class="muted facts"><Facts of={entryFacts(entry)} /></div>
        {entry.body && <p class={long && !open ? "text folded" : "text"}>{entry.body}</p>}
        {entry.card && <CardLines card={entry.card} interaction={entry.interaction} />}
        {entry.notes.map((note) => <p key={note.note} class="note"><b>{note.by}</b> {note.text}</p>)}
        {(long || hasWords) && <button type="button" class="link" aria-expanded={open} onClick={toggle}>{open ? "Less" : hasWords ? "Words" : "All of it"}</button>}
        {open && hasWords && <EntryWords interaction={entry.interaction} />}
        {trouble.value && loaded.value === entry.interaction && <Problem>{trouble.value}</Problem>}
      </div>
    </article>
  );
}

function entryFacts(entry: TimelineEntry): string[] {
  const facts: string[] = [entry.direction === "outbound" ? `${CHANNEL[entry.channel]} from us` : CHANNEL[entry.channel]];
  if (entry.duration_ms !== null) facts.push(duration(entry.duration_ms));
  if (entry.agent) facts.push(entry.agent);
  if (entry.disposition) facts.push(entry.disposition);
  if (entry.ticket && entry.ticket.subject !== entry.title) facts.push(entry.ticket.subject);
  if (entry.transcript === "pending") facts.push("words are being read");
  if (entry.transcript === "failed") facts.push("no words");
  return facts;
}

function OutcomeTag({ outcome }: { outcome: string }) {
  const word = plain(outcome);
  return <Tag tone={/not|missed|abandon|gave up/i.test(word) ? "warn" : /solved|answered/i.test(word) ? "ok" : ""}>{word}</Tag>;
}

function PlayCall({ interaction }: { interaction: Id }) {
  const on = isPlaying(interaction);
  return (
    <button type="button" class="btn small" onClick={() => (on ? pause() : playFrom(interaction, 0))}>
      {on ? <Pause size={12} aria-hidden="true" /> : <Play size={12} aria-hidden="true" />}{on ? "Pause" : "Play"}
    </button>
  );
}

export function CardLines({ card, interaction }: { card: Card; interaction: Id }) {
  return (
    <dl class="card-lines">
      {card.lines.filter((line) => line.status !== "rejected").map((line) => (
        <div key={line.label + line.text}>
          <dt>{CARD[line.label]}</dt>
          <dd><LineText card={card} line={line} /> <PlayEvidence interaction={interaction} evidence={line.evidence} /></dd>
        </div>
      ))}
    </dl>
  );
}

function EntryWords({ interaction }: { interaction: Id }) {
  const page = interactionOf(interaction).value;
  if (page.kind === "loading") return <Skeleton lines={3} />;
  if (page.kind === "error") return <Problem>{page.why}</Problem>;
  const sentence = transcriptSentence(page.value);
  return <>{sentence && <p class="muted">{sentence}</p>}<Words page={page.value} /></>;
}

