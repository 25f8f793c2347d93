// The desk in Chromium against the mock server: what the sheet promises, measured.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { haveBrowser, openBrowser, openDesk, PHONE, until } from "./browser.mjs";
import * as demo from "../mock/data.mjs";

const skip = haveBrowser ? false : "no Chromium: set THROUGHLINE_CHROMIUM";
let browser;
let closeBrowser = async () => {};
before(async () => { if (!skip) ({ browser, close: closeBrowser } = await openBrowser()); });
after(() => closeBrowser());

/** Runs a test on a desk of its own; afterwards nothing forbidden may have happened. */
function desk(name, options, body) {
  test(name, { skip }, async () => {
    const opened = await openDesk(browser, options);
    try {
      await body(opened);
      assert.deepEqual(opened.bad, []);
      assert.deepEqual(await opened.page.evaluate(() => window.violations), []);
    } finally {
      await opened.close();
    }
  });
}

const sent = (mock, type) => mock.log.filter((entry) => entry.type === type);
const frames = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
async function pop(mock, page, kind = "known") {
  const offer = mock.offer(kind);
  await until("rendered", () => sent(mock, "ack").find((entry) => entry.offer === offer.offer));
  await page.locator(`[data-offer="${offer.offer}"]`).waitFor();
  return offer;
}
/** Keys are dead for 300 ms after a pop. */
const keysAlive = (page) => page.waitForTimeout(320);

desk("the pop moves nothing and takes no focus", {}, async ({ mock, page }) => {
  await page.locator(".mine .row").first().waitFor();
  await page.getByRole("button", { name: /^My state/ }).focus();
  await frames(page);
  const from = await page.evaluate(() => performance.now());
  const before = await page.locator(".mine .row").first().boundingBox();
  for (const kind of ["late", "known"]) {
    await pop(mock, page, kind);
    await page.locator(kind === "known" ? ".entry" : ".brief.late").first().waitFor();
    await frames(page);
    assert.deepEqual(await page.locator(".mine .row").first().boundingBox(), before);
    assert.equal(await page.evaluate(() => document.activeElement?.textContent.slice(0, 8)), "My state");
  }
  await frames(page);
  const shifts = await page.evaluate((at) => window.shifts.filter((shift) => shift.at >= at), from);
  assert.deepEqual(shifts, [], "layout shift is 0");
  assert.match(await page.title(), /Maria Jensen/);
  assert.match(await page.locator("[aria-live=assertive]").textContent(), /Maria Jensen.*Invoice 4711/);
});

desk("the brief is equally high in every state", {}, async ({ mock, page }) => {
  const heights = new Set();
  for (const kind of ["late", "known", "two", "several", "unknown", "withheld"]) {
    await pop(mock, page, kind);
    heights.add((await page.locator(`.brief.${kind === "two" ? "known" : kind}`).boundingBox()).height);
  }
  assert.equal(heights.size, 1, [...heights].join(", "));
});

desk("rendered is said only after the name has been painted, and once", {}, async ({ mock, page }) => {
  await page.evaluate(() => {
    window.order = [];
    new MutationObserver(() => { if (document.querySelector(".offer-slot.here")?.textContent.includes("Maria Jensen") && !window.order.includes("drawn")) { window.order.push("drawn"); requestAnimationFrame(() => window.order.push("frame")); } }).observe(document.body, { subtree: true, childList: true });
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (text) { window.order.push(JSON.parse(text).level ?? "other"); return send.call(this, text); };
  });
  const at = Date.now();
  const offer = await pop(mock, page);
  await frames(page);
  const [ack, ...more] = sent(mock, "ack");
  assert.deepEqual(await page.evaluate(() => window.order), ["drawn", "frame", "rendered"]);
  assert.deepEqual([ack.offer, ack.level, more.length], [offer.offer, "rendered", 0]);
  console.log(`pop sent → rendered acknowledged: ${ack.at - at} ms`);
});

