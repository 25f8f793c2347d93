// Everything before, by day, every channel readable in place. Of any length: only what can be seen is in the document.
import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { now } from "../state/clock.ts";
import { liveWorkspace } from "../state/desk.ts";
import { useKeys } from "../state/keys.ts";
import { timelineOf, type Subject, type Timeline as Store } from "../state/record.ts";
import { Empty, Problem, Skeleton } from "../ui/bits.tsx";
import { useVirtual } from "../ui/virtual.ts";
import type { Channel, Id, TimelineEntry } from "../types.ts";
import { dayHeading } from "../words/format.ts";
import { CHANNELS } from "../words/labels.ts";
import { entriesBefore, timelineRowsOf, type Row } from "../words/rows.ts";
import { About } from "./about.tsx";
import { Entry, estimateEntry } from "./entry.tsx";

/** Distance from the end at which older entries are asked for, rows. */
const MORE_AHEAD = 12;
const DAY_ROW_PX = 32;

/** The customer whose details lie over the timeline. */
export const aboutOpen = signal<Id | null>(null);

const jump = signal<Id | null>(null);

/** Shows an entry of the timeline that is open. */
export function jumpTo(interaction: Id): void {
  jump.value = null;
  jump.value = interaction;
}

export function TimelinePanel({ subject }: { subject: Subject }) {
  const store = timelineOf(subject);
  useEffect(() => store.start(), [store]);
  const live = liveWorkspace.value;
  const current = live.kind === "live" && live.stage !== "wrap_up" ? live.interaction : null;
  const all = store.entries.value;
  const entries = useMemo(() => entriesBefore(all, current), [all, current]);
  const [channel, setChannel] = useState<Channel | null>(null);
  const about = subject.of === "customers" && aboutOpen.value === subject.id;
  return (
    <section class="timeline" aria-label="Everything before">
      <div class="line timeline-head">
        <h2>Everything before</h2>
        <span class="grow" />
        <Filters store={store} entries={entries} channel={channel} choose={setChannel} />
      </div>
      {about ? <About customer={subject.id} close={() => (aboutOpen.value = null)} /> : <Body store={store} entries={entries} channel={channel} />}
    </section>
  );
}

function Filters({ store, entries, channel, choose }: { store: Store; entries: TimelineEntry[]; channel: Channel | null; choose: (channel: Channel | null) => void }) {
  const counts = useMemo(() => {
    const result = new Map<Channel, number>();
    for (const entry of entries) result.set(entry.channel, (result.get(entry.channel) ?? 0) + 1);
    return [...result].sort((a, b) => b[1] - a[1]);
  }, [entries]);
  const complete = store.state.value.kind === "ready" && store.state.value.value.complete;
  if (counts.length < 2) return null;
  return (
    <div class="filters" role="group" aria-label="Channels">
      <button type="button" class="chip" aria-pressed={channel === null} onClick={() => choose(null)}>All</button>
      {counts.map(([which, n]) => (
        <button key={which} type="button" class="chip" aria-pressed={channel === which} onClick={() => choose(channel === which ? null : which)}>
          {CHANNELS[which]}{complete && <span class="num"> {n}</span>}
        </button>
      ))}
    </div>
  );
}

function Body({ store, entries, channel }: { store: Store; entries: TimelineEntry[]; channel: Channel | null }) {
  const state = store.state.value;
  if (state.kind === "loading") return <div class="timeline-scroll scroll"><Skeleton lines={6} /></div>;
  if (state.kind === "error") {
    return <div class="timeline-scroll scroll"><Problem retry={() => void store.reload()}>{state.why}</Problem></div>;
  }
  if (entries.length === 0) {
    return <div class="timeline-scroll scroll"><Empty title="First contact.">What you note here is what the next colleague sees.</Empty></div>;
  }
  return <List store={store} entries={entries} channel={channel} />;
}

function List({ store, entries, channel }: { store: Store; entries: TimelineEntry[]; channel: Channel | null }) {
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => timelineRowsOf(entries, channel), [entries, channel]);
  const [active, setActive] = useState<string | null>(null);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const list = useVirtual({
    scroller, count: rows.length, initialOffset: store.scroll,
    estimate: (index) => { const row = rows[index]; return row?.kind === "entry" ? estimateEntry(row.entry) : DAY_ROW_PX; },
    keyOf: (index) => rows[index]?.key ?? String(index),
  });
  const last = list.items[list.items.length - 1]?.index ?? 0;
  useEffect(() => {
    if (last >= rows.length - MORE_AHEAD) void store.more();
    // A page may bring nothing of the chosen channel: then the next one is asked for.
  }, [last, rows.length, entries.length]);
  const toggle = (key: string) => {
    const next = new Set(open);
    if (!next.delete(key)) next.add(key);
    setOpen(next);
  };
  useTimelineKeys(rows, active, setActive, toggle, list.scrollTo);
  return (
    <div class="timeline-scroll scroll" ref={scroller} tabIndex={0} role="group" aria-label="Timeline" onScroll={(event) => (store.scroll = event.currentTarget.scrollTop)}>
      <div class="timeline-space" style={{ height: `${list.total}px` }}>
        {list.items.map((item) => {
          const row = rows[item.index];
          if (!row) return null;
          return (
            <div key={row.key} class="timeline-row" data-index={item.index} ref={list.measure} style={{ transform: `translateY(${item.start}px)` }}>
              {row.kind === "day" ? <h3 class="day">{dayHeading(row.at, now.peek())}</h3>
                : <Entry entry={row.entry} active={active === row.key} open={open.has(row.key)} toggle={() => { setActive(row.key); toggle(row.key); }} />}
            </div>
          );
        })}
      </div>
      {store.loadingMore.value && <p class="muted center" role="status">Older contacts…</p>}
    </div>
  );
}

function useTimelineKeys(rows: Row[], active: string | null, setActive: (key: string) => void, toggle: (key: string) => void, scrollTo: (index: number) => void): void {
  const show = (key: string) => {
    const index = rows.findIndex((row) => row.key === key);
    if (index < 0) return;
    setActive(key);
    scrollTo(index);
  };
  const move = (step: 1 | -1) => () => {
    const entries = rows.filter((row) => row.kind === "entry");
    const at = entries.findIndex((row) => row.key === active);
    const next = entries[at < 0 ? 0 : Math.max(0, Math.min(entries.length - 1, at + step))];
    if (next) show(next.key);
  };
  useKeys({ j: move(1), k: move(-1), enter: () => { if (active === null) return false; toggle(active); return true; } });
  const wanted = jump.value;
  useEffect(() => {
    if (wanted === null) return;
    show(wanted);
    jump.value = null;
  }, [wanted]);
}
