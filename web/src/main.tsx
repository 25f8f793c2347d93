// The page: starts the clock, the keys, the theme and the live connection, and draws where the reader is.
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { ConnectionBanner, Header } from "./desk/header.tsx";
import { Desk, useGo } from "./desk/desk.tsx";
import { OfferSlot } from "./desk/offer_slot.tsx";
import { KeyMap, keyMapOpen } from "./desk/key_map.tsx";
import { LoginOver, LoginPage } from "./login.tsx";
import { BoardPage } from "./review/board.tsx";
import { CallsPage } from "./review/calls.tsx";
import { startClock } from "./state/clock.ts";
import { startLive, view } from "./state/desk.ts";
import { startDrafts } from "./state/draft.ts";
import { hintText } from "./state/hint.ts";
import { startKeys, useKeys } from "./state/keys.ts";
import { pause } from "./state/player.ts";
import { spoken, startPop } from "./state/pop.ts";
import { route, startRoute } from "./state/route.ts";
import { isSupervisor, me, restore, session } from "./state/session.ts";
import { startTheme } from "./state/theme.ts";
import { Problem } from "./ui/bits.tsx";

function App() {
  const state = session.value;
  switch (state.kind) {
    case "loading": return null;
    case "out": return <LoginPage />;
    case "unreachable": return <main class="login-page"><Problem retry={() => void restore()}>{state.why}</Problem></main>;
    case "in": return <Page expired={state.expired} />;
  }
}

function Page({ expired }: { expired: boolean }) {
  const at = route.value;
  useKeys({ "?": () => { keyMapOpen.value = !keyMapOpen.value; } });
  useGo();
  useEffect(() => pause(), [at.place]);
  return (
    <>
      <Header />
      {at.place === "desk" || !isSupervisor() ? <Desk /> : at.place === "board" ? <BoardPage /> : <CallsPage interaction={at.interaction} at={at.at} />}
      {at.place !== "desk" && isSupervisor() && view.value?.offer && <div class="floating-offer"><OfferSlot /></div>}
      <ConnectionBanner />
      <div class="hint-place" role="status">{hintText.value && <div class="hint">{hintText.value}</div>}</div>
      <div class="sr" aria-live="assertive">{spoken.value}</div>
      <KeyMap />
      {expired && <LoginOver />}
    </>
  );
}

startTheme();
startClock();
startKeys();
startDrafts();
startPop();
startLive();
await restore();
startRoute(() => (isSupervisor() && me()?.extension === null ? { place: "board" } : { place: "desk" }));
const root = document.getElementById("root");
if (root) render(<App />, root);
