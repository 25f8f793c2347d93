// The pure parts of the desk: words for times, numbers, transcripts, keys, back-off.
import assert from "node:assert/strict";
import { test } from "node:test";
import { interactionPage, QUALITY, timeline, utterances, workItems } from "../mock/data.mjs";
import { timelineRowsOf } from "../src/words/rows.ts";
import { sentence } from "../src/net/api.ts";
import { backoffMs } from "../src/net/live.ts";
import { keyName } from "../src/words/key_name.ts";
import * as format from "../src/words/format.ts";
import { callerLine, callerName, madeBy, moodTrend, offerGone, workLine } from "../src/words/labels.ts";
import { difference } from "../src/words/difference.ts";
import { found, marked } from "../src/words/find.ts";
import { strongest } from "../src/words/moods.ts";
import { callHash, parseRoute } from "../src/state/route.ts";
import { firedAt, firedText, lineAt, recordingSentence, spokenWords, takenOut, transcriptLines, transcriptSentence, wordAt, wordlessSpans } from "../src/words/transcript.ts";
import { WrapUpForm } from "../src/state/wrap_up.ts";
import { together } from "../src/words/queues.ts";
import { axisStep, laneBars } from "../src/words/wave.ts";
import { scoreLines, scoreY, share, silences, soundSummary } from "../src/words/sound.ts";
import type { Brief, CallSound, InteractionPage, LegSound, QueueView, TimelineEntry, Utterance, WorkItem } from "../src/types.ts";

const NOW = Date.UTC(2026, 10, 18, 12, 0);
const HOUR = 3_600_000;
const page = (part: object = {}) => interactionPage("x", NOW, part) as unknown as InteractionPage;

test("a length is minutes and seconds, with hours only when there are some", () => {
  assert.equal(format.duration(252_000), "4:12");
  assert.equal(format.duration(3_750_000), "1:02:30");
  assert.equal(format.duration(-5), "0:00");
  assert.deepEqual([30_000, 60_000, 210_000, 600_000, 630_000].map(format.estimate), ["½ min", "1 min", "3½ min", "10 min", "11 min"]);
});

test("an age is said as people say it", () => {
  assert.equal(format.ago(NOW - 20_000, NOW), "just now");
  assert.equal(format.ago(NOW - 12 * 60_000, NOW), "12 min ago");
  assert.equal(format.ago(NOW - 2 * HOUR, NOW), "2 h ago");
  assert.equal(format.ago(NOW - 24 * HOUR, NOW), "yesterday");
  assert.equal(format.ago(NOW - 3 * 24 * HOUR, NOW), "3 days ago");
  assert.equal(format.ago(Date.UTC(2024, 10, 14), NOW), "14 Nov 2024");
});

test("what is due is late, soon or later", () => {
  assert.deepEqual(format.due(NOW - 50 * HOUR, NOW), { text: "2 days late", urgency: "late" });
  assert.deepEqual(format.due(NOW + 12 * 60_000, NOW), { text: "in 12 min", urgency: "soon" });
  assert.deepEqual(format.due(NOW + 4 * HOUR, NOW), { text: "16:00", urgency: "soon" });
  assert.deepEqual(format.due(NOW + 24 * HOUR, NOW), { text: "tomorrow 12:00", urgency: "later" });
});

test("a number is grouped without being changed", () => {
  assert.equal(format.phone("+4520123456"), "+45 20 12 34 56");
  assert.equal(format.phone("+12025550123"), "+1 202 555 0123");
  assert.equal(format.phone("+442079460101"), "+44 20 7946 0101");
  assert.equal(format.phone("+447700900102"), "+44 7700 900102");
  assert.equal(format.phone("sip:x@y"), "sip:x@y");
  for (const digits of ["+4520123456", "+33170189900", "+35312345678", "+491701234567"]) assert.equal(format.phone(digits).replaceAll(" ", ""), digits);
});

test("initials come from letters, never from markup", () => {
  assert.equal(format.initials("Maria Jensen"), "MJ");
  assert.equal(format.initials("4711"), "?");
  assert.equal(format.initials("<b>Eve</b>"), "BB");
});

