// Beside the words: the card, sentiment, segments, offers with their lead, coverage, what was measured on the legs.
import type { ComponentChildren } from "preact";
import { now } from "../state/clock.ts";
import { mayChange } from "../state/rights.ts";
import { playFrom } from "../state/player.ts";
import { Tag } from "../ui/bits.tsx";
import { JudgedCard } from "../ui/card.tsx";
import type { InteractionPage, Leg, OfferRow, Transcript, Utterance } from "../types.ts";
import { ago, duration, signed } from "../words/format.ts";
import { madeBy, mood, plain, SEGMENT, SOUND } from "../words/labels.ts";
import { strongest } from "../words/moods.ts";
import { firedText } from "../words/transcript.ts";
import { PoorSound } from "./sound_strip.tsx";
import { Corrections, Coverage, Doubts } from "./words_facts.tsx";

export function Facts({ page, shown }: { page: InteractionPage; shown: Transcript }) {
  const may = mayChange(page);
  // The card comes some moments after the words.
  const coming = page.state === "open" || page.transcript.state === "pending" || (page.card === null && page.card_trouble === null && page.transcript.state === "done" && page.recording.state !== "none");
  return (
    <>
      <Part title="Card" aside={page.card ? madeBy(page.card.method) : ""} room={page.card || coming ? "card-room" : ""}>
        {page.card ? <JudgedCard card={page.card} interaction={page.interaction} mayJudge={may} />
          : <p class="muted">{page.card_trouble ? `No card: ${page.card_trouble}.` : page.state === "open" ? "It comes after the call." : page.transcript.state === "pending" ? "It comes with the words." : "No card was made."}</p>}
      </Part>
      <Part title="Sentiment" aside="customer" room={page.sentiment?.enough || coming ? "mood-room" : ""}><Sentiment page={page} /></Part>
      {page.quality.spans.length > 0 && <Part title="Poor sound" aside=""><PoorSound page={page} /></Part>}
      {page.transcript.state === "done" && <Part title="Understood" aside="of what was said"><Coverage page={page} shown={shown} /></Part>}
      {page.transcript.state === "done" && <Part title="Doubtful" aside="listen"><Doubts page={page} shown={shown} /></Part>}
      {shown.corrections.length > 0 && <Part title="Corrections" aside="the model's words stay kept"><Corrections page={page} shown={shown} mayChange={may} /></Part>}
      {page.ticket && <Part title="Ticket" aside=""><p><b>{page.ticket.subject}</b></p>{page.ticket.why && <p class="muted">{page.ticket.why}</p>}</Part>}
      {page.notes.length > 0 && <Part title="Notes" aside="">{page.notes.map((note) => <p key={note.note} class="note"><b>{note.by}</b> <span class="muted">{ago(note.at, now.peek())}</span><br />{note.text}</p>)}</Part>}
      <Part title="Offers" aside="pop before ring">{page.offers.length === 0 ? <p class="muted">No agent was offered this call.</p> : page.offers.map((offer, index) => <Offer key={index} offer={offer} />)}</Part>
      <Part title="Segments" aside=""><Segments page={page} /></Part>
      {page.sounds.length > 0 && <Part title="Heard" aside="not recorded"><Sounds page={page} /></Part>}
      <Part title="Legs" aside="packets">{page.legs.map((leg) => <LegFacts key={leg.leg} leg={leg} />)}</Part>
    </>
  );
}

/** `room`: what comes with the words has its room before, so that it pushes nothing away. */
function Part({ title, aside, room, children }: { title: string; aside: string; room?: string; children: ComponentChildren }) {
  return <section class={room}><h2 class="sec"><span>{title}</span><span>{aside}</span></h2>{children}</section>;
}

const CURVE = { width: 320, height: 64 };