desk("a hidden tab says delivered at once, and rendered when it is shown", {}, async ({ mock, page }) => {
  const hide = (hidden) => page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => value });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await hide(true);
  const offer = mock.offer("known");
  await until("delivered", () => sent(mock, "ack").length === 1);
  assert.equal(sent(mock, "ack")[0].level, "delivered");
  await hide(false);
  await until("rendered", () => sent(mock, "ack").length === 2);
  assert.deepEqual([sent(mock, "ack")[1].offer, sent(mock, "ack")[1].level], [offer.offer, "rendered"]);
});

desk("agent keys are dead for 300 ms after a pop", {}, async ({ mock, page }) => {
  await page.evaluate(() => new MutationObserver((_, observer) => {
    if (!document.querySelector(".offer-slot.here")) return;
    observer.disconnect();
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "F2", shiftKey: true, bubbles: true, cancelable: true }));
  }).observe(document.body, { subtree: true, childList: true }));
  await pop(mock, page);
  assert.equal(sent(mock, "decline").length, 0);
  await keysAlive(page);
  await page.keyboard.press("Shift+F2");
  await until("declined", () => sent(mock, "decline").length === 1);
  await page.getByText("Declined. It goes to the next colleague.").waitFor();
});

desk("a vanished offer says why for a while, then the slot is free", {}, async ({ mock, page }) => {
  await pop(mock, page);
  mock.gone("answered_elsewhere", "Tom Weber");
  await page.getByText("Answered by Tom Weber.").waitFor();
  await page.getByText("Answered by Tom Weber.").waitFor({ state: "detached", timeout: 6000 });
  await page.getByText("No offer").waitFor();
});

desk("a whole call by keyboard alone", { prepare: (mock) => mock.drafts.clear() }, async ({ mock, page }) => {
  await pop(mock, page);
  await keysAlive(page);
  await page.keyboard.press("F2");
  await page.getByText("accepted at your phone").waitFor();
  mock.answerCall();
  await page.locator(".big-timer").waitFor();
  await page.keyboard.press("n");
  await page.keyboard.type("Two payments for 4711.");
  const field = await page.evaluateHandle(() => document.activeElement);
  await page.keyboard.press("Shift+F9");
  await page.locator(".wrap-form").waitFor();
  await page.keyboard.type(" Refund by Wednesday.");
  assert.ok(await field.evaluate((element) => element === document.activeElement && element.id === "note"), "hanging up leaves the caret where it was");
  mock.cardArrives();
  await page.locator(".live-words .card-lines").waitFor();
  assert.equal(await page.locator("#note").inputValue(), "Two payments for 4711. Refund by Wednesday.", "the card overwrites nothing");
  await until("draft on the server", () => mock.drafts.get(demo.CALL)?.text === "Two payments for 4711. Refund by Wednesday.");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Choose a disposition: 1, 2 or 3.").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("2");
  await page.keyboard.press("Control+Enter");
  const [wrapUp] = await until("wrap-up", () => { const all = mock.log.filter((entry) => entry.path?.endsWith("/wrap-up")); return all.length > 0 && all; });
  assert.equal(wrapUp.body.disposition, "billing_question");
  assert.equal(wrapUp.body.note, "Two payments for 4711. Refund by Wednesday.");
  assert.equal(wrapUp.body.solved, false, "a promise is open");
  assert.equal(wrapUp.body.promises.length, 1);
  await page.getByText("Nothing waiting.").waitFor();
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes("draft")).length), 0);
});

desk("several customers: a digit chooses, nothing is mixed before", {}, async ({ mock, page }) => {
  await pop(mock, page, "several");
  assert.equal(await page.locator(".entry").count(), 0);
  await keysAlive(page);
  await page.keyboard.press("1");
  await page.locator(".brief.known h1", { hasText: "Maria Jensen" }).waitFor();
  assert.deepEqual(mock.log.find((entry) => entry.path?.endsWith("/customer")).body, { customer: demo.MARIA.customer });
});

desk("an unknown caller gets a name on N", {}, async ({ mock, page }) => {
  await pop(mock, page, "unknown");
  await keysAlive(page);
  await page.keyboard.press("n");
  await page.keyboard.type("Zoé <b>Martin</b>");
  await page.keyboard.press("Enter");
  await page.locator(".brief.known h1", { hasText: "Zoé <b>Martin</b>" }).waitFor();
});

