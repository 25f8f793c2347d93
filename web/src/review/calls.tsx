// The calls: a list with filters on the left, the chosen call beside it.
import { useEffect, useRef } from "preact/hooks";
import { now } from "../state/clock.ts";
import { calls, filter, loadCalls, loadMoreCalls, lookedEnough, moreCalls, NO_FILTER, searched, setFilter } from "../state/calls.ts";
import { board } from "../state/desk.ts";
import { useKeys } from "../state/keys.ts";
import { callHash } from "../state/route.ts";
import { Empty, Mood, Problem, Skeleton, Tag } from "../ui/bits.tsx";
import { DayField } from "../ui/day_field.tsx";
import { Phone, Search } from "../ui/icons.tsx";
import { useVirtual } from "../ui/virtual.ts";
import type { CallRow, Id } from "../types.ts";
import { calendarDays, date, duration, phone, timeOfDay } from "../words/format.ts";
import { marked } from "../words/find.ts";
import { plain } from "../words/labels.ts";
import { CallPage } from "./call_page.tsx";

const ROW_PX = 64;
const TYPING_PAUSE_MS = 250;
const MORE_AHEAD = 8;
/** Less poor sound than one interval of measuring is not worth a mark. */
const POOR_SHOWN_MS = 5000;

export function CallsPage({ interaction, at }: { interaction: Id | null; at: number | null }) {
  useEffect(() => void loadCalls(), []);
  return (
    <main class={interaction ? "calls chosen" : "calls"}>
      <section class="calls-list" aria-label="Calls">
        <Filters />
        <List chosen={interaction} />
      </section>
      {interaction ? <CallPage key={interaction} interaction={interaction} at={at} /> : <div class="call-page none"><Empty icon={Phone} title="No call chosen.">The arrows, or J and K, go through the list.</Empty></div>}
    </main>
  );
}

function Filters() {
  const { from, to, agent, q } = filter.value;
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const type = (text: string) => {
    filter.value = { ...filter.value, q: text };
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void loadCalls(), TYPING_PAUSE_MS);
  };
  const agents = board.value?.agents ?? [];
  return (
    <form class="filter" onSubmit={(event) => { event.preventDefault(); void loadCalls(); }}>
      <label class="field"><Search size={14} aria-hidden="true" /><span class="sr">Words said, name or number</span><input type="search" placeholder="Words said, name or number" value={q} onInput={(event) => type(event.currentTarget.value)} /></label>
      <div class="filter-days">
        <DayField label="From" value={from} max={to || undefined} change={(day) => setFilter({ from: day })} />
        <span class="muted" aria-hidden="true">–</span>
        <DayField label="To" value={to} min={from || undefined} change={(day) => setFilter({ to: day })} />
      </div>
      <label><span class="sr">Agent</span>
        <select value={agent ?? ""} onChange={(event) => setFilter({ agent: event.currentTarget.value || null })}>
          <option value="">All agents</option>
          {agents.map((one) => <option key={one.agent} value={one.agent}>{one.name}</option>)}
        </select>
      </label>
    </form>
  );
}

function List({ chosen }: { chosen: Id | null }) {
  const state = calls.value;
  if (state.kind === "loading") return <Skeleton lines={8} />;
  if (state.kind === "error") return <Problem retry={() => void loadCalls()}>{state.why}</Problem>;
  if (state.value.length === 0 && moreCalls.value !== null) return <div class="calls-further"><Further near found={0} /></div>;
  if (state.value.length === 0) {
    const none = JSON.stringify(filter.value) === JSON.stringify(NO_FILTER);
    return none ? <Empty title="No calls yet.">The first one is here as soon as it ends.</Empty>
      : <Empty title="No call fits."><button type="button" class="btn" onClick={() => setFilter(NO_FILTER)}>Show all</button></Empty>;
  }
  return <Rows rows={state.value} chosen={chosen} />;
}

