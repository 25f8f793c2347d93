// How a call sounded: scores and shares as people read them, and the lines of the chart. Pure.
import type { CallSound, LegSound, SoundSample } from "../types.ts";

/** Under this score many listeners are dissatisfied (ITU-T G.107, R 70). */
export const POOR_MOS_X100 = 360;
const WORST = 100;
const BEST = 450;

/** `349` → `3.5`. */
export function opinion(mosX100: number): string {
  return (mosX100 / 100).toFixed(1);
}

/** Place of a score in a chart of this height: the best on top. */
export function scoreY(mosX100: number, height: number): number {
  return ((BEST - Math.min(BEST, Math.max(WORST, mosX100))) / (BEST - WORST)) * height;
}

/** One leg's scores as steps, in pieces: silence breaks the line. */
export function scoreLines(samples: SoundSample[], height: number): string[] {
  const lines: string[] = [];
  let line: string[] = [];
  for (const sample of samples) {
    if (sample.mos_x100 === null) {
      if (line.length > 0) lines.push(line.join(" "));
      line = [];
      continue;
    }
    const y = scoreY(sample.mos_x100, height).toFixed(1);
    line.push(`${sample.from_ms},${y}`, `${sample.to_ms},${y}`);
  }
  if (line.length > 0) lines.push(line.join(" "));
  return lines;
}

/** The figures of a call in one line; `null` where nothing was measured. */
export function soundSummary(sound: CallSound): string | null {
  const samples = sound.legs.flatMap((leg) => leg.samples);
  const heard = samples.filter((sample) => sample.mos_x100 !== null);
  if (heard.length === 0) return null;
  const mean = heard.reduce((sum, sample) => sum + (sample.mos_x100 ?? 0), 0) / heard.length;
  const most = (of: (sample: SoundSample) => number | null) => samples.reduce((max, sample) => Math.max(max, of(sample) ?? 0), 0);
  const trip = most((sample) => sample.round_trip_us);
  const parts = [
    `MOS ${opinion(mean)} of 4.5`, `loss up to ${share(most((sample) => sample.lost_permille))}`, `jitter up to ${milliseconds(most((sample) => sample.jitter_us))}`,
    ...(trip > 0 ? [`there and back ${milliseconds(trip)}`] : []),
  ];
  return parts.join(" · ");
}

/** `80` → `8 %`, `4` → `0.4 %`. */
export function share(permille: number): string {
  return permille > 0 && permille < 10 ? `0.${permille} %` : `${Math.round(permille / 10)} %`;
}

function milliseconds(us: number): string {
  return us > 0 && us < 1000 ? "under 1 ms" : `${Math.round(us / 1000)} ms`;
}

/** The stretches in which a leg was not heard, for the chart. */
export function silences(leg: LegSound): { from_ms: number; to_ms: number }[] {
  return leg.samples.filter((sample) => sample.silent_ms > 0).map((sample) => ({ from_ms: Math.min(sample.from_ms, Math.max(0, sample.to_ms - sample.silent_ms)), to_ms: sample.to_ms }));
}