desk("HTML in a caller's name is text", {}, async ({ mock, page }) => {
  await pop(mock, page, "evil");
  assert.equal(await page.locator(".brief h1").textContent(), "<img src=x onerror=alert(1)><b>Eve</b>");
  mock.answerCall();
  await page.locator(".big-timer").waitFor();
  assert.equal(await page.locator("img:not([src='/icon.svg']), .desk script").count(), 0);
});

desk("a lost connection says so, keeps what is typed, and comes back", {}, async ({ mock, page }) => {
  await pop(mock, page);
  mock.answerCall();
  await page.locator("#note").fill("kept");
  mock.cut(true);
  await page.getByText("Reconnecting… calls continue on your phone").waitFor();
  await page.locator("#note").pressSequentially(" and on");
  mock.down = false;
  mock.cursor += 4;
  await page.getByText("Back. 4 changes caught up.").waitFor({ timeout: 15_000 });
  assert.equal(await page.locator("#note").inputValue(), "kept and on");
});

desk("an ended session asks over the page and the draft survives", {}, async ({ mock, page }) => {
  await pop(mock, page);
  mock.answerCall();
  await page.locator("#note").fill("half a sentence");
  mock.expired = true;
  mock.cut(false);
  await page.locator(".login-over").waitFor();
  await page.locator(".login-over input[type=password]").fill("demo");
  await page.keyboard.press("Enter");
  await page.locator(".login-over").waitFor({ state: "detached" });
  assert.equal(await page.locator("#note").inputValue(), "half a sentence");
});

desk("a promise's time is typed as people write it, and what nobody can read holds the finish back", {}, async ({ mock, page }) => {
  await pop(mock, page);
  mock.answerCall();
  mock.hangUp();
  mock.cardArrives();
  const due = page.getByLabel("Due", { exact: true });
  await due.waitFor();
  assert.match(await due.inputValue(), /^\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d$/, "the month in letters, whatever the browser's language");
  await page.getByRole("button", { name: "Billing › double charge" }).click();
  await due.fill("soonish");
  await page.keyboard.press("Control+Enter");
  await page.getByText("“soonish” is no time").waitFor();
  assert.equal(mock.log.filter((entry) => entry.path?.endsWith("/wrap-up")).length, 0);
  await due.fill("tomorrow 14:00");
  await page.keyboard.press("Control+Enter");
  const wrapUp = await until("wrap-up", () => mock.log.find((entry) => entry.path?.endsWith("/wrap-up")));
  // The page is in Copenhagen.
  const said = new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Copenhagen", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const tomorrow = new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Copenhagen", day: "numeric" }).format(Date.now() + 24 * 3_600_000);
  assert.ok(said.format(wrapUp.body.promises[0].due).startsWith(tomorrow) && said.format(wrapUp.body.promises[0].due).endsWith("14:00"), said.format(wrapUp.body.promises[0].due));
});

desk("the list of calls is cut to days that are typed", { user: "sofia" }, async ({ mock, page, url }) => {
  await page.goto(`${url}/#/calls`);
  await page.locator(".call-row").first().waitFor();
  await page.getByLabel("From", { exact: true }).fill("2026-03-02");
  await page.keyboard.press("Enter");
  await until("asked from that day on", () => mock.log.some((entry) => entry.path?.startsWith("/api/calls") && entry.path.includes(`from=${Date.UTC(2026, 2, 1, 23)}`)));
  assert.equal(await page.getByLabel("From", { exact: true }).inputValue(), "2 Mar 2026");
});

desk("a conflict of drafts shows both and keeps both", {}, async ({ mock, page }) => {
  await pop(mock, page);
  mock.answerCall();
  await page.locator("#note").fill("mine");
  mock.drafts.set(demo.CALL, { text: "theirs", version: 7 });
  await page.locator(".conflict").waitFor();
  assert.match(await page.locator(".conflict").textContent(), /theirs/);
  await page.getByRole("button", { name: "Keep both" }).click();
  await until("both saved", () => mock.drafts.get(demo.CALL).text === "mine\n\ntheirs");
});

