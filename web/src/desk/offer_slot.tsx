// The offers' slot: 96 px that are always there, so that a pop moves nothing and takes no focus.
import { gone, opened, send, view } from "../state/desk.ts";
import { useKeys } from "../state/keys.ts";
import { useRenderedAck } from "../state/pop.ts";
import { hint } from "../state/hint.ts";
import { Kbd, Timer } from "../ui/bits.tsx";
import { PhoneIncoming } from "../ui/icons.tsx";
import { callerLine, callerName, offerGone } from "../words/labels.ts";
import type { OfferView } from "../types.ts";

export function OfferSlot() {
  const offer = view.value?.offer ?? null;
  useRenderedAck(offer?.offer ?? null);
  useKeys({
    f2: () => {
      if (!view.value?.offer) return false;
      hint("Calls are accepted at your phone: lift the handset or press its answer key.");
      return true;
    },
    "shift+f2": () => {
      const current = view.value?.offer;
      if (!current) return false;
      decline(current);
      return true;
    },
  });
  return (
    <section class="offers" aria-label="Offers">
      <h2 class="sec">Offers</h2>
      {offer ? <Offer offer={offer} /> : gone.value ? <GoneOffer /> : <NoOffer />}
    </section>
  );
}

function NoOffer() {
  const v = view.value;
  if (v && !v.phone_registered) return <div class="offer-slot none warn-text">Your phone is not registered. Calls will skip you.</div>;
  return <div class="offer-slot none">{v?.state === "not_ready" || v?.state === "offline" ? "Not ready: calls go to your colleagues" : "No offer"}</div>;
}

function decline(offer: OfferView): void {
  if (!send({ type: "decline", offer: offer.offer })) hint("Not connected: decline at your phone.");
}

function Offer({ offer }: { offer: OfferView }) {
  return (
    <div class="offer-slot here" data-offer={offer.offer}>
      <div class="line">
        <PhoneIncoming size={15} aria-hidden="true" />
        <b class="one" dir="auto">{callerName(offer.brief)}</b>
        <span class="grow" />
        <span title="Waited so far"><Timer since={offer.at - offer.waited_ms} /></span>
      </div>
      <div class="one reason" dir="auto">{callerLine(offer.brief)}</div>
      <div class="line">
        <span class={offer.ringing ? "rings on" : "rings"}>{offer.ringing ? "On your phone" : "About to ring"}</span>
        <span class="grow" />
        {opened.value && <button type="button" class="btn small" onClick={() => (opened.value = null)}>Show</button>}
        <button type="button" class="btn small" onClick={() => decline(offer)}>Decline <Kbd>⇧F2</Kbd></button>
      </div>
    </div>
  );
}

function GoneOffer() {
  const value = gone.value;
  if (!value) return null;
  return (
    <div class="offer-slot gone" role="status">
      <b class="one" dir="auto">{callerName(value.offer.brief)}</b>
      <div class="muted">{offerGone(value.why, value.by)}</div>
    </div>
  );
}
