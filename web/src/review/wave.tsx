// The two lanes of a call on one time axis, on our own canvas: customer above, agent below; holds hatched, gaps marked.
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { loaded, playing, position, seek, solo } from "../state/player.ts";
import { colours } from "../state/theme.ts";
import type { InteractionPage, Peaks } from "../types.ts";
import { duration } from "../words/format.ts";
import { holds, unexplained, wordlessSpans } from "../words/transcript.ts";
import { axisStep, laneBars } from "../words/wave.ts";

const BAR_PX = 3;
const STRIP_PX = 5;
const AXIS_PX = 18;
const MARK_PX = 2;
/** One step up or down. */
const STEP_MS = 5000;

export function Wave({ page, peaks, durationMs }: { page: InteractionPage; peaks: Peaks | null; durationMs: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const head = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const draw = () => drawWave(element, page, peaks, durationMs);
    const observer = new ResizeObserver(draw);
    observer.observe(element);
    const stop = effect(() => {
      void colours.value;
      void solo.value;
      draw();
    });
    return () => { observer.disconnect(); stop(); };
  }, [page, peaks, durationMs]);
  useEffect(() => effect(() => {
    const at = loaded.value === page.interaction ? position.value : 0;
    const width = canvas.current?.clientWidth ?? 0;
    if (head.current) head.current.style.transform = `translateX(${durationMs > 0 ? Math.min(1, at / durationMs) * width : 0}px)`;
  }), [page.interaction, durationMs]);
  const seekTo = (event: PointerEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * durationMs);
  };
  // What a slider does; ← and → are the player's on the whole page.
  const onKeyDown = (event: KeyboardEvent) => {
    const to = { ArrowUp: position.value + STEP_MS, ArrowDown: position.value - STEP_MS, PageUp: position.value + durationMs / 10, PageDown: position.value - durationMs / 10, Home: 0, End: durationMs }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    seek(to);
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      class="wave" role="slider" tabIndex={0} aria-label="Place in the recording" aria-valuemin={0} aria-valuemax={Math.round(durationMs / 1000)}
      aria-valuenow={Math.round((playing.value ? position.peek() : position.value) / 1000)} aria-valuetext={duration(position.peek())}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => { event.currentTarget.setPointerCapture(event.pointerId); seekTo(event); }}
      onPointerMove={(event) => { if (event.buttons === 1) seekTo(event); }}
    >
      <canvas ref={canvas} />
      <span class="lane-name customer" aria-hidden="true">{page.customer?.name ?? "Caller"}</span>
      <span class="lane-name agent" aria-hidden="true">{page.legs.find((leg) => leg.party === "agent")?.agent ?? "Agent"}</span>
      <div class="playhead" ref={head} aria-hidden="true" />
    </div>
  );
}

interface Palette { customer: string; agent: string; line: string; muted: string; faint: string; warn: string; warnSoft: string; badSoft: string; bad: string; live: string }

function palette(element: HTMLElement): Palette {
  const probe = element.ownerDocument.createElement("i");
  element.parentElement?.append(probe);
  // A resolved `color` is the only way to read a light-dark() token.
  const read = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const result = {
    customer: read("--caller"), agent: read("--agent"), line: read("--line"), muted: read("--muted"), faint: read("--faint"), warn: read("--warn"), warnSoft: read("--warn-soft"),
    bad: read("--bad"), badSoft: read("--bad-soft"), live: read("--live"),
  };
  probe.remove();
  return result;
}

