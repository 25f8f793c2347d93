// The right column: the call, and at hang-up its wrap-up in the same place. The note's field stays the same field throughout.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { now } from "../state/clock.ts";
import { send, view } from "../state/desk.ts";
import { hint } from "../state/hint.ts";
import { useKeys } from "../state/keys.ts";
import { liveWordsOf, type LiveTranscript } from "../state/live_words.ts";
import { interactionOf, reloadInteraction } from "../state/record.ts";
import { me } from "../state/session.ts";
import { Empty, Kbd, Problem, Skeleton, Tag, Timer } from "../ui/bits.tsx";
import { AudioLines, PhoneIncoming, PhoneOff, TriangleAlert } from "../ui/icons.tsx";
import { JudgedCard } from "../ui/card.tsx";
import { LiveWords } from "../ui/live_words.tsx";
import { Words } from "../ui/words.tsx";
import type { CallView, Id, InteractionPage, LiveUtterance, OfferView, WrapUpView } from "../types.ts";
import { duration } from "../words/format.ts";
import { opinion } from "../words/sound.ts";
import { callerName } from "../words/labels.ts";
import { recordingSentence, transcriptSentence, understood } from "../words/transcript.ts";
import { Notes } from "./notes.tsx";
import { WrapUp } from "./wrap_up.tsx";

export function LivePanel() {
  const v = view.value;
  const current = v?.call ?? v?.wrap_up ?? null;
  if (current) return <Conversation key={current.interaction} interaction={current.interaction} call={v?.call ?? null} wrapUp={v?.call ? null : (v?.wrap_up ?? null)} />;
  if (v?.offer) return <Offered offer={v.offer} />;
  return <Empty title="No call">When a call is on, it is here: timer, words, notes, wrap-up.</Empty>;
}

function Offered({ offer }: { offer: OfferView }) {
  return (
    <div class="conversation">
      <div class="live-bar offered">
        <PhoneIncoming size={20} aria-hidden="true" />
        <div><b>{offer.ringing ? "Rings on your phone" : "About to ring"}</b><div class="muted">Answer there; the brief is already here.</div></div>
      </div>
      <Empty title={offer.queue}>Notes, words and wrap-up are here once you have answered.</Empty>
    </div>
  );
}

function Conversation({ interaction, call, wrapUp }: { interaction: Id; call: CallView | null; wrapUp: WrapUpView | null }) {
  const ended = wrapUp !== null;
  const slot = interactionOf(interaction);
  // The page read during the call knows no words: it is read again when the call has ended.
  useEffect(() => { if (ended) reloadInteraction(interaction); }, [ended]);
  const page = slot.value.kind === "ready" ? slot.value.value : null;
  useKeys({
    "shift+f9": () => {
      if (!call) return false;
      hangUp(interaction);
      return true;
    },
  });
  return (
    <div class={ended ? "conversation wrapping" : "conversation"}>
      {call ? <CallBar call={call} /> : wrapUp && <WrapUpBar wrapUp={wrapUp} />}
      {call ? <WordsNow call={call} page={page} /> : (
        <div class="live-words scroll" tabIndex={0} role="group" aria-label="Words">
          <AfterCall page={page} error={slot.value.kind === "error" ? slot.value.why : null} retry={() => reloadInteraction(interaction)} />
        </div>
      )}
      {wrapUp && <WrapUp interaction={interaction} page={page} />}
      <Notes interaction={interaction} page={page} yieldN={call?.brief.matched === "unknown"} />
    </div>
  );
}

/** What is said now; who speaks is known by leg once the record has the legs. */
function WordsNow({ call, page }: { call: CallView; page: InteractionPage | null }) {
  const transcript = liveWordsOf(call.interaction);
  const own = me()?.name;
  const nameOf = (utterance: LiveUtterance) => {
    if (utterance.party === "customer") return callerName(call.brief);
    const agent = page?.legs.find((leg) => leg.leg === utterance.leg)?.agent ?? own;
    return agent === own ? "You" : (agent ?? "You");
  };
  return <LiveWords transcript={transcript} nameOf={nameOf} empty={<NoWordsYet call={call} transcript={transcript} />} />;
}

function NoWordsYet({ call, transcript }: { call: CallView; transcript: LiveTranscript }) {
  if (transcript.trouble.value) return <Empty title="No words.">{transcript.trouble.value}</Empty>;
  if (call.answered_at === null) return <Empty title="Words come when they answer.">As they are said, here.</Empty>;
  if (!call.recording) return <Empty title="No words now.">Only what is recorded is written down.</Empty>;
  if (transcript.state.value === "unreachable") return <Empty title="Words appear after the call.">They are read from the recording, with a card of what was agreed.</Empty>;
  return <Empty title="Listening.">Words appear here as they are said.</Empty>;
}

function hangUp(interaction: Id): void {
  if (!send({ type: "hang_up", interaction })) hint("Not connected: hang up at your phone.");
}

