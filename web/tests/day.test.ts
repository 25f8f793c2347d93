// Days and times as people type them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dayText, isoDay, momentText, parseDay, parseMoment } from "../src/words/day.ts";

/** A Monday. */
const NOW = new Date(2026, 10, 23, 14, 5).getTime();
const day = (text: string) => { const found = parseDay(text, NOW); return found && isoDay(found); };
const moment = (text: string) => { const found = parseMoment(text, NOW); return found && momentText(found); };

test("a day is read in every way that people write it, the day before the month", () => {
  for (const text of ["24 Nov 2026", "24 november", "24. nov", "24.11.", "24.11.2026", "24/11", "2026-11-24", "tomorrow", "Tue", "tuesday"]) assert.equal(day(text), "2026-11-24", text);
  assert.equal(day("today"), "2026-11-23");
  assert.equal(day("mon"), "2026-11-30", "the next one, not today");
  assert.equal(day("02/03/2026"), "2026-03-02");
});

test("where no year is said the nearest is meant", () => {
  assert.equal(day("5 Jan"), "2027-01-05");
  assert.equal(day("20 Dec"), "2026-12-20");
  assert.equal(day("28 Jul"), "2026-07-28");
});

test("what is no day is none", () => {
  for (const text of ["", "31 Feb", "29.2.2026", "32/1", "soon", "monsoon", "24 nox", "13/13/2026"]) assert.equal(day(text), null, text);
});

test("a moment is a day and a time; a day alone means the end of work, a time alone the next that comes", () => {
  assert.equal(moment("24 Nov 9:30"), "24 Nov 2026 09:30");
  assert.equal(moment("tomorrow 14"), "24 Nov 2026 14:00");
  assert.equal(moment("fri at 17:30"), "27 Nov 2026 17:30");
  assert.equal(moment("24 Nov 2026"), "24 Nov 2026 17:00");
  assert.equal(moment("24 Nov 2026 00:00"), "24 Nov 2026 00:00");
  assert.equal(moment("15:00"), "23 Nov 2026 15:00");
  assert.equal(moment("9:00"), "24 Nov 2026 09:00");
  for (const text of ["", "9", "25:00", "fri 12:61", "soon 9:00"]) assert.equal(moment(text), null, text);
});

test("a day is written with its month in letters", () => {
  assert.equal(dayText("2026-03-02"), "2 Mar 2026");
  assert.equal(dayText(""), "");
});