desk("a timeline of 5,000 entries answers within 50 ms", { prepare: (mock) => { mock.timelineExtra = 4993; } }, async ({ mock, page }) => {
  await pop(mock, page);
  await page.locator(".entry").first().waitFor();
  const scroller = page.locator(".timeline-scroll");
  await until("5,000 loaded", async () => {
    await scroller.evaluate((element) => { element.scrollTop = element.scrollHeight; });
    return mock.log.some((entry) => /before=4850/.test(entry.path ?? ""));
  }, 60_000);
  await until("the last one", async () => { await scroller.evaluate((element) => { element.scrollTop = element.scrollHeight; }); return (await page.locator(".entry-title").allTextContents()).some((text) => /^Contact 4993/.test(text)); }, 10_000);
  assert.ok(await page.locator(".entry").count() < 60, "only what can be seen is in the document");
  await keysAlive(page);
  const times = await page.evaluate(async () => {
    const result = [];
    for (let n = 0; n < 40; n += 1) {
      const from = performance.now();
      document.dispatchEvent(new KeyboardEvent("keydown", { key: n % 8 === 7 ? "Enter" : "k", bubbles: true, cancelable: true }));
      await new Promise((done) => requestAnimationFrame(() => { const channel = new MessageChannel(); channel.port1.onmessage = done; channel.port2.postMessage(0); }));
      result.push(performance.now() - from);
    }
    return result.sort((a, b) => a - b);
  });
  const p95 = times[Math.floor(times.length * 0.95)];
  console.log(`5,000 entries, input to paint: p50 ${times[20].toFixed(1)} ms, p95 ${p95.toFixed(1)} ms`);
  assert.ok(p95 < 50, `p95 ${p95}`);
});

desk("the supervisor seeks, plays and hears one side", { user: "sofia" }, async ({ mock, page, url }) => {
  await page.goto(`${url}/#/calls/${demo.CALL}`);
  await page.locator(".word", { hasText: "charged" }).first().click();
  await page.locator(".say.now .word.now").waitFor();
  await until("byte range asked", () => mock.log.some((entry) => entry.path?.endsWith("audio.wav")));
  await page.keyboard.press("Space");
  const place = async () => (await page.locator(".place b").textContent());
  const at = await place();
  await page.keyboard.press("l");
  await until("5 s on", async () => (await place()) !== at);
  await page.keyboard.press("1");
  await page.locator(".segmented [aria-pressed=true]", { hasText: "Customer" }).waitFor();
  await page.keyboard.press(".");
  await page.getByText("1.25×").waitFor();
  const box = await page.locator(".wave").boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + 40);
  await until("half of it", async () => (await place()) === "0:28");
  await page.locator(".call-facts .play-chip").first().click();
  await until("plays from the evidence", async () => (await place()) >= "0:14" && (await place()) < "0:28");
  const pixels = await page.locator(".wave canvas").evaluate((canvas) => new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size);
  assert.ok(pixels > 20, "the lanes are drawn");
});

desk("a supervisor with a phone sees an offer on any page, and the call at the desk", { user: "sofia" }, async ({ mock, page }) => {
  await pop(mock, page);
  await page.locator(".floating-offer", { hasText: "Maria Jensen" }).waitFor();
  assert.equal(sent(mock, "ack")[0].level, "rendered");
  mock.answerCall();
  await page.locator(".desk .big-timer").waitFor();
});

desk("a call opened from the list plays on Space", { user: "sofia" }, async ({ page, url }) => {
  await page.goto(`${url}/#/calls`);
  await page.locator(".call-row").first().click();
  await page.locator(".words .say").first().waitFor();
  await page.keyboard.press("Space");
  await page.getByRole("button", { name: "Pause" }).first().waitFor();
});

desk("G and a letter goes somewhere from every page", { user: "sofia" }, async ({ page }) => {
  for (const [letter, place] of [["a", ".calls-list"], ["s", ".board"], ["w", ".desk"], ["a", ".calls-list"]]) {
    await page.keyboard.press("g");
    await page.keyboard.press(letter);
    await page.locator(place).waitFor();
  }
});

