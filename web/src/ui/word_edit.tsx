// Putting words right in their place: Enter saves, Esc leaves; a conflict shows the other's words beside mine.
import { useLayoutEffect, useRef } from "preact/hooks";
import { now } from "../state/clock.ts";
import { editing, keepTheirs, leaveEdit, overwrite, saveEdit, type } from "../state/word_edit.ts";
import { dateTime } from "../words/format.ts";

const WIDTH_MAX = 40;

export function WordInput() {
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.select(), []);
  const state = editing.value;
  if (!state) return null;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Enter") void saveEdit();
    else if (event.key === "Escape") leaveEdit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <input
      ref={field} class="word-input" aria-label={`What was said instead of “${state.place.before || "what was not understood"}”. Enter saves, Escape leaves.`}
      value={state.text} size={Math.min(WIDTH_MAX, Math.max(6, state.text.length + 1))} maxLength={2000} autocomplete="off" spellcheck disabled={state.saving}
      onInput={(event) => type(event.currentTarget.value)} onKeyDown={onKeyDown} onClick={(event) => event.stopPropagation()} onDblClick={(event) => event.stopPropagation()}
    />
  );
}

/** Under the line that is edited: what to press, what went wrong, or the other's words. */
export function WordEditNote() {
  const state = editing.value;
  const note = useRef<HTMLDivElement>(null);
  const conflict = state?.other != null;
  useLayoutEffect(() => note.current?.scrollIntoView({ block: "nearest" }), [conflict]);
  if (!state) return null;
  if (state.other) {
    const { text, correction } = state.other;
    return (
      <div class="edit-note conflict" role="alert" ref={note}>
        <p>{correction ? <><b>{correction.by}</b> wrote <q>{text || "nothing was said"}</q> here, {dateTime(correction.at, now.value)}.</> : <>Here it says <q>{text}</q> by now.</>} Yours: <q>{state.text}</q></p>
        <div class="line">
          <button type="button" class="btn small" onClick={keepTheirs}>Keep {correction ? "theirs" : "that"}</button>
          <button type="button" class="btn small" onClick={() => void overwrite()}>Write mine</button>
        </div>
      </div>
    );
  }
  return <div ref={note} class={state.problem ? "edit-note bad-text" : "edit-note muted"} role={state.problem ? "alert" : undefined}>{state.problem ?? (state.text.trim() === "" ? "Enter strikes it out · Esc leaves" : "Enter saves · Esc leaves")}</div>;
}