function Sentiment({ page }: { page: InteractionPage }) {
  const sentiment = page.sentiment;
  if (!sentiment || !sentiment.enough || sentiment.overall === null) return <p class="muted">Not enough was said to tell.</p>;
  const scored = page.transcript.utterances.filter((one) => one.party === "customer" && one.sentiment !== null);
  const length = Math.max(1, page.recording.duration_ms ?? page.duration_ms ?? 1);
  const y = (value: number) => CURVE.height / 2 - (value / 100) * (CURVE.height / 2 - 4);
  const points = scored.map((one) => `${((one.from_ms / length) * CURVE.width).toFixed(1)},${y(one.sentiment ?? 0).toFixed(1)}`).join(" ");
  return (
    <>
      {scored.length > 1 && (
        <svg class="curve" viewBox={`0 0 ${CURVE.width} ${CURVE.height}`} preserveAspectRatio="none" role="img" aria-label={`Sentiment over the call, overall ${mood(sentiment.overall)}`}>
          <line x1="0" x2={CURVE.width} y1={CURVE.height / 2} y2={CURVE.height / 2} />
          <polyline points={points} />
        </svg>
      )}
      <div class="turn-moods" role="group" aria-label="Turns with a mood">
        {strongest(scored.filter((one) => one.sentiment !== 0), length).map((one) => <TurnMood key={one.from_ms} utterance={one} interaction={page.interaction} at={one.from_ms / length} />)}
      </div>
      <p><b>{mood(sentiment.overall)}</b> <span class="muted num">{signed(sentiment.overall)} · {sentiment.confidence} % sure{sentiment.trend && ` · ${signed(sentiment.trend[0])} → ${signed(sentiment.trend[1])}`}</span></p>
      {sentiment.why.length > 0 && <p class="muted">because of {sentiment.why.map((word) => `“${word}”`).join(", ")}</p>}
    </>
  );
}

/** One turn on the strip; on hover and focus the words that made its mood. */
function TurnMood({ utterance, interaction, at }: { utterance: Utterance; interaction: string; at: number }) {
  const score = utterance.sentiment ?? 0;
  const words = utterance.fired.map(firedText);
  const said = `${duration(utterance.from_ms)} ${mood(score)} ${signed(score)}${words.length > 0 ? `: ${words.join(", ")}` : ""}`;
  return (
    <button type="button" class={`turn-mood ${mood(score)}`} style={{ left: `${(at * 100).toFixed(2)}%` }} aria-label={`Play ${said}`} onClick={() => playFrom(interaction, utterance.from_ms, utterance.to_ms)}>
      <span class="tip" aria-hidden="true">{said}</span>
    </button>
  );
}

function Offer({ offer }: { offer: OfferRow }) {
  const lead = offer.lead_ms;
  return (
    <div class="fact-row">
      <span>{offer.agent}</span><span class="muted">{plain(offer.outcome ?? "open")}</span><span class="grow" />
      {lead === null ? <Tag>no desk</Tag> : <Tag tone={lead >= 0 ? "ok" : "bad"}><span class="num">{lead >= 0 ? `${lead} ms before` : `${-lead} ms late`}</span></Tag>}
    </div>
  );
}

function Segments({ page }: { page: InteractionPage }) {
  const legs = new Map(page.legs.map((leg) => [leg.leg, leg.party]));
  return (
    <ul class="segments">
      {page.segments.map((segment, index) => {
        const party = segment.leg === null ? "agent" : (legs.get(segment.leg) ?? "customer");
        return (
          <li key={index} class={party}>
            <span class="num muted">{duration(segment.from_ms)}</span><span>{SEGMENT[segment.kind]}{segment.position !== null && <span class="muted"> as number {segment.position}</span>}</span><span class="muted one">{party === "agent" ? segment.agent : "customer"}</span>
            <span class="grow" /><span class="num">{segment.to_ms === null ? "…" : duration(segment.to_ms - segment.from_ms)}</span>
          </li>
        );
      })}
    </ul>
  );
}

/** What the caller heard of ours while waiting. */
function Sounds({ page }: { page: InteractionPage }) {
  return (
    <ul class="segments">
      {page.sounds.map((sound) => (
        <li key={`${sound.kind}${sound.from_ms}`} class="customer">
          <span class="num muted">{duration(sound.from_ms)}</span><span>{SOUND[sound.kind]}</span><span class="muted one">{sound.clip}</span>
          <span class="grow" /><span class="num">{sound.to_ms === null ? "…" : duration(sound.to_ms - sound.from_ms)}</span>
        </li>
      ))}
    </ul>
  );
}

function LegFacts({ leg }: { leg: Leg }) {
  const totals = leg.totals;
  return (
    <div class="fact-row wrap">
      <span>{leg.party === "agent" ? (leg.agent ?? "Agent") : "Customer"}</span>
      <span class="muted">{leg.cause ? plain(leg.cause) : ""}</span><span class="grow" />
      <span class="num muted">{totals ? `${totals.received} in · ${totals.lost} lost · ${(totals.jitter_us / 1000).toFixed(1)} ms jitter` : "not measured"}</span>
    </div>
  );
}
