// The desk as the server sees it, and what of it is on the screen. The view is always whole: it is drawn, never patched.
import { computed, effect, signal } from "@preact/signals";
import { Live, type Connection } from "../net/live.ts";
import type { AgentView, Board, Brief, Id, LiveMessage, OfferGone, OfferView, QueueView, WorkItem } from "../types.ts";
import { serverNow, setServerNow } from "./clock.ts";
import { deadenKeys } from "./keys.ts";
import { onLiveWords, refreshLiveWords } from "./live_words.ts";
import { refreshCalls } from "./calls.ts";
import { refreshInteraction } from "./record.ts";
import { route } from "./route.ts";
import { checkSession, session } from "./session.ts";
import { loadWork, ownCall, workChanged } from "./work.ts";
import { together } from "../words/queues.ts";

/** How long a vanished offer says why. */
const GONE_SHOWN_MS = 5000;
const BACK_SHOWN_MS = 4000;

export interface Gone { offer: OfferView; why: OfferGone; by: string | null }

export const view = signal<AgentView | null>(null);
export const board = signal<(Board & { receivedAt: number }) | null>(null);
/** The queues now and today. */
export const queues = signal<QueueView[]>([]);
export const connection = signal<Connection>({ kind: "connecting" });
/** "Back. 4 changes caught up.", for a moment. */
export const backNotice = signal<string | null>(null);
export const gone = signal<Gone | null>(null);
/** A work item that the agent opened over what the switch shows. */
export const opened = signal<WorkItem | null>(null);

export type Workspace =
  | { kind: "idle" }
  | { kind: "live"; stage: "offer" | "call" | "wrap_up"; interaction: Id; brief: Brief }
  | { kind: "item"; item: WorkItem };

/** What the switch has put before the agent. */
export const liveWorkspace = computed<Workspace>(() => {
  const v = view.value;
  if (v?.call) return { kind: "live", stage: "call", interaction: v.call.interaction, brief: v.call.brief };
  if (v?.wrap_up) return { kind: "live", stage: "wrap_up", interaction: v.wrap_up.interaction, brief: v.wrap_up.brief };
  if (v?.offer) return { kind: "live", stage: "offer", interaction: v.offer.interaction, brief: v.offer.brief };
  return { kind: "idle" };
});

/** The queues that the agent serves, as one. */
export const ownQueues = computed(() => together(queues.value.filter((queue) => view.value?.queues.includes(queue.queue))));

/** What the centre shows. */
export const workspace = computed<Workspace>(() => (opened.value ? { kind: "item", item: opened.value } : liveWorkspace.value));

let cursor = 0;
let goneTimer: ReturnType<typeof setTimeout> | undefined;
let backTimer: ReturnType<typeof setTimeout> | undefined;

const live = new Live({
  message: onMessage,
  connection: (next) => {
    connection.value = next;
  },
  refused: checkSession,
});

function onMessage(message: LiveMessage): void {
  switch (message.type) {
    case "hello": return onHello(message.cursor, message.now);
    case "ping": return setServerNow(message.now);
    case "agent": return onAgent(message);
    case "offer_gone": return onGone(message.offer, message.why, message.by);
    case "board":
      board.value = { ...message, receivedAt: serverNow() };
      return;
    case "queues":
      queues.value = message.queues;
      return;
    case "changed":
      for (const { interaction, customer } of message.changes) refreshInteraction(interaction, customer);
      if (route.value.place === "calls") refreshCalls();
      workChanged(message.changes);
      return;
    case "words": onLiveWords(message);
  }
}

function onHello(next: number, at: number | undefined): void {
  if (at !== undefined) setServerNow(at);
  if (cursor > 0) {
    const missed = Math.max(0, next - cursor);
    backNotice.value = missed === 0 ? "Back. Nothing was missed." : `Back. ${missed} ${missed === 1 ? "change" : "changes"} caught up.`;
    clearTimeout(backTimer);
    backTimer = setTimeout(() => (backNotice.value = null), BACK_SHOWN_MS);
  }
  cursor = next;
  if (watched !== null) live.send({ type: "watch_words", interaction: watched });
  refreshLiveWords();
  void loadWork();
}

/** The call whose words a supervisor reads: asked for again whenever the connection is back. */
let watched: Id | null = null;

export function watchWords(interaction: Id | null): void {
  watched = interaction;
  if (interaction !== null) live.send({ type: "watch_words", interaction });
}

function onAgent(next: AgentView & { cursor?: number }): void {
  if (next.cursor !== undefined) cursor = next.cursor;
  const before = view.value;
  if (next.offer && next.offer.offer !== before?.offer?.offer) {
    deadenKeys();
    gone.value = null;
  }
  // Accepting switches the workspace; the item that was open keeps its draft and scroll.
  if (next.call && next.call.interaction !== before?.call?.interaction) {
    opened.value = null;
    if (before) location.hash = "#/desk";
  }
  if (before?.wrap_up && !next.wrap_up) void loadWork();
  for (const one of [next.offer, next.call, next.wrap_up]) ownCall(one?.interaction);
  view.value = next;
}

function onGone(offer: Id, why: OfferGone, by: string | null): void {
  const shown = lastOffer.value;
  if (!shown || shown.offer !== offer) return;
  gone.value = { offer: shown, why, by };
  clearTimeout(goneTimer);
  goneTimer = setTimeout(() => (gone.value = null), GONE_SHOWN_MS);
}

/** The offer shown last: `offer_gone` may come after the view without it. */
const lastOffer = signal<OfferView | null>(null);
effect(() => {
  const offer = view.value?.offer;
  if (offer) lastOffer.value = offer;
});

export const send = (message: Parameters<Live["send"]>[0]): boolean => live.send(message);

export function startLive(): void {
  let running = false;
  effect(() => {
    const should = session.value.kind === "in" && !session.value.expired;
    if (should && !running) live.open();
    if (!should && running) live.close();
    running = should;
  });
  addEventListener("online", () => live.retryNow());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) live.retryNow();
  });
}

/** Shows the brief that the API answered at once; the view that follows says the same. */
export function showBrief(interaction: Id, brief: Brief): void {
  const v = view.value;
  if (!v) return;
  if (v.offer?.interaction === interaction) view.value = { ...v, offer: { ...v.offer, brief } };
  else if (v.call?.interaction === interaction) view.value = { ...v, call: { ...v.call, brief } };
  else if (v.wrap_up?.interaction === interaction) view.value = { ...v, wrap_up: { ...v.wrap_up, brief } };
}
