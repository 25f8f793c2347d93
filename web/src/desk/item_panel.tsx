// A work item that the agent opened: what is to be done, and how it ends.
import { useState } from "preact/hooks";
import { api } from "../net/api.ts";
import { now } from "../state/clock.ts";
import { opened } from "../state/desk.ts";
import { me } from "../state/session.ts";
import { loadWork } from "../state/work.ts";
import { ActionButton, Tag } from "../ui/bits.tsx";
import { Phone } from "../ui/icons.tsx";
import type { WorkItem } from "../types.ts";
import { dateTime, due, duration, phone } from "../words/format.ts";
import { WORK, workName } from "../words/labels.ts";

const MAX_WHY = 200;

export function ItemPanel({ item }: { item: WorkItem }) {
  const [why, setWhy] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const when = item.due === null ? null : due(item.due, now.value);
  const act = (run: () => Promise<WorkItem>, then: (next: WorkItem) => void) => async () => {
    setProblem(null);
    try {
      then(await run());
      await loadWork();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : "Not done.");
    }
  };
  const mine = item.owner !== null && item.owner === me()?.name;
  return (
    <div class="conversation item-panel">
      <div class="live-bar">
        <div class="line"><b class="item-kind">{WORK[item.kind]}</b>{item.waited_ms !== null && <span class="muted num">waited {duration(item.waited_ms)}</span>}{when && <Tag tone={when.urgency === "late" ? "bad" : when.urgency === "soon" ? "warn" : ""}>{when.text}</Tag>}<span class="grow" /><button type="button" class="btn quiet" onClick={() => (opened.value = null)}>Leave <kbd>Esc</kbd></button></div>
        <div class="bar-note">{item.queue ?? "No queue"} · opened {dateTime(item.opened_at, now.value)}{item.owner ? ` · ${item.owner}` : ""}</div>
      </div>
      <div class="item-body scroll" tabIndex={0} role="group" aria-label="Work item">
        <p class="big">{item.title}</p>
        {item.number && <p class="line"><Phone size={14} aria-hidden="true" /><span class="num">{phone(item.number)}</span><span class="muted">dial it at your phone</span></p>}
        <p class="muted">{workName(item)}</p>
      </div>
      <div class="notes">
        {problem && <div class="bad-text" role="alert">{problem}</div>}
        {item.state === "waiting" && !mine && <ActionButton class="primary" action={act(() => api.takeWorkItem(item.work_item), (next) => (opened.value = next))}>Take it</ActionButton>}
        <label class="sec" for="why">Close: how did it end?</label>
        <input id="why" value={why} maxLength={MAX_WHY} placeholder="Called back, solved" onInput={(event) => setWhy(event.currentTarget.value)} />
        <ActionButton disabled={why.trim() === ""} action={act(() => api.closeWorkItem(item.work_item, why.trim()), () => (opened.value = null))}>Close</ActionButton>
      </div>
    </div>
  );
}