desk("an agent sees no board and no list of calls", {}, async ({ page, url }) => {
  await page.goto(`${url}/#/board`);
  await page.locator(".desk").waitFor();
  assert.equal(await page.getByRole("link", { name: "Board" }).count(), 0);
});

const talking = async ({ mock, page }, to, options) => {
  await pop(mock, page);
  mock.answerCall();
  await page.locator(".big-timer").waitFor();
  mock.speak(0, to, options);
  await page.locator(".live-now .say").first().waitFor();
};
const shown = (page) => page.locator(".live-now .say .what p").allTextContents();

desk("words come while they are said, by time, a partial in its final's place, and nothing shifts", {}, async (opened) => {
  const { mock, page } = opened;
  await talking(opened, 2, { partial: 4 });
  await page.getByText("I sent you an…").waitFor();
  const place = await page.locator(".say.partial").boundingBox();
  await frames(page);
  const from = await page.evaluate(() => performance.now());
  mock.speak(2, 3);
  await until("the final", async () => (await shown(page))[2] === "I sent you an email two hours ago and nobody answered.");
  assert.equal(await page.locator(".say.partial").count(), 0);
  const after = await page.locator(".live-now .say").nth(2).boundingBox();
  assert.deepEqual([after.x, after.y], [place.x, place.y], "in its place");
  await frames(page);
  assert.deepEqual(await page.evaluate((at) => window.shifts.filter((shift) => shift.at >= at), from), [], "layout shift is 0");
  // What was said between two lines that are shown has to move the second.
  mock.speak(4, 5);
  mock.speak(3, 4);
  await until("by time, not by arrival", async () => (await shown(page))[3]?.startsWith("I am sorry") && (await shown(page))[4]?.startsWith("Yes."));
  const log = await page.locator("[role=log] p").allTextContents();
  assert.ok(log.some((line) => line === "Maria Jensen: I sent you an email two hours ago and nobody answered."), log.join(" | "));
  assert.ok(!log.some((line) => line.includes("I sent you an…")), "no partial word is read out");
});

desk("words are followed until somebody scrolls, then a button leads back", {}, async (opened) => {
  const { mock, page } = opened;
  const many = Array.from({ length: 120 }, (_, n) => ({ ...demo.liveUtterances()[n % 8], from_ms: n * 3000, to_ms: n * 3000 + 2000 }));
  await talking(opened, 0, { partial: 3 });
  mock.words(many);
  const scroller = page.locator(".live-now-scroll");
  const fromEnd = () => scroller.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop);
  await until("at the end", async () => (await fromEnd()) <= 24 && (await page.locator(".live-now .say").count()) > 3);
  assert.ok((await page.locator(".live-now .say").count()) < 40, "only what can be seen is in the document");
  await scroller.hover();
  await page.mouse.wheel(0, -600);
  const jump = page.getByRole("button", { name: /Jump to live/ });
  await jump.waitFor();
  await frames(page);
  const top = await page.locator(".live-now .say").nth(8).boundingBox();
  const text = await page.locator(".live-now .say").nth(8).textContent();
  // One at the end, and one that was said before what is read.
  mock.words([{ ...many[0], from_ms: 400_000, to_ms: 401_000 }, { ...many[1], from_ms: 1500, to_ms: 2500 }]);
  await page.getByRole("button", { name: "Jump to live · 2 new" }).waitFor();
  await frames(page);
  const still = await page.locator(".live-now .say", { hasText: text.slice(0, 4) }).evaluateAll((all, wanted) => all.find((one) => one.textContent === wanted)?.getBoundingClientRect().y, text);
  // A row measured meanwhile may give a few pixels; the inserted one would give 31 and more.
  assert.ok(Math.abs(still - top.y) <= 15, `what is read stays where it is: ${still} against ${top.y}`);
  await jump.click();
  await until("at the end again", async () => (await fromEnd()) <= 24);
  assert.equal(await jump.count(), 0);
});

