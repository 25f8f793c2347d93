// Words of a running call: where they go, what takes whose place, and who follows.
import assert from "node:assert/strict";
import { test } from "node:test";
import { arrived, FOLLOWING, jumpLabel, scrolled } from "../src/words/follow.ts";
import { aloud, KEPT_MAX, lagText, liveLines, merge, wordless } from "../src/words/live_words.ts";
import { correctionOf, doubts, placeOf, samePlace, sharesText } from "../src/words/corrections.ts";
import type { Correction, LiveUtterance, Utterance } from "../src/types.ts";

const said = (leg: "c" | "a", from_ms: number, text: string, part: Partial<LiveUtterance> = {}): LiveUtterance => ({
  leg, party: leg === "c" ? "customer" : "agent", from_ms, to_ms: from_ms + 900, confidence: 90, rejected: null, partial: false,
  words: text.split(" ").filter(Boolean).map((word, index) => ({ text: word, from_ms: from_ms + index * 100, to_ms: from_ms + index * 100 + 90, confidence: 90 })), ...part,
});
const texts = (list: readonly LiveUtterance[]) => list.map((one) => one.words.map((word) => word.text).join(" "));

test("words go where they were said, whenever they come", () => {
  let list = merge([], [said("a", 5000, "third"), said("c", 1000, "first")]).list;
  list = merge(list, [said("a", 3000, "second"), said("c", 9000, "fourth")]).list;
  assert.deepEqual(texts(list), ["first", "second", "third", "fourth"]);
});

test("a final takes its partial's place, and both sides may begin at once", () => {
  const first = merge([], [said("c", 1000, "I was", { partial: true }), said("a", 1000, "Yes", { partial: true })]);
  assert.equal(first.finished.length, 0, "a partial is not read out");
  const second = merge(first.list, [said("c", 1000, "I was charged twice")]);
  assert.deepEqual(texts(second.list), ["Yes", "I was charged twice"]);
  assert.deepEqual([second.added, second.finished.length], [0, 1]);
});

test("a late partial or an old snapshot takes nothing back", () => {
  const { list } = merge([], [said("c", 1000, "charged twice")]);
  const again = merge(list, [said("c", 1000, "charged", { partial: true }), said("c", 1000, "", { rejected: "later" }), said("c", 1000, "charged twice")]);
  assert.equal(again.list, list, "not even drawn again");
});

test("words that were put off give way to words", () => {
  const { list } = merge([], [said("c", 1000, "", { rejected: "later" })]);
  assert.equal(wordless(list[0]!.rejected, 900, false), "words follow after the call");
  const { list: done, finished } = merge(list, [said("c", 1000, "here they are")]);
  assert.deepEqual(texts(done), ["here they are"]);
  assert.equal(finished.length, 1);
});

test("what no model was asked about is no line while they talk, and is called what it is afterwards", () => {
  const { list } = merge([], [said("c", 1000, "", { rejected: "too short" }), said("c", 3000, "", { rejected: "unsure" }), said("c", 5000, "", { rejected: "key tones" })]);
  assert.deepEqual(liveLines(list).map((line) => line.utterance.from_ms), [3000]);
  assert.equal(wordless("too short", 1200, true), "short sound · 1.2 s · listen");
  assert.equal(wordless("unsure", 1200, false), "not understood · 1.2 s");
});

test("order and keys hold for any order of arrival", () => {
  let seed = Number(process.env["SEED"] ?? 20261122);
  console.log(`seed ${seed}`);
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const all = Array.from({ length: 400 }, (_, n) => said(n % 2 ? "a" : "c", Math.floor(n / 2) * 700, `word${n}`));
  const shuffled = [...all, ...all.map((one) => ({ ...one, partial: true, words: [] }))].map((one) => ({ one, at: random() })).sort((a, b) => a.at - b.at).map(({ one }) => one);
  let list: readonly LiveUtterance[] = [];
  for (let n = 0; n < shuffled.length; n += 3) list = merge(list, shuffled.slice(n, n + 3)).list;
  assert.equal(list.length, all.length);
  assert.ok(list.every((one, n) => !one.partial && (n === 0 || list[n - 1]!.from_ms <= one.from_ms)));
});

test("memory is bounded: the oldest goes", () => {
  const { list } = merge([], Array.from({ length: KEPT_MAX + 5 }, (_, n) => said("c", n * 10, "x")));
  assert.equal(list.length, KEPT_MAX);
  assert.equal(list[0]!.from_ms, 50);
});

