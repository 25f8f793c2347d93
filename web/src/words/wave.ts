// Peaks to bars, and the axis under them. Pure.

/** Peaks up to this are line noise: drawn as silence. */
const NOISE = 2;

/** Loudness 0…1 of each of `count` bars over `durationMs`; a square root lifts quiet speech into sight. */
export function laneBars(values: [number, number][], bucketMs: number, durationMs: number, count: number): number[] {
  const bars: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const first = Math.floor(((i / count) * durationMs) / bucketMs);
    const last = Math.max(first + 1, Math.floor((((i + 1) / count) * durationMs) / bucketMs));
    let loudest = 0;
    for (let j = first; j < last && j < values.length; j += 1) {
      const [low, high] = values[j] as [number, number];
      loudest = Math.max(loudest, -low, high);
    }
    bars.push(Math.sqrt(Math.min(1, Math.max(0, loudest - NOISE) / (127 - NOISE))));
  }
  return bars;
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800];
const LABEL_ROOM_PX = 80;

/** Milliseconds between two labels of the axis, so that they do not touch. */
export function axisStep(durationMs: number, width: number): number {
  const room = (durationMs / Math.max(1, width)) * LABEL_ROOM_PX;
  return (STEPS_S.find((step) => step * 1000 >= room) ?? 3600) * 1000;
}