desk("a lost connection brings the words from the snapshot, each once; a lag is said", {}, async (opened) => {
  const { mock, page } = opened;
  await talking(opened, 2);
  mock.cut(true);
  await page.getByText("Reconnecting…").first().waitFor();
  mock.speak(1, 5, { lag: 4300 });
  mock.down = false;
  await until("all five", async () => (await shown(page)).length === 5, 15_000);
  await page.getByText("words 4 s behind").waitFor();
  mock.speak(5, 6, { lag: 800 });
  await until("six", async () => (await shown(page)).length === 6);
  assert.equal(await page.getByText("words 4 s behind").count(), 0);
});

desk("without a model it is said who can help; what is not understood, and what comes later, has a line", { prepare: (mock) => { mock.noModel = true; } }, async ({ mock, page }) => {
  await pop(mock, page);
  mock.answerCall();
  await page.getByText("No speech model. Admin: throughline model").waitFor();
  mock.speak(10, 11);
  await page.locator(".live-now").getByText("not understood · 0.7 s").waitFor();
  mock.words([demo.later(51_200, 54_000)]);
  await page.locator(".live-now .later", { hasText: "words follow after the call" }).waitFor();
  mock.hangUp();
  await page.locator(".live-words .not-understood").first().waitFor();
});

const openCall = async ({ page, url }) => { await page.goto(`${url}/#/calls/${demo.CALL}`); await page.locator(".words .say").first().waitFor(); };
const posted = (mock, part) => mock.log.filter((entry) => entry.method === "POST" && entry.path?.includes(part));

desk("a word is put right in its place, shown as such, and taken back", { user: "sofia" }, async (opened) => {
  const { mock, page } = opened;
  await openCall(opened);
  await page.locator(".word", { hasText: "charged" }).first().dblclick();
  await page.locator(".word-input").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".word-input").count(), 0);
  assert.equal(posted(mock, "/corrections").length, 0, "Escape changes nothing");
  await page.locator(".word", { hasText: "charged" }).first().click();
  await page.keyboard.press("e");
  await page.keyboard.type("billed");
  await page.keyboard.press("Enter");
  await page.locator(".word.corrected", { hasText: "billed" }).waitFor();
  const [sent1] = posted(mock, "/corrections");
  assert.deepEqual([sent1.body.before, sent1.body.after, sent1.body.revision], ["charged", "billed", 1]);
  assert.match(await page.locator(".word.corrected").getAttribute("title"), /Sofia Lindqvist wrote this for “charged”/);
  await page.locator(".corrections").getByRole("button", { name: "Undo" }).click();
  await page.locator(".word", { hasText: "charged" }).first().waitFor();
  await page.locator(".corrections", { hasText: "taken back" }).waitFor();
});

desk("several selected words and what was not understood are put right too", { user: "sofia" }, async (opened) => {
  const { mock, page } = opened;
  await openCall(opened);
  await page.evaluate(() => {
    const words = [...document.querySelectorAll(".word")];
    const at = words.findIndex((word) => word.textContent === "charged");
    getSelection().setBaseAndExtent(words[at].firstChild, 1, words[at + 1].firstChild, 2);
  });
  await page.keyboard.press("e");
  assert.equal(await page.locator(".word-input").inputValue(), "charged twice,");
  await page.keyboard.press("Escape");
  await page.locator(".words .say:not(.quiet) .not-understood").dblclick();
  await page.locator(".word-input").fill("hello?");
  await page.keyboard.press("Enter");
  await until("sent", () => posted(mock, "/corrections").length === 1);
  assert.deepEqual([posted(mock, "/corrections")[0].body.before, posted(mock, "/corrections")[0].body.after], ["", "hello?"]);
});

desk("the other's words are shown beside mine, and neither is lost", { user: "sofia" }, async (opened) => {
  const { mock, page } = opened;
  await openCall(opened);
  await page.locator(".word", { hasText: "charged" }).first().dblclick();
  mock.otherCorrects("billed");
  await page.locator(".word-input").fill("debited");
  await page.keyboard.press("Enter");
  await page.locator(".edit-note.conflict", { hasText: /Tom Weber wrote\s*billed\s*here/ }).waitFor();
  assert.equal(await page.locator(".word-input").inputValue(), "debited");
  await page.getByRole("button", { name: "Write mine" }).click();
  await page.locator(".word.corrected", { hasText: "debited" }).waitFor();
  assert.equal(posted(mock, "/corrections").at(-1).body.before, "billed");
});

