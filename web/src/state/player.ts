// One player for the whole page: a stereo stream (customer left, agent right), its sides apart when asked.
import { signal } from "@preact/signals";
import { api } from "../net/api.ts";
import type { Id } from "../types.ts";

export type Solo = "both" | "customer" | "agent";

/** A click on a word begins a little before it. */
export const BEFORE_WORD_MS = 300;
export const RATE_MIN = 0.5;
export const RATE_MAX = 3;
const RATE_STEP = 0.25;
const AFTER_RANGE_MS = 200;

export const loaded = signal<Id | null>(null);
export const playing = signal(false);
/** Place in the recording, ms; while playing it follows each frame. */
export const position = signal(0);
export const rate = signal(1);
export const solo = signal<Solo>("both");
export const trouble = signal<string | null>(null);

let audio: HTMLAudioElement | null = null;
let gains: { left: GainNode; right: GainNode; context: AudioContext } | null = null;
let until: number | null = null;
let pendingSeek: number | null = null;

function element(): HTMLAudioElement {
  if (audio) return audio;
  audio = new Audio();
  audio.preload = "auto";
  audio.preservesPitch = true;
  audio.addEventListener("play", () => {
    playing.value = true;
    requestAnimationFrame(follow);
  });
  audio.addEventListener("pause", () => (playing.value = false));
  audio.addEventListener("ended", () => (playing.value = false));
  audio.addEventListener("loadedmetadata", () => {
    if (pendingSeek !== null && audio) audio.currentTime = pendingSeek / 1000;
    pendingSeek = null;
  });
  audio.addEventListener("error", () => void explain());
  return audio;
}

/** The element only says that it failed; the server says why. */
async function explain(): Promise<void> {
  playing.value = false;
  const which = loaded.value;
  if (which === null) return;
  const response = await fetch(api.audioUrl(which), { headers: { Range: "bytes=0-0" } }).catch(() => null);
  if (loaded.value !== which) return;
  const said: unknown = response && !response.ok ? await response.json().catch(() => null) : null;
  const text = (said as { error?: unknown } | null)?.error;
  trouble.value = typeof text === "string" ? text
    : response?.status === 403 ? "Only a supervisor may listen to a colleague's call."
      : response?.status === 404 ? "No recording of this call." : "The recording could not be played. Try again.";
}

function follow(): void {
  if (!audio || audio.paused) return;
  position.value = audio.currentTime * 1000;
  if (until !== null && position.value >= until) {
    until = null;
    audio.pause();
    return;
  }
  requestAnimationFrame(follow);
}

/** Splits the stream so that each side can be heard alone, on both ears. Needs a gesture, hence at the first play. */
function wire(): void {
  if (gains || !audio) return;
  const context = new AudioContext();
  const source = context.createMediaElementSource(audio);
  const split = context.createChannelSplitter(2);
  const left = context.createGain();
  const right = context.createGain();
  source.connect(split);
  split.connect(left, 0);
  split.connect(right, 1);
  // Mixed to the middle: a customer in one ear and an agent in the other tires within minutes.
  left.connect(context.destination);
  right.connect(context.destination);
  gains = { left, right, context };
  applySolo();
}

function applySolo(): void {
  if (!gains) return;
  gains.left.gain.value = solo.value === "agent" ? 0 : 1;
  gains.right.gain.value = solo.value === "customer" ? 0 : 1;
}

export function load(interaction: Id): void {
  if (loaded.value === interaction) return;
  const player = element();
  player.pause();
  loaded.value = interaction;
  trouble.value = null;
  position.value = 0;
  until = null;
  pendingSeek = null;
  player.src = api.audioUrl(interaction);
  player.playbackRate = rate.value;
}

export function seek(ms: number): void {
  const player = element();
  const end = Number.isFinite(player.duration) ? player.duration * 1000 : Number.POSITIVE_INFINITY;
  const to = Math.max(0, Math.min(ms, end));
  until = null;
  position.value = to;
  if (player.readyState === 0) pendingSeek = to;
  else player.currentTime = to / 1000;
}

export function play(): void {
  const player = element();
  wire();
  void gains?.context.resume();
  player.playbackRate = rate.value;
  player.play().catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") return;
    if (trouble.value === null && error instanceof DOMException && error.name === "NotAllowedError") trouble.value = "The browser wants a click before it plays sound.";
  });
}

export function pause(): void {
  audio?.pause();
}

export function toggle(): void {
  if (playing.value) pause();
  else play();
}

/** Plays an interaction from a place; with `toMs` only that range, as a card line does. */
export function playFrom(interaction: Id, fromMs: number, toMs: number | null = null): void {
  load(interaction);
  seek(fromMs - BEFORE_WORD_MS);
  until = toMs === null ? null : toMs + AFTER_RANGE_MS;
  play();
}

export function changeRate(steps: number): void {
  rate.value = Math.max(RATE_MIN, Math.min(RATE_MAX, rate.value + steps * RATE_STEP));
  if (audio) audio.playbackRate = rate.value;
}

export function setSolo(next: Solo): void {
  solo.value = next;
  applySolo();
}
