// Beside the words: where each leg's speech went, what should be listened to, what people put right.
import { now } from "../state/clock.ts";
import { takeBack } from "../state/word_edit.ts";
import type { Correction, InteractionPage, LegShares, Transcript } from "../types.ts";
import { PlayEvidence } from "../ui/bits.tsx";
import { doubts, sharesText } from "../words/corrections.ts";
import { count, dateTime } from "../words/format.ts";

/** Doubtful spans listed; the rest is in the transcript. */
const DOUBTS_SHOWN = 20;

/** Sound like a voice outside all utterances that is worth a line: shorter is a breath. */
const OUTSIDE_SHOWN_MS = 1000;
/** Places of it that can be played from here; all longer ones have a line among the words. */
const OUTSIDE_SHOWN = 6;

export function Coverage({ page, shown }: { page: InteractionPage; shown: Transcript }) {
  const names = new Map(page.legs.map((leg) => [leg.leg, leg.party === "agent" ? (leg.agent ?? "Agent") : (page.customer?.name ?? "Customer")]));
  if (shown.legs.length === 0) return <p class="muted">Not known.</p>;
  return <>{shown.legs.map((leg) => <LegBar key={leg.leg} leg={leg} name={names.get(leg.leg) ?? (leg.party === "agent" ? "Agent" : "Customer")} />)}</>;
}

function LegBar({ leg, name }: { leg: LegShares; name: string }) {
  const text = sharesText(leg);
  const parts = [["understood", leg.understood], ["refused", leg.not_understood], ["lost", leg.lost], ["waiting", leg.waiting]] as const;
  let x = 0;
  return (
    <div class={`leg-bar ${leg.party}`}>
      <b>{name}</b>
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        {parts.map(([kind, percent]) => { const from = x; x += percent; return <rect key={kind} class={kind} x={from} width={percent} height="8" />; })}
      </svg>
      <span class="muted">{text}</span>
    </div>
  );
}

export function Doubts({ page, shown }: { page: InteractionPage; shown: Transcript }) {
  const all = doubts(shown.utterances);
  // The longest first: a breath is not worth a click.
  const outside = shown.legs.filter((leg) => leg.doubtful_ms >= OUTSIDE_SHOWN_MS).map((leg) => ({ leg, places: [...leg.doubtful].sort((a, b) => b.to_ms - b.from_ms - (a.to_ms - a.from_ms)).slice(0, OUTSIDE_SHOWN) }));
  if (all.length === 0 && outside.length === 0) return <p class="muted">Nothing doubtful.</p>;
  return (
    <ul class="doubts">
      {outside.map(({ leg, places }) => (
        <li key={leg.leg}>
          <PlayEvidence interaction={page.interaction} evidence={places.map((place) => ({ party: leg.party, ...place }))} />
          <span>voice, not transcribed</span><span class="muted"> · {leg.party}, {(leg.doubtful_ms / 1000).toFixed(1)}{"\u00a0"}s in {count(leg.doubtful.length + leg.doubtful_more, "place")}</span>
        </li>
      ))}
      {all.slice(0, DOUBTS_SHOWN).map((one) => (
        <li key={`${one.party}${one.from_ms}`}><PlayEvidence interaction={page.interaction} evidence={[one]} /><span>{one.why}</span><span class="muted"> · {one.party}, {((one.to_ms - one.from_ms) / 1000).toFixed(1)}{"\u00a0"}s</span></li>
      ))}
      {all.length > DOUBTS_SHOWN && <li class="muted">and {all.length - DOUBTS_SHOWN} more</li>}
    </ul>
  );
}

export function Corrections({ page, shown, mayChange }: { page: InteractionPage; shown: Transcript; mayChange: boolean }) {
  const partyOf = new Map(page.legs.map((leg) => [leg.leg, leg.party]));
  const row = (one: Correction) => (
    <li key={one.correction} class={one.state}>
      <PlayEvidence interaction={page.interaction} evidence={[{ party: partyOf.get(one.leg) ?? "customer", from_ms: one.from_ms, to_ms: one.to_ms }]} />
      <span><s>{one.before || "not understood"}</s> → <b>{one.after || "nothing said"}</b></span>
      <span class="muted"> {one.by}, {dateTime(one.at, now.peek())}{one.state === "taken_back" && " · taken back"}</span>
      {mayChange && one.state !== "taken_back" && <button type="button" class="link" onClick={() => void takeBack(page.interaction, one.correction)}>Undo</button>}
    </li>
  );
  const fits = shown.corrections.filter((one) => one.state !== "no_longer_fits");
  const lost = shown.corrections.filter((one) => one.state === "no_longer_fits");
  return (
    <>
      {fits.length > 0 && <ul class="corrections">{[...fits].reverse().map(row)}</ul>}
      {lost.length > 0 && <><p class="muted">No longer fits this revision:</p><ul class="corrections">{lost.map(row)}</ul></>}
    </>
  );
}

