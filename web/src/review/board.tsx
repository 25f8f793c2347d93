// The supervisor's board: alarms with their remedies first, then the figures, then the agents by time in state.
import type { ComponentChildren } from "preact";
import { now } from "../state/clock.ts";
import { board, connection, queues } from "../state/desk.ts";
import { Empty, Skeleton, Timer } from "../ui/bits.tsx";
import { PhoneOff, TriangleAlert, Users } from "../ui/icons.tsx";
import type { AgentState, Board, BoardAgent } from "../types.ts";
import { duration, estimate, phone, span } from "../words/format.ts";
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

export function BoardPage() {
  const state = board.value;
  const link = connection.value;
  const age = state && link.kind === "lost" ? now.value - link.since : 0;
  return (
    <main class="board" aria-label="Board" tabIndex={0}>
      {!state ? <Skeleton lines={6} /> : (
        <div class={age > STALE_MS ? "board-body stale" : "board-body"}>
          {age > STALE_MS && <p class="warn-text stale-note" role="status">This is {span(age)} old: the connection is lost.</p>}
          <Alarms alarms={state.alarms} />
          <Figures state={state} />
          <Callers state={state} />
          <Queues />
          <Agents agents={state.agents} calls={state.calls} />
        </div>
      )}
    </main>
  );
}

function Alarms({ alarms }: { alarms: string[] }) {
  if (alarms.length === 0) return <p class="no-alarm muted">No alarm</p>;
  return (
    <div role="alert">
      <ul class="alarms" aria-label="Alarms">{alarms.map((alarm) => <li key={alarm}><TriangleAlert size={16} aria-hidden="true" /><span>{alarm}</span></li>)}</ul>
    </div>
  );
}

function Figures({ state }: { state: Board }) {
  const wait = state.longest_since === null ? null : now.value - state.longest_since;
  const day = together(queues.value);
  return (
    <dl class="figures">
      <Figure label="Waiting" tone={state.waiting > 0 ? "warn" : ""}>{state.waiting}</Figure>
      <Figure label="Longest wait" tone={wait !== null && wait > LONG_WAIT_MS ? "bad" : ""}>{wait === null ? "–" : duration(wait)}</Figure>
      <Figure label={day.level === null ? "Service level today" : `Service level, target ${day.target} %`} tone={day.level !== null && day.level < day.target ? "bad" : ""}>{day.level === null ? "–" : <>{day.level}<small> %</small></>}</Figure>
      <Figure label="Abandoned today" tone={day.abandoned > 0 ? "warn" : ""}>{day.abandoned}{day.abandonedShort > 0 && <small> + {day.abandonedShort} short</small>}</Figure>
    </dl>
  );
}

function Figure({ label, tone, children }: { label: string; tone: string; children: ComponentChildren }) {
  return <div class={`figure ${tone}`}><dt>{label}</dt><dd class="num">{children}</dd></div>;
}

/** Who waits, next first in each queue. */
function Callers({ state }: { state: Board }) {
  if (state.waiting === 0) return <p class="nobody muted">Nobody waits. Longest wait today {duration(together(queues.value).longestTodayMs)}.</p>;
  return (
    <table class="agents callers">
      <caption class="sr">Callers who wait</caption>
      <thead><tr><th scope="col">Caller</th><th scope="col">Queue</th><th scope="col" class="right-cell">Place</th><th scope="col" class="right-cell">Waits</th><th scope="col" class="right-cell">Answer in about</th><th scope="col">Offered to</th></tr></thead>
      <tbody>
        {state.callers.map((caller) => (
          <tr key={caller.interaction}>
            <th scope="row">{caller.name ?? (caller.number ? phone(caller.number) : "Number withheld")}{caller.name && caller.number && <span class="muted num"> {phone(caller.number)}</span>}</th>
            <td>{caller.queue}</td>
            <td class="right-cell num">{caller.position}</td>
            <td class="right-cell"><Timer since={caller.since} /></td>
            <td class="right-cell num">{caller.estimate_ms === null ? <span class="muted">–</span> : estimate(caller.estimate_ms)}</td>
            <td>{caller.offered_to ?? <span class="muted">–</span>}</td>
          </tr>
        ))}
        {state.waiting > state.callers.length && <tr><td colSpan={6} class="muted">and {state.waiting - state.callers.length} more</td></tr>}
      </tbody>
    </table>
  );
}

/** Each queue's day. */
function Queues() {
  if (queues.value.length === 0) return null;
  return (
    <table class="agents queues">
      <caption class="sr">Queues today</caption>
      <thead><tr><th scope="col">Queue</th><th scope="col" class="right-cell">Wait from now</th><th scope="col" class="right-cell">Offered</th><th scope="col" class="right-cell">Answered</th><th scope="col" class="right-cell">Abandoned</th><th scope="col" class="right-cell">Not reached</th><th scope="col" class="right-cell">Average answer</th><th scope="col" class="right-cell">Longest</th><th scope="col" class="right-cell">Service level</th></tr></thead>
      <tbody>
        {queues.value.map((queue) => (
          <tr key={queue.queue}>
            <th scope="row">{queue.queue}</th>
            <td class="right-cell num">{queue.estimate_ms === null ? <span class="muted">–</span> : <>about {estimate(queue.estimate_ms)}</>}</td>
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

function Agents({ agents, calls }: { agents: BoardAgent[]; calls: number }) {
  if (agents.length === 0) return <Empty icon={Users} title="No agents yet.">An admin adds them: throughline user add.</Empty>;
  return (
    <table class="agents">
      <caption><b>{agents.filter((agent) => agent.state === "ready").length} ready</b> of {agents.filter((agent) => agent.state !== "offline").length} here · {calls === 1 ? "1 call" : `${calls} calls`} now</caption>
      <thead><tr><th scope="col">Agent</th><th scope="col">State</th><th scope="col" class="right-cell">For</th><th scope="col">Phone</th></tr></thead>
      <tbody>
        {byTimeInState(agents).map((agent) => (
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
