// Times, ages and numbers as people read them. Pure: the current time is an argument.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hour12: false });
const dayMonth = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayMonthYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short" });
const longDay = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const longDayYear = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });

/** `252000` → `4:12`, `3750000` → `1:02:30`. Never negative. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const s = String(seconds % 60).padStart(2, "0");
  const m = Math.floor(seconds / 60) % 60;
  const h = Math.floor(seconds / 3600);
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

/** A wait as it is estimated, by half minutes: `30000` → `½ min`, `210000` → `3½ min`, from 10 minutes on in whole ones. */
export function estimate(ms: number): string {
  const halves = Math.max(1, Math.ceil(ms / (MINUTE / 2)));
  const minutes = Math.floor(halves / 2);
  if (halves >= 20) return `${Math.ceil(halves / 2)} min`;
  return halves % 2 === 0 ? `${minutes} min` : `${minutes > 0 ? minutes : ""}½ min`;
}

/** `14:05`. */
export function timeOfDay(at: number): string {
  return clock.format(at);
}

/** Days between two times, by the calendar of the reader. */
export function calendarDays(from: number, to: number): number {
  const a = new Date(from);
  const b = new Date(to);
  const day = (d: Date) => Date.UTC(d.getFullYear(), d.getMonth(), d.getDate()) / DAY;
  return day(b) - day(a);
}

/** How long ago, short: `just now`, `12 min ago`, `2 h ago`, `yesterday`, `Tue`, `14 Nov`, `14 Nov 2024`. */
export function ago(at: number, now: number): string {
  const past = now - at;
  if (past < MINUTE) return "just now";
  if (past < HOUR) return `${Math.floor(past / MINUTE)} min ago`;
  const days = calendarDays(at, now);
  if (days === 0 || past < 8 * HOUR) return `${Math.floor(past / HOUR)} h ago`;
  if (days === 1) return "yesterday";
  if (days < 7) return `${days} days ago`;
  return date(at, now);
}

/** `14 Nov`, with the year when it is another one. */
export function date(at: number, now: number): string {
  return new Date(at).getFullYear() === new Date(now).getFullYear() ? dayMonth.format(at) : dayMonthYear.format(at);
}

/** `14 Nov 13:31`, `13:31` today. */
export function dateTime(at: number, now: number): string {
  return calendarDays(at, now) === 0 ? timeOfDay(at) : `${date(at, now)} ${timeOfDay(at)}`;
}

/** A day's heading in the timeline: `Today`, `Yesterday`, `Friday 14 November`. */
export function dayHeading(at: number, now: number): string {
  const days = calendarDays(at, now);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return new Date(at).getFullYear() === new Date(now).getFullYear() ? longDay.format(at) : longDayYear.format(at);
}

/** When something is due, and whether that is past or near. */
export function due(at: number, now: number): { text: string; urgency: "late" | "soon" | "later" } {
  const left = at - now;
  const days = calendarDays(now, at);
  if (left < 0) return { text: `${span(-left)} late`, urgency: "late" };
  if (left < HOUR) return { text: `in ${Math.max(1, Math.ceil(left / MINUTE))} min`, urgency: "soon" };
  if (days === 0) return { text: timeOfDay(at), urgency: "soon" };
  if (days === 1) return { text: `tomorrow ${timeOfDay(at)}`, urgency: "later" };
  if (days < 7) return { text: `${weekday.format(at)} ${timeOfDay(at)}`, urgency: "later" };
  return { text: date(at, now), urgency: "later" };
}

/** A length in one unit: `40 s`, `12 min`, `3 h`, `2 days`. */
export function span(ms: number): string {
  if (ms < MINUTE) return `${Math.max(0, Math.round(ms / 1000))} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`;
  const days = Math.floor(ms / DAY);
  return days === 1 ? "1 day" : `${days} days`;
}

/** A number with a true minus sign. */
export function signed(n: number): string {
  return n < 0 ? `−${-n}` : String(n);
}

/** `1 call`, `3 calls`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** Up to two initials of a name; `?` when there is no letter. */
export function initials(name: string): string {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter((word) => /^\p{L}/u.test(word));
  const first = words[0];
  const last = words.length > 1 ? words[words.length - 1] : undefined;
  return first ? (head(first) + (last ? head(last) : "")).toUpperCase() : "?";
}

function head(word: string): string {
  return [...word][0] ?? "";
}

// Country calling codes of one and two digits (ITU-T E.164 list); all others have three.
const CODES_2 = "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98".split(" ");

/** An E.164 number in readable groups: `+4520123456` → `+45 20 12 34 56`; anything else unchanged. */
export function phone(number: string): string {
  const digits = /^\+(\d{6,15})$/.exec(number)?.[1];
  if (!digits) return number;
  const length = digits[0] === "1" || digits[0] === "7" ? 1 : CODES_2.includes(digits.slice(0, 2)) ? 2 : 3;
  const code = digits.slice(0, length);
  let rest = digits.slice(length);
  if (code === "1" && rest.length === 10) return `+1 ${rest.slice(0, 3)} ${rest.slice(3, 6)} ${rest.slice(6)}`;
  if (code === "44" && rest.length === 10) return rest[0] === "2" ? `+44 ${rest.slice(0, 2)} ${rest.slice(2, 6)} ${rest.slice(6)}` : `+44 ${rest.slice(0, 4)} ${rest.slice(4)}`;
  const groups: string[] = [];
  if (rest.length % 2 === 1) {
    groups.push(rest.slice(0, 3));
    rest = rest.slice(3);
  }
  for (let i = 0; i < rest.length; i += 2) groups.push(rest.slice(i, i + 2));
  return `+${code} ${groups.join(" ")}`;
}

const regions = new Intl.DisplayNames(["en"], { type: "region" });
const languages = new Intl.DisplayNames(["en"], { type: "language" });

/** `DK` → `Denmark`. */
export function country(code: string): string {
  return /^[A-Z]{2}$/.test(code) ? (regions.of(code) ?? code) : code;
}

/** `da` → `Danish`; text that is no language tag stays as it is. */
export function language(tag: string): string {
  try {
    return languages.of(tag) ?? tag;
  } catch {
    return tag;
  }
}

/** The value of an `<input type="datetime-local">` for a time, and back. */
export function toLocalInput(at: number): string {
  const d = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}`;
}

export function fromLocalInput(text: string): number | null {
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : at;
}
