// The left column, in an order that never changes: offers, active, wrap-up, mine.
import type { ComponentChildren } from "preact";
import { now } from "../state/clock.ts";
import { liveWorkspace, opened, view } from "../state/desk.ts";
import { loadWork, work } from "../state/work.ts";
import { Problem, Skeleton, Tag, Timer } from "../ui/bits.tsx";
import { FileText, PhoneCall, PhoneOutgoing, WORK_ICON, type LucideIcon } from "../ui/icons.tsx";
import type { Brief, WorkItem } from "../types.ts";
import { due } from "../words/format.ts";
import { callerLine, callerName, workLine, workName } from "../words/labels.ts";
import { OfferSlot } from "./offer_slot.tsx";

export function Left() {
  const v = view.value;
  return (
    <div class="left">
      <OfferSlot />
      <section aria-label="Active">
        <h2 class="sec">Active</h2>
        {v?.call ? <LiveRow icon={v.call.direction === "outbound" ? PhoneOutgoing : PhoneCall} tone="live" brief={v.call.brief} timer={<Timer since={v.call.answered_at ?? v.call.started_at} />} /> : <p class="none-row">No call</p>}
      </section>
      <section aria-label="Wrap-up">
        <h2 class="sec">Wrap-up</h2>
        {v?.wrap_up ? <LiveRow icon={FileText} tone="wrap" brief={v.wrap_up.brief} timer={<Timer until={v.wrap_up.until} />} /> : <p class="none-row">Nothing to wrap up</p>}
      </section>
      <Mine />
    </div>
  );
}

function LiveRow({ icon: Icon, tone, brief, timer }: { icon: LucideIcon; tone: string; brief: Brief; timer: ComponentChildren }) {
  return (
    <button type="button" class={`row ${tone}`} aria-current={opened.value === null && liveWorkspace.value.kind === "live" ? "true" : undefined} onClick={() => (opened.value = null)}>
      <Icon size={15} aria-hidden="true" />
      <span class="row-text"><b class="one" dir="auto">{callerName(brief)}</b><span class="one muted">{callerLine(brief)}</span></span>
      {timer}
    </button>
  );
}

/** Mine first, next due on top; below it what my queues have and nobody took. */
function Mine() {
  const state = work.value;
  const items = state.kind === "ready" ? state.items.filter((item) => item.state !== "done") : [];
  const mine = items.filter((item) => item.owner !== null);
  const open = items.filter((item) => item.owner === null);
  return (
    <section class="mine" aria-label="Mine">
      <h2 class="sec"><span>Mine</span>{mine.length > 0 && <span class="num">{mine.length}</span>}</h2>
      {state.kind === "loading" && <Skeleton lines={2} />}
      {state.kind === "error" && <Problem retry={() => void loadWork()}>{state.why}</Problem>}
      {state.kind === "ready" && mine.length === 0 && <p class="none-row">Nothing of yours is open</p>}
      <div class="rows scroll" tabIndex={items.length > 0 ? 0 : -1} role="group" aria-label="Work">
        {mine.length > 0 && <ul class="rows" aria-label="My work">{mine.map((item) => <li key={item.work_item}><WorkRow item={item} /></li>)}</ul>}
        {open.length > 0 && <>
          <h2 class="sec"><span>For anyone</span><span class="num">{open.length}</span></h2>
          <ul class="rows" aria-label="Work of my queues that nobody has">{open.map((item) => <li key={item.work_item}><WorkRow item={item} /></li>)}</ul>
        </>}
      </div>
    </section>
  );
}

function WorkRow({ item }: { item: WorkItem }) {
  const Icon = WORK_ICON[item.kind];
  const when = item.due === null ? null : due(item.due, now.value);
  return (
    <button type="button" class="row" aria-current={opened.value?.work_item === item.work_item ? "true" : undefined} onClick={() => (opened.value = item)}>
      <Icon size={15} aria-hidden="true" />
      <span class="row-text">
        <span class="line"><b class="one" dir="auto">{workName(item)}</b>{when && <Tag tone={when.urgency === "late" ? "bad" : when.urgency === "soon" ? "warn" : ""}>{when.text}</Tag>}</span>
        <span class="one muted">{workLine(item)}</span>
      </span>
    </button>
  );
}
