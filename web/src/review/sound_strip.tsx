// How the call sounded, on the axis of the waveform above it: the opinion score of each side, and beside the words what was wrong.
import { playFrom } from "../state/player.ts";
import type { InteractionPage } from "../types.ts";
import { Tag } from "../ui/bits.tsx";
import { Play } from "../ui/icons.tsx";
import { count, duration } from "../words/format.ts";
import { POOR_MOS_X100, scoreLines, scoreY, silences, soundSummary } from "../words/sound.ts";

const HEIGHT = 40;

/** `expected`: there will be something to show, and it has its room already. */
export function SoundStrip({ page, durationMs, expected }: { page: InteractionPage; durationMs: number; expected: boolean }) {
  const { legs, spans } = page.quality;
  const summary = soundSummary(page.quality);
  if (summary === null && spans.length === 0 && !expected) return null;
  const length = Math.max(durationMs, 1, ...legs.map((leg) => leg.samples.at(-1)?.to_ms ?? 0));
  return (
    <div class="sound">
      <div class="line sound-head"><b>Sound</b>{spans.length > 0 ? <Tag tone="warn">{count(spans.length, "stretch", "stretches")} of poor sound</Tag> : summary !== null && <Tag tone="ok">good throughout</Tag>}<span class="muted num one">{summary ?? "Measured when the call has ended."}</span></div>
      <svg class="sound-chart" viewBox={`0 0 ${length} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`Opinion score of both sides over the call: ${summary ?? "nothing came"}`}>
        <line x1="0" x2={length} y1={scoreY(POOR_MOS_X100, HEIGHT)} y2={scoreY(POOR_MOS_X100, HEIGHT)} />
        {legs.flatMap((leg) => silences(leg).map((gap) => (
          <rect key={`${leg.leg}${gap.from_ms}`} class="silent" x={gap.from_ms} width={gap.to_ms - gap.from_ms} y={leg.party === "customer" ? 0 : HEIGHT / 2} height={HEIGHT / 2} />
        )))}
        {legs.flatMap((leg) => scoreLines(leg.samples, HEIGHT).map((points, index) => <polyline key={`${leg.leg}${index}`} class={leg.party} points={points} />))}
      </svg>
    </div>
  );
}

/** What was wrong, in words; each stretch can be heard. */
export function PoorSound({ page }: { page: InteractionPage }) {
  const playable = page.recording.state === "ready" || page.recording.state === "trouble";
  return (
    <ul class="sound-spans">
      {page.quality.spans.map((span) => (
        <li key={span.text}>
          {playable && <button type="button" class="play-chip num" aria-label={`Play from ${duration(span.from_ms)}`} onClick={() => playFrom(page.interaction, span.from_ms)}><Play size={9} aria-hidden="true" />{duration(span.from_ms)}</button>}
          <span class={span.kind === "not_heard" || span.kind === "hears_nothing" ? "bad-text" : "warn-text"}>{span.text}</span>
        </li>
      ))}
    </ul>
  );
}
