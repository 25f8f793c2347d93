// The agent's desk: work on the left, the customer in the centre, the call on the right; tabs on a narrow screen.
import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { now } from "../state/clock.ts";
import { connection, opened, ownQueues, send, view, workspace, type Workspace } from "../state/desk.ts";
import { useKeys } from "../state/keys.ts";
import { askNotifications, mayAskNotifications } from "../state/pop.ts";
import { customerOf, timelineOf, type Subject } from "../state/record.ts";
import { Empty, Problem } from "../ui/bits.tsx";
import { Bell, Phone, PhoneOff } from "../ui/icons.tsx";
import type { Brief, WorkItem } from "../types.ts";
import { duration } from "../words/format.ts";
import { briefOfItem } from "../words/item_brief.ts";
import type { Together } from "../words/queues.ts";
import { go } from "../state/route.ts";
import { isSupervisor } from "../state/session.ts";
import { BriefPanel } from "./brief.tsx";
import { ItemPanel } from "./item_panel.tsx";
import { Left } from "./left.tsx";
import { LivePanel } from "./live_panel.tsx";
import { TimelinePanel } from "./timeline.tsx";

type Tab = "work" | "customer" | "live";
const tab = signal<Tab>("work");
const TABS: [Tab, string][] = [["work", "Work"], ["customer", "Customer"], ["live", "Live"]];

export function Desk() {
  const current = workspace.value;
  useKeys({ escape: () => { if (!opened.value) return false; opened.value = null; return true; } });
  return (
    <main class={`desk tab-${tab.value}`}>
      <Left />
      <div class="centre" aria-label="Customer" role="region"><Centre current={current} /></div>
      <aside class="right" aria-label="Live">{current.kind === "item" ? <ItemPanel key={current.item.work_item} item={current.item} /> : <LivePanel />}</aside>
      <nav class="tabs" aria-label="Parts of the desk">
        {TABS.map(([which, label]) => (
          <button key={which} type="button" aria-current={tab.value === which ? "page" : undefined} onClick={() => (tab.value = which)}>
            {label}{which === "live" && view.value?.call && <span class="dot live-dot" aria-label="a call is on" role="img" />}
          </button>
        ))}
      </nav>
    </main>
  );
}

/** `G` then a letter goes somewhere, from every page; the letter must follow within a second. */
export function useGo(): void {
  const armed = useRef(0);
  const focus = (which: Tab, selector: string) => () => {
    if (performance.now() > armed.current) return false;
    armed.current = 0;
    go("desk");
    tab.value = which;
    requestAnimationFrame(() => document.querySelector<HTMLElement>(`.desk :is(${selector})`)?.focus());
    return true;
  };
  const place = (where: "board" | "calls") => () => {
    if (performance.now() > armed.current || !isSupervisor()) return false;
    armed.current = 0;
    go(where);
    return true;
  };
  useKeys({
    g: () => { armed.current = performance.now() + 1000; },
    w: focus("work", ".left .row"), c: focus("customer", ".timeline-scroll"), l: focus("live", "#note, .right button"), s: place("board"), a: place("calls"),
  });
}

function Centre({ current }: { current: Workspace }) {
  if (current.kind === "idle") return <Idle />;
  if (current.kind === "item") return <ItemCentre key={current.item.work_item} item={current.item} />;
  return (
    <div class="workspace" key={current.interaction}>
      <BriefPanel brief={current.brief} interaction={current.interaction} stage={current.stage} />
      <TimelineOf subject={subjectOf(current.brief)} brief={current.brief} />
    </div>
  );
}

function subjectOf(brief: Brief): Subject | null {
  if (brief.customer) return { of: "customers", id: brief.customer.customer };
  return brief.identity !== null && brief.matched === "unknown" ? { of: "identities", id: brief.identity } : null;
}

function TimelineOf({ subject, brief }: { subject: Subject | null; brief: Brief | null }) {
  if (subject) return <TimelinePanel key={`${subject.of}/${subject.id}`} subject={subject} />;
  if (brief?.matched === "several") return <div class="timeline"><Empty title="Whose history?">Choose who is calling above; until then nobody's contacts are mixed.</Empty></div>;
  if (brief?.matched === "late") return <div class="timeline" />;
  return <div class="timeline"><Empty title="First contact.">What you note here is what the next colleague sees.</Empty></div>;
}

function ItemCentre({ item }: { item: WorkItem }) {
  const page = item.customer ? customerOf(item.customer.customer).value : null;
  const subject: Subject | null = item.customer ? { of: "customers", id: item.customer.customer } : null;
  const entries = subject ? timelineOf(subject).entries.value : [];
  return (
    <div class="workspace">
      <BriefPanel brief={briefOfItem(item, page?.kind === "ready" ? page.value : null, entries, now.value)} interaction={null} stage="item" />
      <TimelineOf subject={subject} brief={null} />
    </div>
  );
}

function ReadyButton() {
  return <button type="button" class="btn primary" onClick={() => void send({ type: "set_state", state: "ready", reason: null })}>Ready</button>;
}

/** "Nothing waiting. Longest wait today 1:42." */
function idleTitle({ waiting, longestTodayMs }: Together): string {
  const now = waiting === 0 ? "Nothing waiting." : waiting === 1 ? "1 caller waiting." : `${waiting} callers waiting.`;
  return longestTodayMs > 0 ? `${now} Longest wait today ${duration(longestTodayMs)}.` : now;
}

function Idle() {
  const v = view.value;
  if (!v) {
    return connection.value.kind === "lost" ? <div class="idle"><Problem>No connection to the server yet. Calls reach your phone all the same.</Problem></div> : <div class="idle" />;
  }
  return (
    <div class="idle">
      {!v.phone_registered ? (
        <Empty icon={PhoneOff} title="Your phone is not registered. Calls will skip you.">
          <p>Switch it on, or check its account and network; this line goes as soon as it registers.</p>
          {v.state !== "ready" && <ReadyButton />}
        </Empty>
      ) : v.state === "ready" ? <Empty icon={Phone} title={idleTitle(ownQueues.value)}>The next call shows here, before your phone rings.</Empty>
        : <Empty icon={Phone} title={v.state === "offline" ? "You are offline." : "You are not ready."}><p>Calls go to your colleagues.</p><ReadyButton /></Empty>}
      {mayAskNotifications() && v.phone_registered && (
        <button type="button" class="link ask" onClick={() => void askNotifications()}><Bell size={13} aria-hidden="true" />Notify me of calls when this tab is hidden</button>
      )}
    </div>
  );
}