function Rows({ rows, chosen }: { rows: CallRow[]; chosen: Id | null }) {
  const scroller = useRef<HTMLDivElement>(null);
  const list = useVirtual({ scroller, count: rows.length, estimate: () => ROW_PX, keyOf: (index) => rows[index]?.interaction ?? String(index) });
  const last = list.items[list.items.length - 1]?.index ?? 0;
  const move = (step: 1 | -1) => () => {
    const at = rows.findIndex((row) => row.interaction === chosen);
    const index = at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step));
    const next = rows[index];
    if (!next) return;
    location.hash = callHash(next.interaction, next.said?.from_ms);
    list.scrollTo(index);
  };
  // In an open call J is the player's, and where its words are scrolled the arrows are theirs.
  const unless = (taken: () => boolean, act: () => void) => () => {
    if (taken()) return false;
    act();
    return true;
  };
  const open = () => chosen !== null;
  const reading = () => document.activeElement?.closest(".call-page .scroll, .call-page .wave") != null;
  useKeys({ j: unless(open, move(1)), k: unless(open, move(-1)), arrowdown: unless(reading, move(1)), arrowup: unless(reading, move(-1)) });
  return (
    <div class="calls-rows scroll" ref={scroller} tabIndex={0} role="group" aria-label="List of calls">
      <div class="timeline-space" style={{ height: `${list.total}px` }}>
        {list.items.map((item) => {
          const row = rows[item.index];
          return row && (
            <div key={row.interaction} class="timeline-row" data-index={item.index} ref={list.measure} style={{ transform: `translateY(${item.start}px)` }}>
              <Row row={row} chosen={row.interaction === chosen} />
            </div>
          );
        })}
      </div>
      <Further near={last >= rows.length - MORE_AHEAD} found={rows.length} />
    </div>
  );
}

/** Reads on by itself where the list ends; after many pages on which nothing fits only when somebody wants it. */
function Further({ near, found }: { near: boolean; found: number }) {
  const next = moreCalls.value;
  useEffect(() => { if (near) void loadMoreCalls(); }, [near, next, found]);
  if (next === null) return null;
  if (!lookedEnough.value) return <p class="muted center" role="status">{found === 0 ? "Looking further back…" : "More…"}</p>;
  return <p class="center"><span class="muted">{found === 0 ? "Nothing fits so far. " : ""}</span><button type="button" class="link" onClick={() => void loadMoreCalls(true)}>Look further back</button></p>;
}

/** A text with what was looked for marked in it. */
function Marked({ text, sought }: { text: string; sought: string }) {
  return <>{marked(text, sought).map((part, index) => (part.found ? <mark key={index}>{part.text}</mark> : part.text))}</>;
}

function Row({ row, chosen }: { row: CallRow; chosen: boolean }) {
  const when = calendarDays(row.at, now.peek()) === 0 ? timeOfDay(row.at) : `${date(row.at, now.peek())} ${timeOfDay(row.at)}`;
  return (
    <a class="call-row" href={callHash(row.interaction, row.said?.from_ms)} aria-current={chosen ? "true" : undefined}>
      <span class="line"><b class="one" dir="auto">{row.customer ?? (row.number ? phone(row.number) : "Number withheld")}</b><span class="grow" /><span class="num muted">{when}</span></span>
      <span class="line one-line muted">
        <span class="one">{row.cause === null ? (row.outcome === "answered" ? <>{row.agent ?? "Answered"} · on the line</> : "waiting for somebody") : row.outcome === "answered" ? <><bdi>{row.agent ?? "Agent"}</bdi> · <span class="num">{duration(row.talked_ms ?? 0)}</span>{row.title && <> · <bdi>{row.title}</bdi></>}</>
          : <>{row.direction === "outbound" ? "we called, given up" : row.outcome === "abandoned" ? "gave up" : "missed"} after <span class="num">{duration(row.waited_ms ?? 0)}</span>{row.cause ? ` · ${plain(row.cause)}` : ""}</>}</span>
      </span>
      {row.said && <span class="one said"><span class="num muted">{duration(row.said.from_ms)}</span> <bdi>“<Marked text={row.said.text} sought={searched.value} />”</bdi></span>}
      <span class="line tags">
        {row.direction === "outbound" && <Tag>from us</Tag>}
        {row.cause === null && <Tag tone="ok">now</Tag>}
        {row.cause !== null && row.outcome !== "answered" && <Tag tone={row.direction === "outbound" ? "warn" : "bad"}>{row.direction === "outbound" ? "not reached" : row.outcome}</Tag>}
        {row.disposition && <Tag>{row.disposition}</Tag>}
        {row.sentiment !== null && Math.abs(row.sentiment) >= 20 && <Mood value={row.sentiment} />}
        {row.cause !== null && row.outcome === "answered" && !row.recorded && <Tag tone="">no recording</Tag>}
        {row.poor_ms >= POOR_SHOWN_MS && <Tag tone="warn" title={`${duration(row.poor_ms)} of poor or missing sound`}>poor sound</Tag>}
        {row.coverage !== null && row.coverage < 60 && <Tag tone="warn">{row.coverage} % understood</Tag>}
      </span>
    </a>
  );
}
