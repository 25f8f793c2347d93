// The supervisor's board: alarms with their remedies first, then the figures, then the agents by time in state.
import type { ComponentChildren } from "preact";
import { now } from "../state/clock.ts";
import { board, connection } from "../state/desk.ts";
import { Empty, Skeleton, Timer } from "../ui/bits.tsx";
import { PhoneOff, TriangleAlert, Users } from "../ui/icons.tsx";
import type { AgentState, Board, BoardAgent } from "../types.ts";
import { duration, span } from "../words/format.ts";
import { STATE } from "../words/labels.ts";

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
    <main class="board" aria-label="Board">
      {!state ? <Skeleton lines={6} /> : (
        <div class={age > STALE_MS ? "board-body stale" : "board-body"}>
          {age > STALE_MS && <p class="warn-text stale-note" role="status">This is {span(age)} old: the connection is lost.</p>}
          <Alarms alarms={state.alarms} />
          <Figures state={state} />
          <Agents agents={state.agents} />
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
  const ready = state.agents.filter((agent) => agent.state === "ready").length;
  return (
    <dl class="figures">
      <Figure label="Waiting" tone={state.waiting > 0 ? "warn" : ""}>{state.waiting}</Figure>
      <Figure label="Longest wait" tone={wait !== null && wait > LONG_WAIT_MS ? "bad" : ""}>{wait === null ? "–" : duration(wait)}</Figure>
      <Figure label="Calls now" tone="">{state.calls}</Figure>
      <Figure label="Ready" tone={ready === 0 ? "warn" : ""}>{ready}<small> of {state.agents.filter((agent) => agent.state !== "offline").length}</small></Figure>
    </dl>
  );
}

function Figure({ label, tone, children }: { label: string; tone: string; children: ComponentChildren }) {
  return <div class={`figure ${tone}`}><dt>{label}</dt><dd class="num">{children}</dd></div>;
}

function Agents({ agents }: { agents: BoardAgent[] }) {
  if (agents.length === 0) return <Empty icon={Users} title="No agents yet.">An admin adds them: throughline user add.</Empty>;
  return (
    <table class="agents">
      <caption class="sr">Agents by time in state</caption>
      <thead><tr><th scope="col">Agent</th><th scope="col">State</th><th scope="col" class="right-cell">For</th><th scope="col">Phone</th></tr></thead>
      <tbody>
        {byTimeInState(agents).map((agent) => (
          <tr key={agent.agent}>
            <th scope="row">{agent.name}</th>
            <td><span class={`state-mark ${agent.state}`}><span class="dot" aria-hidden="true" />{STATE[agent.state]}{agent.reason && <span class="muted"> · {agent.reason}</span>}</span></td>
            <td class="right-cell"><Timer since={agent.since} /></td>
            <td>{agent.phone_registered ? <span class="muted">registered</span> : agent.state === "offline" ? <span class="muted">–</span> : <span class="warn-text"><PhoneOff size={13} aria-hidden="true" /> not registered</span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