desk("a call is transcribed again, its state is said, and an older revision can be read", { user: "sofia" }, async (opened) => {
  const { mock, page } = opened;
  await openCall(opened);
  await page.getByRole("button", { name: /Transcribe again/ }).click();
  await page.getByRole("menuitem", { name: "large-v3-turbo" }).click();
  await page.getByText("waits to be transcribed by large-v3-turbo").waitFor();
  mock.redo = null;
  mock.revisions = 2;
  mock.cardArrives();
  const chooser = page.getByLabel("Revision of the words");
  await chooser.waitFor();
  await page.locator(".word", { hasText: /^charge$/ }).waitFor();
  await chooser.selectOption("1");
  await page.locator(".word", { hasText: /^charged$/ }).first().waitFor();
  await page.getByText("An older revision.").waitFor();
  await page.locator(".call-facts .play-chip").first().click();
  await page.locator(".say.now").waitFor();
});

desk("the words of two hours answer at once, can be searched, and the line that sounds is followed", { user: "sofia", prepare: (mock) => { mock.moreWords = 2988; } }, async (opened) => {
  const { page } = opened;
  await openCall(opened);
  const text = page.locator(".call-words .words");
  await until("all lines are in the document, where the browser's search finds them", async () => (await text.textContent()).split("I was charged twice").length > 249, 30_000);
  await page.locator(".word", { hasText: "charged" }).first().click();
  await page.locator(".words .say.now").waitFor();
  await until("the line that sounds is in sight", () => page.locator(".words .say.now").first().evaluate((element) => { const { top, bottom } = element.getBoundingClientRect(); const box = element.closest(".scroll").getBoundingClientRect(); return top >= box.top - 1 && bottom <= box.bottom + 1; }).catch(() => false));
  assert.ok(await page.evaluate(() => window.find("Is there anything else I can do for you?")), "found by the browser");
  await keysAlive(page);
  const times = await page.evaluate(async () => {
    const result = [];
    const scroller = document.querySelector(".call-words");
    for (let n = 0; n < 40; n += 1) {
      const from = performance.now();
      if (n % 2 === 0) scroller.scrollTop = (scroller.scrollHeight / 40) * n;
      else document.elementFromPoint(scroller.getBoundingClientRect().left + 120, scroller.getBoundingClientRect().top + 160)?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
      await new Promise((done) => requestAnimationFrame(() => { const channel = new MessageChannel(); channel.port1.onmessage = done; channel.port2.postMessage(0); }));
      result.push(performance.now() - from);
    }
    return result.sort((a, b) => a - b);
  });
  assert.ok(await page.locator(".call-words .word").count() < 1500, "only words near to what is read can be clicked");
  console.log(`3,000 utterances, input to paint: p50 ${times[20].toFixed(1)} ms, p95 ${times[38].toFixed(1)} ms`);
});

desk("a supervisor reads along from the board", { user: "sofia", prepare: (mock) => { mock.running = true; mock.stage = "pending"; } }, async ({ mock, page }) => {
  mock.speak(0, 3);
  await page.locator(".agents").getByRole("link", { name: /On a call/ }).first().click();
  await page.locator(".live-now .say").nth(2).waitFor();
  await until("asked to watch", () => sent(mock, "watch_words").some((entry) => entry.interaction === demo.CALL));
  mock.speak(3, 4);
  await page.locator(".live-now").getByText("I am sorry to hear that.").first().waitFor();
});