test("an echo and an empty partial are no line; the speaker is named where it changes", () => {
  const { list } = merge([], [said("c", 0, "a"), said("a", 1000, "", { rejected: "echo" }), said("c", 2000, "b"), said("a", 3000, "", { partial: true }), said("a", 4000, "c")]);
  assert.deepEqual(liveLines(list).map((line) => line.speaker), [true, false, true]);
});

test("a lag is said over three seconds, in whole seconds", () => {
  assert.equal(lagText(3000), null);
  assert.equal(lagText(4300), "words 4 s behind");
});

test("what is read out is who, and what or why not", () => {
  assert.equal(aloud(said("c", 0, "charged twice"), "Maria"), "Maria: charged twice");
  assert.equal(aloud(said("c", 0, "", { rejected: "unsure" }), "Maria"), "Maria: not understood");
});

test("the end is followed until somebody scrolls up, and again from the end", () => {
  const grown = scrolled(FOLLOWING, 500, { top: 500, height: 1200, view: 400 });
  assert.equal(grown, FOLLOWING, "a list that grows is not a hand that scrolls");
  const up = scrolled(FOLLOWING, 500, { top: 300, height: 900, view: 400 });
  assert.deepEqual(up, { kind: "reading", unseen: 0 });
  const two = arrived(arrived(up, 1), 1);
  assert.equal(jumpLabel(two), "Jump to live · 2 new");
  assert.equal(scrolled(two, 300, { top: 400, height: 1000, view: 400 }), two, "further down, not yet at the end");
  assert.equal(scrolled(two, 400, { top: 590, height: 1000, view: 400 }), FOLLOWING);
  assert.equal(arrived(FOLLOWING, 3), FOLLOWING);
  assert.equal(jumpLabel(FOLLOWING), null);
});

test("a list that shrinks at its end is still followed", () => {
  assert.equal(scrolled(FOLLOWING, 500, { top: 480, height: 880, view: 400 }), FOLLOWING);
});

const utterance = (part: Partial<Utterance> = {}): Utterance => ({ ...said("c", 1000, "I was barged twice"), sentiment: null, ...part });

test("a correction goes from the first word to the last, or over all that was not understood", () => {
  assert.deepEqual(placeOf(utterance(), 2, 1), { leg: "c", from_ms: 1100, to_ms: 1290, before: "was barged" });
  assert.deepEqual(placeOf(utterance({ words: [], rejected: "unsure" }), 0, 0), { leg: "c", from_ms: 1000, to_ms: 1900, before: "" });
  assert.equal(placeOf(utterance(), 9, 9), null);
  assert.ok(samePlace(placeOf(utterance(), 1, 1), placeOf(utterance(), 1, 1)) && !samePlace(null, null));
});

test("a word is marked by the correction that stands there last, on its own leg", () => {
  const made = (correction: string, part: Partial<Correction> = {}): Correction => ({ correction, leg: "c", from_ms: 1200, to_ms: 1290, before: "barged", after: "charged", by: "Ann", at: 1, state: "stands", ...part });
  const word = utterance().words[2]!;
  assert.equal(correctionOf([made("1"), made("2")], "c", word)?.correction, "2");
  assert.equal(correctionOf([made("1"), made("2", { state: "taken_back" })], "c", word)?.correction, "1");
  assert.equal(correctionOf([made("1")], "a", word), null);
  assert.equal(correctionOf([made("1")], "c", utterance().words[1]!), null);
});

test("where speech went is said in words, without what there is none of", () => {
  const shares = { leg: "c", party: "customer" as const, understood: 94, not_understood: 4, lost: 2, waiting: 0, doubtful_ms: 0, doubtful: [], doubtful_more: 0 };
  assert.equal(sharesText(shares), "94 % understood, 4 % not understood, 2 % lost");
  assert.equal(sharesText({ ...shares, understood: 100, not_understood: 0, lost: 0 }), "100 % understood");
  assert.equal(sharesText({ ...shares, understood: 0, not_understood: 0, lost: 0 }), "silent throughout");
});

test("doubtful is what was refused, with the reason, and what the model was not sure of", () => {
  const list = doubts([utterance(), utterance({ confidence: 41 }), utterance({ words: [], rejected: "repeats itself" })]);
  assert.deepEqual(list.map((one) => one.why), ["41 % sure", "repeats itself"]);
});
