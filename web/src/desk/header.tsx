// The header: where I am, my state and its timer, whether my phone is reachable, the connection, who I am.
import { useState } from "preact/hooks";
import { now } from "../state/clock.ts";
import { backNotice, board, connection, ownQueues, queues, send, view } from "../state/desk.ts";
import { isSupervisor, logout, me, takesCalls } from "../state/session.ts";
import { nextTheme, theme } from "../state/theme.ts";
import { askNotifications, mayAskNotifications } from "../state/pop.ts";
import { go, route } from "../state/route.ts";
import { Menu, Timer, type MenuItem } from "../ui/bits.tsx";
import { Keyboard, Monitor, Moon, Phone, PhoneOff, RotateCcw, Sun, Wifi, WifiOff } from "../ui/icons.tsx";
import { duration, estimate } from "../words/format.ts";
import { NOT_READY_REASONS, STATE } from "../words/labels.ts";
import { together } from "../words/queues.ts";
import { keyMapOpen } from "./key_map.tsx";

export function Header() {
  return (
    <header class="top">
      <a class="home" href="#/desk" aria-label="Throughline, to the desk"><img src="/icon.svg" alt="" width="22" height="22" /><b>Throughline</b></a>
      {isSupervisor() && <Places />}
      <span class="grow" />
      <Waiting />
      <OwnPhone />
      <ConnectionState />
      {view.value && takesCalls() && <OwnState />}
      <ThemeButton />
      <button type="button" class="btn quiet icon keys-button" aria-label="Keys" title="Keys (?)" onClick={() => (keyMapOpen.value = true)}><Keyboard size={16} aria-hidden="true" /></button>
      <Person />
    </header>
  );
}

function Places() {
  const at = route.value.place;
  return (
    <nav class="places" aria-label="Places">
      <a href="#/desk" aria-current={at === "desk" ? "page" : undefined}>Desk</a>
      <a href="#/board" aria-current={at === "board" ? "page" : undefined}>Board</a>
      <a href="#/calls" aria-current={at === "calls" ? "page" : undefined}>Calls</a>
    </nav>
  );
}

/** Who waits: for a supervisor in the house, for an agent in the own queues. */
function Waiting() {
  const house = isSupervisor() ? board.value : null;
  if (!house && (!view.value || queues.value.length === 0)) return null;
  const waiting = house ? house.waiting : ownQueues.value.waiting;
  const since = house ? house.longest_since : ownQueues.value.longestSince;
  const estimateMs = house ? together(queues.value).estimateMs : ownQueues.value.estimateMs;
  const title = `Waiting${house ? "" : " in your queues"}, and the longest wait${estimateMs === null ? "" : `; one more caller would wait about ${estimate(estimateMs)}`}`;
  const text = <>{waiting === 0 ? "Nobody waiting" : `${waiting} waiting`}{since !== null && <> · {duration(now.value - since)}</>}</>;
  return house ? <button type="button" class="btn quiet waiting num" title={title} onClick={() => go("board")}>{text}</button>
    : <span class="fact waiting num" title={title}>{text}</span>;
}

function OwnPhone() {
  const v = view.value;
  const extension = me()?.extension ?? "Phone";
  if (!v || !takesCalls()) return null;
  return v.phone_registered
    ? <span class="fact" title="Your phone is registered"><Phone size={14} aria-hidden="true" /><span>{extension}</span></span>
    : <span class="fact bad" role="status"><PhoneOff size={14} aria-hidden="true" /><span>Phone not registered</span></span>;
}

function ConnectionState() {
  const state = connection.value;
  if (state.kind === "open") return <span class="fact" title="Connected"><Wifi size={14} aria-hidden="true" /><span class="sr">Connected</span></span>;
  return <span class="fact warn"><WifiOff size={14} aria-hidden="true" /><span>{state.kind === "lost" ? "Reconnecting" : "Connecting"}</span></span>;
}

function OwnState() {
  const [failed, setFailed] = useState(false);
  const v = view.value;
  if (!v) return null;
  const set = (state: "ready" | "not_ready" | "offline", reason: string | null) => setFailed(!send({ type: "set_state", state, reason }));
  const items: (MenuItem | "line")[] = [
    { label: "Ready", checked: v.state === "ready", pick: () => set("ready", null) },
    "line",
    ...NOT_READY_REASONS.map((reason) => ({ label: reason, detail: "Not ready", checked: v.state === "not_ready" && v.reason === reason, pick: () => set("not_ready", reason) })),
    "line",
    { label: "Offline", checked: v.state === "offline", pick: () => set("offline", null) },
  ];
  const name = v.state === "not_ready" && v.reason ? v.reason : STATE[v.state];
  return (
    <Menu label="My state:" kind={`state ${v.state}`} items={items}>
      <span class="dot" aria-hidden="true" /><span class="state-name">{failed ? "Not sent" : name}</span><Timer since={v.since} />
    </Menu>
  );
}

function ThemeButton() {
  const Icon = theme.value === "system" ? Monitor : theme.value === "light" ? Sun : Moon;
  const label = `Theme: ${theme.value === "system" ? "as the system" : theme.value}`;
  return <button type="button" class="btn quiet icon" aria-label={label} title={label} onClick={nextTheme}><Icon size={16} aria-hidden="true" /></button>;
}

function Person() {
  const who = me();
  if (!who) return null;
  const items: (MenuItem | "line")[] = [
    ...(mayAskNotifications() ? [{ label: "Notify me of calls", detail: "when this tab is hidden", pick: () => void askNotifications() }, "line" as const] : []),
    { label: "Keys", detail: "?", pick: () => (keyMapOpen.value = true) },
    { label: "Log out", pick: () => void logout() },
  ];
  return <Menu label="Account of" items={items}><span class="person">{who.name}</span></Menu>;
}

/** Connection lost, and back. Takes no room: it lies over the page's foot, inputs stay usable. */
export function ConnectionBanner() {
  const state = connection.value;
  const lost = state.kind === "lost" && now.value - state.since > 800;
  return (
    <div class="banner-place" role="status">
      {lost ? <div class="banner warn"><WifiOff size={15} aria-hidden="true" />Reconnecting… calls continue on your phone</div>
        : backNotice.value ? <div class="banner ok"><Wifi size={15} aria-hidden="true" />{backNotice.value}</div>
        : view.value?.notice ? <div class="banner warn"><RotateCcw size={15} aria-hidden="true" />{view.value.notice}</div> : null}
    </div>
  );
}