function drawWave(canvas: HTMLCanvasElement, page: InteractionPage, peaks: Peaks | null, durationMs: number): void {
  const scale = devicePixelRatio;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const context = canvas.getContext("2d");
  if (!context || width === 0 || durationMs <= 0) return;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  context.scale(scale, scale);
  const colour = palette(canvas);
  const x = (ms: number) => (ms / durationMs) * width;
  const lanes = height - AXIS_PX - STRIP_PX;
  for (const hold of holds(page)) hatch(context, x(hold.from_ms), x(hold.to_ms), lanes, colour.warnSoft, colour.warn);
  for (const gap of unexplained(page)) {
    if (gap.kind === "redacted") {
      const laneTop = gap.party === "customer" ? 0 : lanes / 2;
      hatch(context, x(gap.from_ms), x(gap.to_ms), lanes / 2, colour.line, colour.muted, laneTop);
      inside(context, "not kept", x(gap.from_ms), x(gap.to_ms), laneTop + lanes / 2 - 3, colour.muted);
      continue;
    }
    const top = gap.kind === "paused" ? 0 : gap.party === "customer" ? 0 : lanes / 2;
    context.fillStyle = colour.badSoft;
    context.fillRect(x(gap.from_ms), top, Math.max(2, x(gap.to_ms) - x(gap.from_ms)), gap.kind === "paused" ? lanes : lanes / 2);
    context.fillStyle = colour.bad;
    context.fillRect(x(gap.from_ms), top, Math.max(2, x(gap.to_ms) - x(gap.from_ms)), 2);
  }
  drawLane(context, peaks?.customer ?? [], peaks, durationMs, width, lanes / 4, lanes / 4 - 4, colour.customer, solo.peek() === "agent");
  drawLane(context, peaks?.agent ?? [], peaks, durationMs, width, (lanes * 3) / 4, lanes / 4 - 4, colour.agent, solo.peek() === "customer");
  for (const utterance of page.transcript.utterances) {
    if (utterance.party !== "customer" || utterance.sentiment === null || Math.abs(utterance.sentiment) < 20) continue;
    context.fillStyle = utterance.sentiment > 0 ? colour.live : colour.warn;
    context.fillRect(x(utterance.from_ms), lanes, Math.max(2, x(utterance.to_ms) - x(utterance.from_ms)), STRIP_PX - 1);
  }
  for (const span of wordlessSpans(page.transcript)) {
    const bottom = span.party === "customer" ? lanes / 2 : lanes;
    mark(context, x(span.from_ms), x(span.to_ms), bottom - MARK_PX - 1, span.refused ? colour.muted : colour.faint, !span.refused);
  }
  drawAxis(context, durationMs, width, height, colour);
}

/** A line under sound that is in no words: whole where it was refused, dotted where no utterance holds it. */
function mark(context: CanvasRenderingContext2D, from: number, to: number, top: number, colour: string, dotted: boolean): void {
  context.fillStyle = colour;
  const end = Math.max(from + MARK_PX, to);
  if (!dotted) return context.fillRect(from, top, end - from, MARK_PX);
  for (let at = from; at < end; at += MARK_PX * 2) context.fillRect(at, top, MARK_PX, MARK_PX);
}

function drawLane(
  context: CanvasRenderingContext2D, values: [number, number][], peaks: Peaks | null, durationMs: number, width: number, middle: number, half: number, colour: string, silent: boolean,
): void {
  context.globalAlpha = silent ? 0.25 : 1;
  context.fillStyle = colour;
  const bars = peaks ? laneBars(values, peaks.bucket_ms, durationMs, Math.floor(width / BAR_PX)) : [];
  for (let i = 0; i < Math.floor(width / BAR_PX); i += 1) {
    const size = Math.max(1.2, (bars[i] ?? 0) * half);
    context.fillRect(i * BAR_PX, middle - size, BAR_PX - 1.2, size * 2);
  }
  context.globalAlpha = 1;
}

/** A small text in a stretch, where it fits. */
function inside(context: CanvasRenderingContext2D, text: string, from: number, to: number, bottom: number, colour: string): void {
  context.font = "10px system-ui, sans-serif";
  context.textBaseline = "bottom";
  const size = context.measureText(text).width;
  if (size + 4 > to - from) return;
  context.fillStyle = colour;
  context.fillText(text, (from + to - size) / 2, bottom);
}

function hatch(context: CanvasRenderingContext2D, from: number, to: number, height: number, soft: string, strong: string, top = 0): void {
  context.save();
  context.beginPath();
  context.rect(from, top, Math.max(2, to - from), height);
  context.clip();
  context.fillStyle = soft;
  context.fillRect(from, top, to - from, height);
  context.strokeStyle = strong;
  context.globalAlpha = 0.35;
  context.lineWidth = 1;
  context.beginPath();
  for (let at = from - height; at < to; at += 8) {
    context.moveTo(at, top + height);
    context.lineTo(at + height, top);
  }
  context.stroke();
  context.restore();
}

function drawAxis(context: CanvasRenderingContext2D, durationMs: number, width: number, height: number, colour: Palette): void {
  const step = axisStep(durationMs, width);
  context.fillStyle = colour.muted;
  context.font = "11px ui-monospace, Menlo, Consolas, monospace";
  context.textBaseline = "bottom";
  for (let at = 0; at <= durationMs; at += step) {
    const x = (at / durationMs) * width;
    const text = duration(at);
    const size = context.measureText(text).width;
    context.fillText(text, Math.min(Math.max(0, x - size / 2), width - size), height);
  }
}
