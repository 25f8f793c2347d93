// How the call sounded, on the axis of the waveform above it: the opinion score of each side, and in words what was wrong.
import { seek } from "../state/player.ts";
import type { InteractionPage } from "../types.ts";
import { Tag } from "../ui/bits.tsx";
import { duration } from "../words/format.ts";
import { POOR_MOS_X100, scoreLines, scoreY, silences, soundSummary } from "../words/sound.ts";

const HEIGHT = 40;

export function SoundStrip({ page, durationMs, playable }: { page: InteractionPage; durationMs: number; playable: boolean }) {
  const { legs, spans } = page.quality;
  const summary = soundSummary(page.quality);
  if (summary === null && spans.length === 0) return null;
  const length = Math.max(durationMs, 1, ...legs.map((leg) => leg.samples.at(-1)?.to_ms ?? 0));
  return (
    <div class="sound">
      <div class="line sound-head"><b>Sound</b>{spans.length === 0 && <Tag tone="ok">good throughout</Tag>}<span class="muted num one">{summary}</span></div>
      <svg class="sound-chart" viewBox={`0 0 ${length} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`Opinion score of both sides over the call: ${summary ?? "nothing came"}`}>
        <line x1="0" x2={length} y1={scoreY(POOR_MOS_X100, HEIGHT)} y2={scoreY(POOR_MOS_X100, HEIGHT)} />
        {legs.flatMap((leg) => silences(leg).map((gap) => (
          <rect key={`${leg.leg}${gap.from_ms}`} class="silent" x={gap.from_ms} width={gap.to_ms - gap.from_ms} y={leg.party === "customer" ? 0 : HEIGHT / 2} height={HEIGHT / 2} />
        )))}
        {legs.flatMap((leg) => scoreLines(leg.samples, HEIGHT).map((points, index) => <polyline key={`${leg.leg}${index}`} class={leg.party} points={points} />))}
      </svg>
      {spans.length > 0 && (
        <ul class="sound-spans" aria-label="Poor sound">
          {spans.map((span) => (
            <li key={span.text} class={span.kind === "not_heard" || span.kind === "hears_nothing" ? "bad-text" : "warn-text"}>
              {playable && <button type="button" class="play-chip num" aria-label={`Go to ${duration(span.from_ms)}`} onClick={() => seek(span.from_ms)}>{duration(span.from_ms)}</button>}
              <span>{span.text}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
