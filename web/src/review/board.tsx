// The supervisor's board: alarms with their remedies first, then the figures, who waits, the queues and the agents.
// Whatever comes and goes in a call has its room from the beginning, so that nothing slides away under a pointer.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { now } from "../state/clock.ts";
import { NO_FILTER, setFilter } from "../state/calls.ts";
import { board, connection, queues } from "../state/desk.ts";
import { go } from "../state/route.ts";
import { Empty, Skeleton, Timer } from "../ui/bits.tsx";
import { ArrowDown, PhoneOff, TriangleAlert, Users } from "../ui/icons.tsx";
import type { AgentState, Board, BoardAgent } from "../types.ts";
import { duration, estimate, phone, span, toLocalInput } from "../words/format.ts";
import { STATE } from "../words/labels.ts";
import { together } from "../words/queues.ts";

/** Without news for this long while disconnected, the figures are old. */
const STALE_MS = 3000;
/** A wait over this is worth a colour. */
const LONG_WAIT_MS = 60_000;
const ORDER: AgentState[] = ["busy", "offered", "wrap_up", "ready", "not_ready", "offline"];

/** Agents by state, in each the longest first. */
export function byTimeInState(agents: BoardAgent[]): BoardAgent[] {
  return [...agents].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.since - b.since || a.name.localeCompare(b.name));
}

/** Agents by name, those who are not here last: nobody moves while states change. */
export function byName(agents: BoardAgent[]): BoardAgent[] {
  return [...agents].sort((a, b) => Number(a.state === "offline") - Number(b.state === "offline") || a.name.localeCompare(b.name));
}

export function BoardPage() {
  const state = board.value;
  const link = connection.value;
  const age = state && link.kind === "lost" ? now.value - link.since : 0;
  return (
    <main class="board" aria-label="Board" tabIndex={0}>
      {!state ? <Skeleton lines={6} /> : (
        <div class={age > STALE_MS ? "board-body stale" : "board-body"}>
          <Alarms alarms={state.alarms} staleMs={age > STALE_MS ? age : null} />
          <Figures state={state} />
          <Callers state={state} />
          <div class="board-tables">
            <Queues />
            <Agents agents={state.agents} calls={state.calls} />
          </div>
        </div>
      )}
    </main>
  );
}

/** Room for one alarm is kept, so that the first moves nothing. */
function Alarms({ alarms, staleMs }: { alarms: string[]; staleMs: number | null }) {
  return (
    <div class="alarm-place">
      <div role="alert">
        {alarms.length > 0 && <ul class="alarms" aria-label="Alarms">{alarms.map((alarm) => <li key={alarm}><TriangleAlert size={16} aria-hidden="true" /><span>{alarm}</span></li>)}</ul>}
      </div>
      {alarms.length === 0 && staleMs === null && <p class="no-alarm muted">No alarm</p>}
      {staleMs !== null && <p class="warn-text stale-note" role="status">This is {span(staleMs)} old: the connection is lost.</p>}
    </div>
  );
}

function Figures({ state }: { state: Board }) {
  const wait = state.longest_since === null ? null : now.value - state.longest_since;
  const day = together(queues.value);
  return (
    <dl class="figures">
      <Figure label="Waiting" opens="Callers who wait" open={show(".callers-list")} tone={state.waiting > 0 ? "warn" : ""}>{state.waiting}</Figure>
      <Figure label="Longest wait" opens="Callers who wait" open={show(".callers-list")} tone={wait !== null && wait > LONG_WAIT_MS ? "bad" : ""}>{wait === null ? "–" : duration(wait)}</Figure>
      <Figure opens="The queues today" open={show(".queues")} label={day.level === null ? "Service level today" : `Service level, target ${day.target} %`} tone={day.level !== null && day.level < day.target ? "bad" : ""}>{day.level === null ? "–" : <>{day.level}<small> %</small></>}</Figure>
      <Figure label="Abandoned today" opens="Today's calls that were abandoned" open={abandonedToday} tone={day.abandoned > 0 ? "warn" : ""}>{day.abandoned}{day.abandonedShort > 0 && <small> + {day.abandonedShort} short</small>}</Figure>
    </dl>
  );
}

/** Every figure opens its list. */
function Figure({ label, opens, open, tone, children }: { label: string; opens: string; open: () => void; tone: string; children: ComponentChildren }) {
  return <div class={`figure ${tone}`}><dt>{label}</dt><dd class="num"><button type="button" title={opens} onClick={open}>{children}<span class="sr">: {opens}</span></button></dd></div>;
}

/** A list that is on this page gets the focus, wherever it is. */
const show = (selector: string) => () => document.querySelector<HTMLElement>(`.board ${selector}`)?.focus();

function abandonedToday(): void {
  const day = toLocalInput(now.peek()).slice(0, 10);
  setFilter({ ...NO_FILTER, q: "abandoned", from: day, to: day });
  go("calls");
}