desk("lines of the card are confirmed, edited and struck out by keyboard in wrap-up", {}, async ({ mock, page }) => {
  await pop(mock, page);
  mock.answerCall();
  mock.hangUp();
  mock.cardArrives();
  await page.locator(".live-words .card-lines").waitFor();
  const line = (n) => page.locator(".live-words .card-lines > div").nth(n);
  await line(0).focus();
  await page.keyboard.press("y");
  await line(0).getByText("confirmed").waitFor();
  await line(1).focus();
  await page.keyboard.press("e");
  await page.keyboard.type("Invoice 4711, twice");
  await page.keyboard.press("Enter");
  await line(1).locator(".change", { hasText: "Invoice 4711 · 1,249 kroner 4711, twice" }).waitFor();
  await line(3).focus();
  await page.keyboard.press("x");
  await page.locator(".live-words .card-lines > .rejected").waitFor();
  assert.deepEqual(posted(mock, "/findings/").map((entry) => entry.body), [{ status: "confirmed" }, { status: "edited", text: "Invoice 4711, twice" }, { status: "rejected" }]);
});

const axe = await readFile(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8").catch(() => "");
const VIEWS = {
  login: [{ login: false }, async () => {}],
  idle: [{}, async ({ page }) => { await page.locator(".mine .row").first().waitFor(); }],
  pop: [{}, async ({ mock, page }) => { await pop(mock, page); await page.locator(".entry").first().waitFor(); }],
  several: [{}, async ({ mock, page }) => { await pop(mock, page, "several"); }],
  unknown: [{}, async ({ mock, page }) => { await pop(mock, page, "unknown"); }],
  "live words": [{}, async (opened) => { await talking(opened, 11, { partial: 3, lag: 4300 }); opened.mock.words([demo.later(51_200, 54_000)]); await opened.page.locator(".later").waitFor(); }],
  "wrap-up": [{}, async ({ mock, page }) => { await pop(mock, page); mock.answerCall(); mock.hangUp(); mock.cardArrives(); await page.locator(".live-words .card-lines").waitFor(); await page.getByRole("button", { name: "Billing › double charge" }).click(); }],
  board: [{ user: "sofia" }, async () => {}],
  "calls, no day": [{ user: "sofia" }, async ({ page, url }) => { await page.goto(`${url}/#/calls`); await page.locator(".call-row").first().waitFor(); await page.getByLabel("From", { exact: true }).fill("soon"); await page.keyboard.press("Enter"); await page.getByText("“soon” is no day").waitFor(); }],
  "review, running": [{ user: "sofia", prepare: (mock) => { mock.running = true; } }, async ({ mock, page, url }) => { mock.speak(0, 6); await page.goto(`${url}/#/calls/${demo.CALL}`); await page.locator(".live-now .say").first().waitFor(); }],
  "review, conflict": [{ user: "sofia", prepare: (mock) => { mock.revisions = 2; mock.redo = { state: "failed", model: "large-v3-turbo", trouble: "There is no such model." }; } }, async (opened) => { await openCall(opened); await opened.page.locator(".word", { hasText: "charge" }).first().dblclick(); opened.mock.otherCorrects("billed"); await opened.page.locator(".word-input").fill("x"); await opened.page.keyboard.press("Enter"); await opened.page.locator(".edit-note.conflict").waitFor(); }],
  review: [{ user: "sofia" }, async ({ page, url }) => { await page.goto(`${url}/#/calls/${demo.CALL}`); await page.locator(".word", { hasText: "charged" }).first().click(); await page.locator(".say.now").waitFor(); }],
};
for (const [name, [options, act]] of Object.entries(VIEWS)) {
  for (const scheme of ["light", "dark"]) {
    for (const viewport of scheme === "dark" ? [undefined] : [undefined, PHONE]) {
      desk(`axe finds nothing serious: ${name}, ${scheme}${viewport ? ", phone" : ""}`, { ...options, scheme, ...(viewport ? { viewport } : {}) }, async (opened) => {
        if (viewport && options.user !== "sofia" && options.login !== false) await opened.page.locator(".tabs button", { hasText: name === "idle" ? "Work" : name === "wrap-up" || name === "live words" ? "Live" : "Customer" }).click();
        await act(opened);
        await opened.page.evaluate(axe);
        const { violations } = await opened.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
        const serious = violations.filter((one) => one.impact === "serious" || one.impact === "critical").flatMap((one) => one.nodes.slice(0, 4).map((node) => `${one.id}: ${node.html.slice(0, 140)} ${node.any[0]?.message ?? node.all[0]?.message ?? ""}`));
        assert.deepEqual(serious, []);
      });
    }
  }
}
