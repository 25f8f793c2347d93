// Days and times as people type them, and one way of writing them: day, month in letters, year, so that no reader takes the one
// number for the other, whatever the browser's language is. Pure: the current time is an argument.

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

export interface Day { year: number; month: number; day: number }

const two = (n: number) => String(n).padStart(2, "0");

/** `2026-11-24`, as the contract and the browser's own picker have it. */
export function isoDay({ year, month, day }: Day): string {
  return `${year}-${two(month)}-${two(day)}`;
}

/** `24 Nov 2026`. */
export function dayText(iso: string): string {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/.exec(iso);
  const month = found && MONTHS[Number(found[2]) - 1];
  return found && month ? `${Number(found[3])} ${month[0]?.toUpperCase()}${month.slice(1)} ${found[1]}` : "";
}

/** `24 Nov 2026 14:05`. */
export function momentText(at: number): string {
  const d = new Date(at);
  return `${dayText(isoDay({ year: d.getFullYear(), month: d.getMonth() + 1, day: d.getDate() }))} ${two(d.getHours())}:${two(d.getMinutes())}`;
}

function real(year: number, month: number, day: number): Day | null {
  const d = new Date(year, month - 1, day);
  return d.getFullYear() === year && d.getMonth() === month - 1 && d.getDate() === day ? { year, month, day } : null;
}

function from(date: Date): Day {
  return { year: date.getFullYear(), month: date.getMonth() + 1, day: date.getDate() };
}

/** Which year is meant where none is said: the one that makes the day nearest to now. */
function nearest(month: number, day: number, now: number): Day | null {
  const year = new Date(now).getFullYear();
  const all = [year - 1, year, year + 1].flatMap((each) => real(each, month, day) ?? []);
  return all.sort((a, b) => Math.abs(new Date(a.year, a.month - 1, a.day).getTime() - now) - Math.abs(new Date(b.year, b.month - 1, b.day).getTime() - now))[0] ?? null;
}

/** `24 Nov`, `24 November 2026`, `24.11.`, `24/11/2026`, `2026-11-24`, `today`, `tomorrow`, `yesterday`, `fri` (the next); the day stands before the month. */
export function parseDay(text: string, now: number): Day | null {
  const said = text.trim().toLowerCase().replace(/,/g, " ").replace(/\s+/g, " ");
  const today = new Date(now);
  const plus = (days: number) => from(new Date(today.getFullYear(), today.getMonth(), today.getDate() + days));
  switch (said) {
    case "today": return plus(0);
    case "tomorrow": return plus(1);
    case "yesterday": return plus(-1);
  }
  const weekday = said.length >= 3 ? WEEKDAYS.findIndex((name) => said === name || (said.startsWith(name) && said.endsWith("day"))) : -1;
  if (weekday >= 0) return plus((weekday - today.getDay() + 6) % 7 + 1);
  const iso = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(said);
  if (iso) return real(Number(iso[1]), Number(iso[2]), Number(iso[3]));
  const numbers = /^(\d{1,2})[./](\d{1,2})(?:[./](\d{4})?)?$/.exec(said);
  const letters = /^(\d{1,2})\.? ?([a-z]{3,9})\.?(?: (\d{4}))?$/.exec(said);
  const day = Number((numbers ?? letters)?.[1]);
  const month = numbers ? Number(numbers[2]) : letters ? MONTHS.findIndex((name) => (letters[2] ?? "").startsWith(name)) + 1 : 0;
  const year = (numbers ?? letters)?.[3];
  if (month < 1) return null;
  return year ? real(Number(year), month, day) : nearest(month, day, now);
}

/** A day and a time, `24 Nov 14:05`, `tomorrow 9`, `fri 17:30`, `14:05` (today, or tomorrow where that is past); a day alone means its end of work. */
export function parseMoment(text: string, now: number): number | null {
  const found = /^(.*?)[ ,]*(?:(?:at )?(\d{1,2})(?::(\d{2}))?(?: ?h)?)?$/.exec(text.trim().toLowerCase());
  const whole = parseDay(text, now);
  if (whole) return at(whole, END_OF_WORK, 0);
  const [hours, minutes] = [Number(found?.[2]), Number(found?.[3] ?? 0)];
  if (found?.[2] === undefined || hours > 23 || minutes > 59) return null;
  if (found[1] === "") {
    if (found[3] === undefined) return null;
    const today = at(from(new Date(now)), hours, minutes);
    return today > now ? today : at(from(new Date(now + 24 * 3_600_000)), hours, minutes);
  }
  const day = parseDay(found[1] ?? "", now);
  return day && at(day, hours, minutes);
}

const END_OF_WORK = 17;

function at({ year, month, day }: Day, hours: number, minutes: number): number {
  return new Date(year, month - 1, day, hours, minutes).getTime();
}
