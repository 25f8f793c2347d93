// The pop's promises: acknowledged when it is truly on the screen, announced when the tab is hidden, never in the way.
import { effect, signal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { callerLine, callerName } from "../words/labels.ts";
import { send, view } from "./desk.ts";
import { route } from "./route.ts";
import type { Id, OfferView } from "../types.ts";

const rendered = new Set<Id>();
const delivered = new Set<Id>();
/** What the live region reads. */
export const spoken = signal("");

/**
 * Acknowledges an offer that was just drawn: `rendered` after two frames of a visible tab. The first frame callback runs
 * before the paint of this change, the second after it.
 */
export function useRenderedAck(offer: Id | null): void {
  useLayoutEffect(() => {
    if (offer === null) return;
    let frame = 0;
    const whenVisible = () => {
      if (document.hidden || rendered.has(offer)) return;
      frame = requestAnimationFrame(() => {
        frame = requestAnimationFrame(() => {
          if (document.hidden || view.peek()?.offer?.offer !== offer) return;
          if (send({ type: "ack", offer, level: "rendered" })) rendered.add(offer);
        });
      });
    };
    whenVisible();
    document.addEventListener("visibilitychange", whenVisible);
    return () => {
      cancelAnimationFrame(frame);
      document.removeEventListener("visibilitychange", whenVisible);
    };
  }, [offer]);
}

function deliver(offer: OfferView): void {
  if (!document.hidden || delivered.has(offer.offer)) return;
  delivered.add(offer.offer);
  send({ type: "ack", offer: offer.offer, level: "delivered" });
  notify(offer);
}

function notify(offer: OfferView): void {
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  const note = new Notification(callerName(offer.brief), { body: callerLine(offer.brief), tag: offer.offer, icon: "/icon.svg" });
  note.onclick = () => {
    window.focus();
    note.close();
  };
}

export const notificationsAsked = signal(0);

export function mayAskNotifications(): boolean {
  return notificationsAsked.value >= 0 && "Notification" in window && Notification.permission === "default";
}

export async function askNotifications(): Promise<void> {
  await Notification.requestPermission();
  notificationsAsked.value += 1;
}

export function startPop(): void {
  let shown: Id | null = null;
  effect(() => {
    const v = view.value;
    const offer = v?.offer ?? null;
    document.title = offer ? `☎ ${callerName(offer.brief)} · Throughline` : v?.call ? "On a call · Throughline" : v?.wrap_up ? "Wrap-up · Throughline" : route.value.place === "board" ? "Board · Throughline" : route.value.place === "calls" ? "Calls · Throughline" : "Throughline";
    if (offer) deliver(offer);
    if (offer && (offer.offer !== shown || offer.brief.matched !== "late")) spoken.value = `Call: ${callerName(offer.brief)}. ${callerLine(offer.brief)}`;
    else if (!offer) spoken.value = "";
    shown = offer?.offer ?? null;
  });
}