test("a late brief shows the number first and says that it is looking", () => {
  const brief = { number: "+4520123456", matched: "late", display_name: null, customer: null, candidates: [], reasons: [], last_contacts: [] } as unknown as Brief;
  assert.equal(callerName(brief), "+45 20 12 34 56");
  assert.equal(callerLine(brief), "Looking up…");
});

test("a vanished offer says why", () => {
  assert.equal(offerGone("answered_elsewhere", "Ann"), "Answered by Ann.");
  assert.match(offerGone("caller_hung_up", null), /missed calls/);
});

test("a trend needs a real difference", () => {
  assert.equal(moodTrend([35, 30, -31, -46]), "falling");
  assert.equal(moodTrend([5, 8, 4]), "steady");
  assert.equal(moodTrend([]), "not known");
});

test("transcript lines are in order of time with holds and losses between them", () => {
  const lines = transcriptLines(page());
  assert.ok(lines.every((line, index) => index === 0 || lines[index - 1]!.at <= line.at));
  assert.ok(lines.some((line) => line.kind === "mark" && line.text === "on hold 0:09"));
  assert.ok(lines.some((line) => line.kind === "mark" && /customer's audio lost/.test(line.text)));
  const speakers = lines.filter((line) => line.kind === "say");
  assert.equal(speakers[2]?.speaker, false, "the same speaker goes on");
});

test("a call understood badly says: listen", () => {
  assert.equal(transcriptSentence(page({ coverage: { customer: 58, agent: 90 } })), "58 % understood. Listen.");
  assert.equal(transcriptSentence(page()), null);
  assert.match(transcriptSentence(page({ stage: "pending" })) ?? "", /being read/);
});

test("a missing recording says when it was paused", () => {
  const recording = { state: "none" as const, trouble: null, duration_ms: null, gaps: [{ party: "customer" as const, kind: "paused" as const, from_ms: 40_000, to_ms: 70_000 }] };
  assert.equal(recordingSentence({ ...page(), recording }), "No recording: paused 0:40–1:10.");
  assert.equal(recordingSentence({ ...page(), recording: { ...recording, state: "ready", gaps: [] } }), null);
});

test("the pause of a hold is said once, as a hold; any other pause once for both sides", () => {
  const gap = (party: "customer" | "agent", from_ms: number, to_ms: number) => ({ party, kind: "paused" as const, from_ms, to_ms });
  const gaps = [gap("customer", 25_010, 33_990), gap("agent", 25_010, 33_990), gap("customer", 44_000, 50_000), gap("agent", 44_000, 50_000)];
  const marks = transcriptLines({ ...page(), recording: { ...page().recording, gaps } }).filter((line) => line.kind === "mark").map((line) => line.kind === "mark" && line.text);
  assert.deepEqual(marks, ["on hold 0:09", "recording paused 0:06 · silence kept"]);
});

test("a number that was taken out is told from words in brackets, keeps its full stop, and needs no line of its own", () => {
  assert.deepEqual(takenOut("[card number]."), { what: "card number", after: "." });
  assert.equal(takenOut("brackets]"), null);
  assert.equal(takenOut("number"), null);
  const gaps = [{ party: "customer" as const, kind: "redacted" as const, from_ms: 40_000, to_ms: 50_000 }, { party: "agent" as const, kind: "redacted" as const, from_ms: 40_000, to_ms: 50_500 }];
  const taken = { ...page(), recording: { ...page().recording, gaps } };
  assert.ok(!transcriptLines(taken).some((line) => line.kind === "mark" && line.at === 40_000));
  assert.equal(recordingSentence(taken), null);
});

test("sound like a voice that no utterance holds has a quiet line at its place, a breath has none", () => {
  const lines = transcriptLines(page());
  const voices = lines.filter((line) => line.kind === "voice");
  assert.deepEqual(voices.map((line) => [line.at, line.party, line.spans.length]), [[3_000, "customer", 1], [21_000, "customer", 1]]);
  const [first] = voices;
  assert.ok(lines.some((line) => line.kind === "say" && line.at < 3_000) && first);
  const near = page();
  near.transcript.legs = near.transcript.legs.map((leg) => ({ ...leg, doubtful: leg.party === "customer" ? [{ from_ms: 3_000, to_ms: 3_400 }, { from_ms: 3_600, to_ms: 4_000 }] : [] }));
  assert.deepEqual(transcriptLines(near).filter((line) => line.kind === "voice").map((line) => line.spans.length), [2], "those that follow each other are one line");
  assert.equal(wordlessSpans(page().transcript).filter((span) => !span.refused).length, 3, "the waveform shows all");
});

test("the hiss of a line before anybody spoke into it has no line; a sound later is nobody's turn", () => {
  const noisy = page();
  const sound = (from_ms: number) => ({ ...(noisy.transcript.utterances[1] as Utterance), from_ms, to_ms: from_ms + 600, rejected: "too short", words: [] });
  noisy.transcript.utterances = [sound(1_000), ...noisy.transcript.utterances, sound(30_000)].sort((a, b) => a.from_ms - b.from_ms);
  const lines = transcriptLines(noisy).filter((line) => line.kind === "say");
  assert.ok(!lines.some((line) => line.at === 1_000));
  const later = lines.find((line) => line.at === 30_000);
  assert.deepEqual([later?.quiet, later?.speaker], [true, false]);
  assert.ok(wordlessSpans(noisy.transcript).some((span) => span.from_ms === 1_000), "the waveform has it");
});

test("promises that were heard stand ready in wrap-up until somebody changes them", () => {
  const form = new WrapUpForm();
  form.suggest(page({ stage: "pending" }));
  assert.equal(form.promises.value.length, 0);
  form.suggest(page());
  assert.deepEqual(form.promises.value.map((row) => row.text), ["Refund 1,249 kr, confirmation by e-mail"]);
  form.setPromises([]);
  form.suggest(page());
  assert.equal(form.promises.value.length, 0, "dropped stays dropped");
});

test("the word that sounds is the last that began and has not long ended", () => {
  const words = [{ text: "a", from_ms: 100, to_ms: 300, confidence: 90 }, { text: "b", from_ms: 400, to_ms: 500, confidence: 90 }];
  assert.equal(wordAt(words, 50), null);
  assert.equal(wordAt(words, 350)?.text, "a");
  assert.equal(wordAt(words, 450)?.text, "b");
  assert.equal(wordAt(words, 2000), null);
});

test("bars cover the whole length and stay between 0 and 1", () => {
  const peaks = Array.from({ length: 1153 }, (_, index): [number, number] => [-(index % 128), index % 127]);
  const bars = laneBars(peaks, 50, 57_600, 310);
  assert.equal(bars.length, 310);
  assert.ok(bars.every((bar) => bar >= 0 && bar <= 1));
  assert.ok(laneBars([[-1, 1]], 50, 1000, 10).every((bar) => bar === 0), "line noise is silence");
});

test("labels of the axis never touch", () => {
  for (const duration of [900, 57_600, 600_000, 7_200_000]) assert.ok((axisStep(duration, 900) / duration) * 900 >= 79.9 || axisStep(duration, 900) >= duration);
});

test("a day's heading comes wherever the day changes", () => {
  const entries = timeline(NOW) as unknown as TimelineEntry[];
  const rows = timelineRowsOf(entries, null);
  assert.equal(rows.filter((row) => row.kind === "entry").length, entries.length);
  assert.equal(rows[0]?.kind, "day");
  assert.equal(timelineRowsOf(entries, "chat").filter((row) => row.kind === "entry").length, 1);
});

test("keys have one name each", () => {
  const key = (part: object) => keyName({ key: "", ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...part });
  assert.equal(key({ key: "Enter", ctrlKey: true }), "ctrl+enter");
  assert.equal(key({ key: "Enter", metaKey: true }), "ctrl+enter");
  assert.equal(key({ key: "F9", shiftKey: true }), "shift+f9");
  assert.equal(key({ key: "?", shiftKey: true }), "?");
  assert.equal(key({ key: " " }), "space");
});

test("reconnecting waits longer each time, never over 13 s, and not all at once", () => {
  assert.ok(backoffMs(0, 0.5) < 500);
  assert.ok(backoffMs(50, 1) <= 13_000);
  assert.notEqual(backoffMs(3, 0), backoffMs(3, 1));
});

test("every refused request is said in words", () => {
  for (const status of [0, 401, 403, 404, 409, 429, 500, 503, 418]) assert.match(sentence(status, null), /\.$/);
  assert.equal(sentence(404, "No call with this id."), "No call with this id.");
  assert.doesNotMatch(sentence(500, "panicked at src/x.rs"), /panicked/);
});

test("a call's sound is a line of steps, broken where nobody was heard, and one line of figures", () => {
  const sound = QUALITY() as unknown as CallSound;
  const [customer, agent] = sound.legs as [LegSound, LegSound];
  assert.equal(scoreLines(customer.samples, 40).length, 1);
  assert.equal(scoreLines(agent.samples, 40).length, 2);
  assert.deepEqual(silences(agent), [{ from_ms: 28_000, to_ms: 33_000 }]);
  assert.equal(scoreY(450, 40), 0);
  assert.equal(scoreY(100, 40), 40);
  assert.match(soundSummary(sound) ?? "", /^MOS 4\.3 of 4\.5 · loss up to 9 % · jitter up to 3 ms · there and back 38 ms$/);
  assert.equal(soundSummary({ spans: [], legs: [] }), null);
  assert.deepEqual([share(0), share(4), share(80), share(1000)], ["0 %", "0.4 %", "8 %", "100 %"]);
});

test("several queues are one line: the longest wait, the sums, the level of all that ended", () => {
  const queue = (part: Partial<QueueView>): QueueView => ({
    queue: "a", waiting: 0, longest_since: null, estimate_ms: null, offered: 0, answered: 0, answered_in_time: 0, abandoned: 0, abandoned_short: 0, turned_away: 0, longest_ms: 0,
    average_answer_ms: null, service_level: null, target: 80, within_s: 20, ...part,
  });
  const both = together([
    queue({ waiting: 2, longest_since: NOW - 9000, estimate_ms: 240_000, answered: 7, answered_in_time: 6, abandoned: 1, abandoned_short: 3, longest_ms: 40_000 }),
    queue({ waiting: 1, longest_since: NOW - 5000, answered: 1, answered_in_time: 1, turned_away: 1, longest_ms: 90_000, target: 90 }),
  ]);
  assert.deepEqual(both, { waiting: 3, estimateMs: 240_000, longestSince: NOW - 9000, longestTodayMs: 90_000, abandoned: 1, abandonedShort: 3, turnedAway: 1, level: 70, target: 90 });
  assert.deepEqual([together([]).level, together([]).longestSince], [null, null]);
});

test("a missed call says how long its caller waited", () => {
  const item = { ...workItems(NOW)[1] } as unknown as WorkItem;
  assert.equal(workLine(item), "Missed call, waited 1:12");
  assert.equal(workLine({ ...item, title: "Missed call: Charged twice" }), "Missed call, waited 1:12 · Charged twice");
  assert.equal(workLine({ ...item, kind: "promise", waited_ms: null, title: "Refund" }), "Promise · Refund");
});

test("an edit is shown as what went out and what came in", () => {
  assert.deepEqual(difference("I was barged twice", "I was charged twice"), [{ kind: "same", text: "I was" }, { kind: "out", text: "barged" }, { kind: "in", text: "charged" }, { kind: "same", text: "twice" }]);
  assert.deepEqual(difference("a b", "c d"), [{ kind: "out", text: "a b" }, { kind: "in", text: "c d" }]);
  assert.deepEqual(difference("", "new"), [{ kind: "in", text: "new" }]);
  assert.deepEqual(difference("same words", "same  words"), [{ kind: "same", text: "same words" }]);
});

test("a card says what made it", () => {
  assert.equal(madeBy("card-rules 2"), "local rules, version 2");
  assert.equal(madeBy("card-model llama 3.1"), "language model llama 3.1");
});

test("exactly the words that moved the mood are marked, by their time", () => {
  const word = (text: string, from_ms: number) => ({ text, from_ms, to_ms: from_ms + 100, confidence: 90 });
  const fired = [{ from_ms: 0, to_ms: 300, text: "i was charged", weight: -38, by: "repeated" as const }, { from_ms: 200, to_ms: 300, text: "charged", weight: -10, by: "words" as const }];
  assert.deepEqual([word("I", 0), word("charged", 200), word("twice", 300)].map((one) => firedAt({ fired }, one)?.by ?? null), ["repeated", "words", null]);
  assert.equal(firedText(fired[1]!), "“charged” −10");
});

test("words that were heard live are said to be completed", () => {
  const pending = page();
  const words = { ...pending.transcript, state: "pending" as const };
  assert.equal(transcriptSentence({ ...pending, transcript: { ...words, kind: "live" } }), "As heard live, being completed from the recording…");
  assert.equal(transcriptSentence({ ...pending, transcript: { ...words, kind: null, utterances: [] } }), "Words are being read from the recording…");
});

test("what is looked for is found by the beginnings of words, whatever stands between them", () => {
  const lines = transcriptLines(page());
  const places = (typed: string) => found(lines, typed).map((place) => [place.from_ms, place.last - place.first + 1]);
  assert.deepEqual(places("Charged TWICE and").map(([, words]) => words), [3]);
  assert.equal(places("invoice").length, 1);
  assert.equal(places("harged").length, 0, "not from within a word");
  assert.equal(places("it").length, 0, "two letters are everywhere");
  assert.deepEqual(marked("…I was charged twice, and", "charged twice"), [{ text: "…I was ", found: false }, { text: "charged twice,", found: true }, { text: " ", found: false }, { text: "and", found: false }]);
  assert.deepEqual(marked("call +45", "45"), [{ text: "call +45", found: false }]);
});

test("where both speak at once the word that sounds is found, and a time has its line", () => {
  const word = (text: string, from_ms: number) => ({ text, from_ms, to_ms: from_ms + 200, confidence: 90 });
  const say = (key: string, at: number, words: ReturnType<typeof word>[]) => ({ kind: "say" as const, key, at, speaker: true, quiet: false, utterance: { ...utterances()[0], from_ms: at, to_ms: (words.at(-1)?.to_ms ?? at), words } as unknown as Utterance });
  const lines = [say("a", 0, [word("so", 0), word("long", 6000)]), say("b", 3000, [word("yes", 3000)])];
  const spoken = spokenWords(lines);
  assert.deepEqual([wordAt(spoken, 6100)?.text, wordAt(spoken, 3100)?.text, wordAt(spoken, 5000)], ["long", "yes", null]);
  assert.deepEqual([lineAt(lines, 100), lineAt(lines, 3100), lineAt([], 5)], [0, 1, 0]);
});

test("a strip shows the strongest turn of each stretch, and all of a short call", () => {
  const turns = Array.from({ length: 500 }, (_, n) => ({ from_ms: n * 10_000, sentiment: (n % 100) - 50 }));
  const shown = strongest(turns, 5_000_000);
  assert.equal(shown.length, 24);
  assert.ok(shown.some((turn) => turn.sentiment === -50) && shown.some((turn) => turn.sentiment === 49));
  assert.equal(strongest(turns.slice(0, 1), 100).length, 1);
});

test("a link names a call and a second of it", () => {
  assert.deepEqual(parseRoute(callHash("a/b", 27_340)), { place: "calls", interaction: "a/b", at: 27_400 });
  assert.deepEqual(parseRoute("#/calls/x/soon"), { place: "calls", interaction: "x", at: null });
  assert.deepEqual(parseRoute("#/calls/%E0%A4%A"), { place: "calls", interaction: "%E0%A4%A", at: null }, "a link that was cut short opens nothing and breaks nothing");
  assert.equal(callHash("x"), "#/calls/x");
});