function CallBar({ call }: { call: CallView }) {
  const held = call.held_since !== null;
  return (
    <div class="live-bar">
      <div class="line">
        <span class="big-timer"><Timer since={call.answered_at ?? call.started_at} /></span>
        <b class="one narrow-only" dir="auto">{callerName(call.brief)}</b>
        <span class="grow" />
        <button type="button" class="btn bad" onClick={() => hangUp(call.interaction)}><PhoneOff size={14} aria-hidden="true" />Hang up <Kbd>⇧F9</Kbd></button>
      </div>
      <div class="line">
        {call.answered_at === null ? <Tag tone="warn">ringing</Tag> : held ? <Tag tone="warn">on hold {duration(now.value - (call.held_since ?? 0))}</Tag> : <Tag tone="ok">talking</Tag>}
        {call.recording ? <Tag><i class="rec" aria-hidden="true" />recording</Tag> : call.answered_at !== null && <Tag tone="warn">not recording</Tag>}
        {call.direction === "outbound" && <Tag>from us</Tag>}
        <span class="grow" /><span class="muted one">{call.queue && (call.answered_at === null || call.direction === "outbound" ? call.queue : `${call.queue} · waited ${duration(call.answered_at - call.started_at)}`)}</span>
      </div>
      <BarNote tone={call.trouble || call.sound ? "warn" : ""}>{call.trouble ? <><TriangleAlert size={13} aria-hidden="true" /><span>{call.trouble}{call.trouble_since !== null && <> <Lasting since={call.trouble_since} /></>}</span></>
        : call.sound ? <><AudioLines size={13} aria-hidden="true" /><span class="one">{call.sound.text}</span><span class="num">· {opinion(call.sound.mos_x100)} of 4.5</span></> : <>Hold and mute at your phone</>}</BarNote>
    </div>
  );
}

/** How long the trouble lasts; not read out each second. */
function Lasting({ since }: { since: number }) {
  return <span class="num" aria-hidden="true">({duration(Math.max(0, now.value - since))})</span>;
}

function WrapUpBar({ wrapUp }: { wrapUp: WrapUpView }) {
  const left = wrapUp.until - now.value;
  const extend = () => {
    if (!send({ type: "extend_wrap_up", interaction: wrapUp.interaction })) hint("Not connected: the time runs on. Your words are kept.");
  };
  return (
    <div class="live-bar">
      <div class="line">
        <span class={left < 15_000 ? "big-timer warn-text" : "big-timer"}><Timer until={wrapUp.until} /></span>
        <span class="muted one">left to wrap up<span class="narrow-only"> {callerName(wrapUp.brief)}</span></span>
        <span class="grow" />
        <button type="button" class="btn" disabled={!wrapUp.may_extend} onClick={extend}>{wrapUp.may_extend ? "More time" : "Extended"}</button>
      </div>
      <div class="line"><Tag>talked {duration(wrapUp.talked_ms)}</Tag>{wrapUp.direction === "outbound" && <Tag>from us</Tag>}</div>
      <BarNote tone="">{left <= 0 ? "Time is up: saved as not wrapped up, under Mine." : "Then it is saved as not wrapped up, under Mine."}</BarNote>
    </div>
  );
}

function BarNote({ tone, children }: { tone: string; children: ComponentChildren }) {
  return <div class={`bar-note ${tone}`} role={tone ? "alert" : undefined}>{children}</div>;
}

function AfterCall({ page, error, retry }: { page: InteractionPage | null; error: string | null; retry: () => void }) {
  if (error !== null && !page) return <Problem retry={retry}>{error}</Problem>;
  if (!page) return <Skeleton lines={4} />;
  const sentence = transcriptSentence(page);
  const recording = page.recording.state === "open" ? null : recordingSentence(page);
  const share = understood(page);
  return (
    <>
      <div class="card-room">
        {page.card ? <JudgedCard card={page.card} interaction={page.interaction} mayJudge />
          : page.card_trouble ? <p class="muted">No card: {page.card_trouble}.</p>
            : page.transcript.state === "pending" && <div class="card-wait"><span class="muted">The card comes with the words…</span><Skeleton lines={3} /></div>}
      </div>
      {page.ticket && <p class="muted ticket-why">Ticket: <b>{page.ticket.subject}</b>{page.ticket.why && <> · {page.ticket.why}</>}</p>}
      {recording && <p class="warn-text">{recording}</p>}
      {sentence && (page.transcript.state !== "pending" || page.transcript.kind === "live" || page.card !== null) && <p class={share !== null && share < 60 ? "warn-text" : "muted"}>{sentence}</p>}
      <Words page={page.transcript.state === "pending" ? withHeard(page) : page} editable />
    </>
  );
}

/** Until the record has the words, those that were heard live stay on the screen. */
function withHeard(page: InteractionPage): InteractionPage {
  const heard = liveWordsOf(page.interaction).utterances.value;
  if (heard.length === 0 || page.transcript.utterances.length > 0) return page;
  const utterances = heard.filter((one) => !one.partial && one.rejected !== "echo").map(({ partial: _, ...one }) => ({ ...one, sentiment: null, fired: [] }));
  return { ...page, transcript: { ...page.transcript, utterances } };
}
