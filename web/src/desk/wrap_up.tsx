// Wrap-up: the disposition, promises as ready tasks, solved or not. Ctrl+Enter finishes.
import { useEffect, useRef } from "preact/hooks";
import { api } from "../net/api.ts";
import { serverNow } from "../state/clock.ts";
import { draftOf } from "../state/draft.ts";
import { useKeys } from "../state/keys.ts";
import { dispositions, dispositionsTrouble, loadDispositions } from "../state/record.ts";
import { forgetWrapUp, wrapUpOf, type PromiseRow, type WrapUpForm } from "../state/wrap_up.ts";
import { ActionButton, Kbd, Problem } from "../ui/bits.tsx";
import { MomentField } from "../ui/day_field.tsx";
import { Plus, X } from "../ui/icons.tsx";
import type { Id, InteractionPage, SuggestedDisposition } from "../types.ts";

const SUGGESTIONS = 3;
const KEYS_DEAD_MS = 500;
const DAY_MS = 24 * 3_600_000;

/** What `1`–`3` choose: the server's suggestions, filled up from the list so that the keys always work. */
export function suggestions(page: Pick<InteractionPage, "suggested_dispositions"> | null, all: SuggestedDisposition[]): SuggestedDisposition[] {
  const first = page?.suggested_dispositions ?? [];
  const seen = new Set(first.map((one) => one.id));
  return [...first, ...all.filter((one) => !seen.has(one.id))].slice(0, SUGGESTIONS);
}

/** The words may bring other suggestions: they don't replace those of which one is chosen, and digits are dead for a moment after a change. */
function useSteady(next: SuggestedDisposition[], chosen: boolean): { list: SuggestedDisposition[]; keysFrom: number } {
  const shown = useRef<{ list: SuggestedDisposition[]; keysFrom: number }>({ list: [], keysFrom: 0 });
  const { list } = shown.current;
  const same = list.length === next.length && list.every((one, index) => one.id === next[index]?.id);
  if (!same && !(chosen && list.length > 0)) shown.current = { list: next, keysFrom: list.length === 0 ? 0 : performance.now() + KEYS_DEAD_MS };
  return shown.current;
}

export function WrapUp({ interaction, page }: { interaction: Id; page: InteractionPage | null }) {
  const form = wrapUpOf(interaction);
  useEffect(() => void loadDispositions(), []);
  useEffect(() => { if (page) form.suggest(page); }, [page]);
  const offered = useSteady(suggestions(page, dispositions.value), form.disposition.value !== null);
  const choose = (index: number) => () => {
    if (performance.now() < offered.keysFrom) return true;
    const one = offered.list[index];
    if (!one) return false;
    form.choose(one.id);
    return true;
  };
  const finish = () => finishWrapUp(interaction, form);
  useKeys({ "1": choose(0), "2": choose(1), "3": choose(2), "ctrl+enter": () => { void finish(); return true; } });
  const chosen = form.disposition.value;
  return (
    <div class="wrap-form">
      <div class="sec">
        <span>Disposition</span>
        <select class="compact" aria-label="All dispositions" disabled={dispositions.value.length === 0} value={chosen !== null && !offered.list.some((one) => one.id === chosen) ? chosen : ""} onChange={(event) => form.choose(event.currentTarget.value)}>
          <option value="" disabled>Another…</option>
          {dispositions.value.map((one) => <option key={one.id} value={one.id}>{one.label}</option>)}
        </select>
      </div>
      <div class="suggested" role="group" aria-label="Suggested dispositions">
        {offered.list.map((one, index) => (
          <button key={one.id} type="button" class="chip" aria-pressed={chosen === one.id} onClick={() => form.choose(one.id)}><Kbd>{String(index + 1)}</Kbd><span class="one">{one.label}</span></button>
        ))}
        {offered.list.length === 0 && dispositionsTrouble.value !== null && <Problem retry={() => void loadDispositions()}>No dispositions to choose from. {dispositionsTrouble.value}</Problem>}
      </div>
      <Promises form={form} />
      <div class="line finish">
        <label class="toggle"><input type="checkbox" checked={form.solved.value} onChange={(event) => form.setSolved(event.currentTarget.checked)} />Solved</label>
        <span class="grow bad-text" role="alert">{form.problem.value}</span>
        <ActionButton action={finish} class="primary">Finish <Kbd>Ctrl ↵</Kbd></ActionButton>
      </div>
    </div>
  );
}

/** Sends the wrap-up; the server then takes it off the desk. */
async function finishWrapUp(interaction: Id, form: WrapUpForm): Promise<void> {
  if (form.saving.value) return;
  if (form.disposition.value === null) {
    form.problem.value = "Choose a disposition: 1, 2 or 3.";
    return;
  }
  const promises = form.promises.value.filter((row) => row.keep && row.text.trim() !== "").map((row) => ({ text: row.text.trim(), due: row.due }));
  const draft = draftOf(interaction);
  form.saving.value = true;
  try {
    await api.wrapUp(interaction, { disposition: form.disposition.value, note: draft.text.value.trim(), solved: form.solved.value, promises });
    draft.finish();
    forgetWrapUp(interaction);
  } catch (error) {
    form.problem.value = error instanceof Error ? error.message : "Not saved.";
  } finally {
    form.saving.value = false;
  }
}

function Promises({ form }: { form: WrapUpForm }) {
  const rows = form.promises.value;
  const change = (row: PromiseRow, part: Partial<PromiseRow>) => form.setPromises(form.promises.value.map((one) => (one.key === row.key ? { ...one, ...part } : one)));
  const list = useRef<HTMLUListElement>(null);
  const add = () => {
    form.addPromise(serverNow() + DAY_MS);
    requestAnimationFrame(() => list.current?.querySelector<HTMLInputElement>("li:last-child input")?.focus());
  };
  useKeys({ p: () => { add(); return true; } });
  return (
    <>
      <div class="sec"><span>Promises <Kbd>P</Kbd></span><button type="button" class="link" onClick={add}><Plus size={12} aria-hidden="true" />Add</button></div>
      <ul class="promises" ref={list}>
        {rows.length === 0 && <li class="muted">None</li>}
        {rows.map((row) => (
          <li key={row.key}>
            <input aria-label="Promise" value={row.text} maxLength={200} placeholder="What we promised" onInput={(event) => change(row, { text: event.currentTarget.value })} />
            <MomentField label="Due" value={row.due} change={(due) => change(row, { due })} />
            <button type="button" class="btn quiet icon" aria-label="Drop this promise" onClick={() => form.setPromises(form.promises.value.filter((one) => one.key !== row.key))}><X size={14} aria-hidden="true" /></button>
          </li>
        ))}
      </ul>
    </>
  );
}