/** Who waits, next first in each queue; in a place of its own, where a long row of callers pushes nothing else away. */
function Callers({ state }: { state: Board }) {
  return (
    <section class="callers" aria-label="Callers who wait">
      <h2 class="sec"><span>Callers who wait</span><span class="num">{state.waiting}</span></h2>
      <div class="callers-list scroll" tabIndex={0} role="group" aria-label="List of callers">
        {state.waiting === 0 && <p class="muted">Nobody waits. Longest wait today {duration(together(queues.value).longestTodayMs)}.</p>}
        <ul>
          {state.callers.map((caller) => (
            <li key={caller.interaction}>
              <span class="line"><b class="one" dir="auto">{caller.name ?? (caller.number ? phone(caller.number) : "Number withheld")}</b>{caller.name && caller.number && <span class="one muted num">{phone(caller.number)}</span>}<span class="grow" /><span class={now.value - caller.since > LONG_WAIT_MS ? "bad-text num" : "num"}>{duration(now.value - caller.since)}</span></span>
              <span class="one muted">{caller.queue}, number <span class="num">{caller.position}</span>{caller.offered_to !== null ? <> · offered to {caller.offered_to}</> : caller.estimate_ms !== null && <> · answer in about {estimate(caller.estimate_ms)}</>}</span>
            </li>
          ))}
        </ul>
        {state.waiting > state.callers.length && <p class="muted">and {state.waiting - state.callers.length} more</p>}
      </div>
    </section>
  );
}

/** Each queue's day. */
function Queues() {
  if (queues.value.length === 0) return null;
  return (
    <table class="agents queues" tabIndex={-1}>
      <caption class="sr">Queues today</caption>
      <thead><tr><th scope="col" class="name-cell">Queue</th><th scope="col" class="right-cell">Wait now</th><th scope="col" class="right-cell">Offered</th><th scope="col" class="right-cell">Answered</th><th scope="col" class="right-cell">Abandoned</th><th scope="col" class="right-cell">Not reached</th><th scope="col" class="right-cell" title="Average time to the answer">Average</th><th scope="col" class="right-cell">Longest</th><th scope="col" class="right-cell level-cell">Service level</th></tr></thead>
      <tbody>
        {queues.value.map((queue) => (
          <tr key={queue.queue}>
            <th scope="row">{queue.queue}</th>
            <td class="right-cell num">{queue.estimate_ms === null ? <span class="muted">–</span> : estimate(queue.estimate_ms)}</td>
            <td class="right-cell num">{queue.offered}</td>
            <td class="right-cell num">{queue.answered}</td>
            <td class="right-cell num">{queue.abandoned}{queue.abandoned_short > 0 && <span class="muted"> + {queue.abandoned_short} short</span>}</td>
            <td class="right-cell num">{queue.turned_away}</td>
            <td class="right-cell num">{queue.average_answer_ms === null ? "–" : duration(queue.average_answer_ms)}</td>
            <td class="right-cell num">{queue.longest_ms === 0 ? "–" : duration(queue.longest_ms)}</td>
            <td class="right-cell num"><span class={queue.service_level !== null && queue.service_level < queue.target ? "bad-text" : ""}>{queue.service_level === null ? "–" : `${queue.service_level} %`}</span> <span class="muted">{queue.target}/{queue.within_s} s</span></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const ORDER_KEY = "throughline.board";
/** By name as long as nobody wants it otherwise. */
const byState = signal(localStorage.getItem(ORDER_KEY) === "state");

function order(state: boolean): void {
  byState.value = state;
  if (state) localStorage.setItem(ORDER_KEY, "state");
  else localStorage.removeItem(ORDER_KEY);
}

function Agents({ agents, calls }: { agents: BoardAgent[]; calls: number }) {
  if (agents.length === 0) return <Empty icon={Users} title="No agents yet.">An admin adds them: throughline user add.</Empty>;
  const sorted = (on: boolean) => (on ? "ascending" : "none");
  return (
    <table class="agents people">
      <caption><b class="num">{agents.filter((agent) => agent.state === "ready").length} ready</b> of {agents.filter((agent) => agent.state !== "offline").length} here · {calls === 1 ? "1 call" : `${calls} calls`} now</caption>
      <thead><tr>
        <th scope="col" class="name-cell" aria-sort={sorted(!byState.value)}><button type="button" class="sort" onClick={() => order(false)} title="By name: everybody keeps their place">Agent<ArrowDown size={11} aria-hidden="true" /></button></th>
        <th scope="col" aria-sort={sorted(byState.value)}><button type="button" class="sort" onClick={() => order(true)} title="By state, in each the longest first">State<ArrowDown size={11} aria-hidden="true" /></button></th>
        <th scope="col" class="right-cell for-cell">For</th><th scope="col" class="phone-cell">Phone</th>
      </tr></thead>
      <tbody>
        {(byState.value ? byTimeInState(agents) : byName(agents)).map((agent) => (
          <tr key={agent.agent}>
            <th scope="row">{agent.name}</th>
            <td><span class={`state-mark ${agent.state}`}><span class="dot" aria-hidden="true" />{agent.interaction ? <a class="link" href={`#/calls/${encodeURIComponent(agent.interaction)}`}>{STATE[agent.state]}<span class="sr">: read along</span></a> : STATE[agent.state]}{agent.reason && <span class="muted"> · {agent.reason}</span>}</span></td>
            <td class="right-cell"><Timer since={agent.since} /></td>
            <td>{agent.phone_registered ? <span class="muted">registered</span> : agent.state === "offline" ? <span class="muted">–</span> : <span class="warn-text"><PhoneOff size={13} aria-hidden="true" /> not registered</span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
