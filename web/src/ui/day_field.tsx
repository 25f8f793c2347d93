// A field for a day, or a day and a time: typed as people write it, shown in one way, with the browser's calendar beside it.
import { useEffect, useRef, useState } from "preact/hooks";
import { serverNow } from "../state/clock.ts";
import { hint } from "../state/hint.ts";
import { dayText, isoDay, momentText, parseDay, parseMoment } from "../words/day.ts";
import { fromLocalInput, toLocalInput } from "../words/format.ts";
import { CalendarDays } from "./icons.tsx";

interface FieldProps { label: string; placeholder: string; shown: string; picker: { type: "date" | "datetime-local"; value: string; min?: string | undefined; max?: string | undefined }; read: (text: string) => boolean; pick: (value: string) => void }

/** What was typed is taken when the field is left or on Enter; what nobody can read is said to be so and stays. */
function Field({ label, placeholder, shown, picker, read, pick }: FieldProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const [wrong, setWrong] = useState(false);
  const calendar = useRef<HTMLInputElement>(null);
  useEffect(() => { setTyped(null); setWrong(false); }, [shown]);
  const take = (): boolean => {
    if (typed === null) return true;
    const understood = read(typed);
    setWrong(!understood);
    if (understood) setTyped(null);
    else hint(`“${typed}” is no ${picker.type === "date" ? "day: 24 Nov, 24.11.2026, yesterday" : "time: tomorrow 14:00, 24 Nov 9:30, fri 17"}`);
    return understood;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || typed === null) return;
    // With Ctrl it finishes what the field belongs to, but not with a time that nobody could read.
    if (take() && event.ctrlKey) return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <span class="day-field">
      <input
        type="text" aria-label={label} aria-invalid={wrong} placeholder={placeholder} autocomplete="off" value={typed ?? shown}
        onInput={(event) => setTyped(event.currentTarget.value)} onBlur={take}
        onKeyDown={onKeyDown}
      />
      <button type="button" class="btn quiet icon" aria-label={`${label}: calendar`} onClick={() => { try { calendar.current?.showPicker(); } catch { calendar.current?.focus(); } }}><CalendarDays size={14} aria-hidden="true" /></button>
      <input ref={calendar} class="picker" type={picker.type} tabIndex={-1} aria-hidden="true" value={picker.value} min={picker.min} max={picker.max} onChange={(event) => pick(event.currentTarget.value)} />
    </span>
  );
}

/** `value`: `2026-11-24`, or nothing. */
export function DayField({ label, value, min, max, change }: { label: string; value: string; min?: string | undefined; max?: string | undefined; change: (value: string) => void }) {
  const read = (text: string) => {
    if (text.trim() === "") return change(""), true;
    const day = parseDay(text, serverNow());
    if (day) change(isoDay(day));
    return day !== null;
  };
  return <Field label={label} placeholder={label} shown={dayText(value)} picker={{ type: "date", value, min, max }} read={read} pick={change} />;
}

/** `value`: Unix milliseconds, or nothing. */
export function MomentField({ label, value, change }: { label: string; value: number | null; change: (value: number | null) => void }) {
  const read = (text: string) => {
    if (text.trim() === "") return change(null), true;
    const at = parseMoment(text, serverNow());
    if (at !== null) change(at);
    return at !== null;
  };
  return <Field label={label} placeholder="tomorrow 14:00" shown={value === null ? "" : momentText(value)} picker={{ type: "datetime-local", value: value === null ? "" : toLocalInput(value) }} read={read} pick={(text) => change(fromLocalInput(text))} />;
}
