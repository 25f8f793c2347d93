// At the edges: text at twice its size, names without end, other scripts, failing answers, keys behind a question; and one call found among many.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { haveBrowser, openBrowser, openDesk, until } from "./browser.mjs";
import * as demo from "../mock/data.mjs";

const skip = haveBrowser ? false : "no Chromium: set THROUGHLINE_CHROMIUM";
/** Longer than a loaded machine needs. */
const PATIENCE = 30_000;
/** 1280 × 720 with everything at twice its size. */
const TWICE = { width: 640, height: 360 };
const LONG = "Maximiliane-Theodora ".repeat(10).trim();
let browser;
let closeBrowser = async () => {};
before(async () => { if (!skip) ({ browser, close: closeBrowser } = await openBrowser()); });
after(() => closeBrowser());

function desk(name, options, body) {
  test(name, { skip }, async () => {
    const opened = await openDesk(browser, options);
    opened.page.setDefaultTimeout(PATIENCE);
    try {
      await body(opened);
      assert.deepEqual(opened.bad, []);
      assert.deepEqual(await opened.page.evaluate(() => window.violations), []);
    } finally {
      await opened.close();
    }
  });
}

const wrapUps = (mock) => mock.log.filter((entry) => entry.path?.endsWith("/wrap-up"));
/** A call that is over and waits for its disposition. */
async function wrapUp({ mock, page }, part = {}) {
  mock.offer("known");
  await page.locator(".offer-slot.here").waitFor();
  mock.answerCall(part);
  await page.locator(".big-timer").waitFor({ state: "attached" });
  mock.hangUp();
  await page.locator(".wrap-form").waitFor({ state: "attached" });
}
const openCall = async ({ page, url }) => { await page.goto(`${url}/#/calls/${demo.CALL}`); await page.locator(".words .say").first().waitFor(); };

desk("with the map of keys open no key acts below it, and Escape closes the map alone", { user: "sofia" }, async (opened) => {
  const { page } = opened;
  await openCall(opened);
  await page.keyboard.press("?");
  await page.locator(".key-map[open]").waitFor();
  await page.keyboard.press("1");
  await page.keyboard.press("Escape");
  await page.locator(".key-map[open]").waitFor({ state: "detached" });
  assert.equal(await page.locator(".segmented [aria-pressed=true]").textContent().then((text) => text.startsWith("Both")), true);
  assert.match(page.url(), /#\/calls\/.+/, "the call is still open");
  await page.keyboard.press("?");
  await page.locator(".key-map[open]").waitFor();
  await page.keyboard.press("?");
  await page.locator(".key-map[open]").waitFor({ state: "detached" });
});

desk("the map of keys opens again in the moment in which it has closed", { user: "sofia" }, async (opened) => {
  const { page } = opened;
  await openCall(opened);
  await page.keyboard.press("?");
  await page.locator(".key-map[open]").waitFor();
  // Escape, and the next key before the browser has told of the closing, which it does in a turn of its own.
  const closedBetween = await page.evaluate(async () => {
    const dialog = document.querySelector(".key-map");
    dialog.requestClose();
    for (let turns = 0; turns < 10; turns += 1) await null;
    const closed = !dialog.open;
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "?", shiftKey: true, bubbles: true, cancelable: true }));
    await new Promise((told) => setTimeout(told, 0));
    return closed;
  });
  assert.equal(closedBetween, true);
  await page.locator(".key-map[open]").waitFor();
});

desk("the arrows scroll words that have the focus, and go through the list from elsewhere", { user: "sofia", prepare: (mock) => { mock.moreWords = 60; } }, async (opened) => {
  const { page } = opened;
  await openCall(opened);
  const here = page.url();
  const words = page.locator(".call-words");
  await words.focus();
  await page.keyboard.press("ArrowDown");
  await until("scrolled", () => words.evaluate((element) => element.scrollTop > 0), PATIENCE);
  assert.equal(page.url(), here);
  await page.locator(".wave").focus();
  await page.keyboard.press("ArrowUp");
  await until("5 s on", async () => (await page.locator(".place b").textContent()) === "0:05", PATIENCE);
  await page.keyboard.press("Home");
  await until("at the beginning", async () => (await page.locator(".place b").textContent()) === "0:00", PATIENCE);
  assert.equal(page.url(), here);
  await page.locator(".calls-rows").focus();
  await page.keyboard.press("ArrowDown");
  await until("the next call", () => page.url() !== here, PATIENCE);
});

desk("a channel's contacts are read to the end, however seldom it was used", { prepare: (mock) => { mock.timelineExtra = 400; } }, async ({ mock, page }) => {
  mock.offer("known");
  await page.locator(".entry").first().waitFor();
  // WhatsApp once on the first page, then every fifth contact; web forms begin later still.
  await page.locator(".filters").getByRole("button", { name: /^WhatsApp/ }).click();
  await page.locator(".timeline-scroll").evaluate((element) => { element.scrollTop = element.scrollHeight; });
  await until("all 407 read", () => mock.log.some((entry) => /timeline\?before=250/.test(entry.path ?? "")), PATIENCE);
  await page.locator(".filters .chip[aria-pressed=true]", { hasText: /\d/ }).waitFor();
});

desk("without dispositions the wrap-up says so and can try again", { prepare: (mock) => { mock.fail.set("/api/dispositions", { status: 500 }); mock.stage = "pending"; } }, async (opened) => {
  const { mock, page } = opened;
  await wrapUp(opened);
  await page.getByText("No dispositions to choose from.").waitFor();
  mock.fail.clear();
  await page.locator(".suggested").getByRole("button", { name: "Try again" }).click();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Billing › double charge" }).click();
  await page.getByRole("button", { name: /^Finish/ }).click();
  await until("finished", () => wrapUps(mock).length === 1, PATIENCE);
});

desk("with text at twice its size everything of a wrap-up can be reached", { viewport: TWICE, prepare: (mock) => { mock.stage = "pending"; } }, async (opened) => {
  const { mock, page } = opened;
  await page.locator(".tabs button", { hasText: "Live" }).click();
  await wrapUp(opened);
  mock.cardArrives();
  await page.getByRole("button", { name: "Billing › double charge" }).click();
  await page.locator("#note").fill("twice as large");
  await page.getByRole("button", { name: /^Finish/ }).click();
  const [sent] = await until("finished", () => wrapUps(mock).length > 0 && wrapUps(mock), PATIENCE);
  assert.equal(sent.body.note, "twice as large");
  for (const tab of ["Work", "Customer", "Live"]) {
    await page.locator(".tabs button", { hasText: tab }).click();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${tab} is not wider than the window`);
  }
});

for (const viewport of [TWICE, { width: 390, height: 844 }]) {
  desk(`a call's page is no wider than the window at ${viewport.width}`, { user: "sofia", viewport }, async (opened) => {
    await openCall(opened);
    await opened.page.locator(".wave canvas").waitFor();
    assert.deepEqual(await opened.page.evaluate(() => [...document.querySelectorAll(".player, .player > *, .call-words > *, .call-facts > *")].filter((element) => element.getBoundingClientRect().right > innerWidth + 1).map((element) => element.className)), []);
  });
}

desk("a number beside an Arabic name stays whole", {}, async ({ mock, page }) => {
  const known = demo.BRIEFS.known(Date.now());
  mock.offer("known");
  mock.answerCall({ brief: { ...known, customer: { ...known.customer, name: "فاطمة الزهراء", organisation: "شركة النور للتجارة" } } });
  await page.locator("h1", { hasText: "فاطمة" }).waitFor();
  const [plus, last] = await page.locator(".who-text .muted").evaluate((element) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const at = walker.currentNode.data.indexOf("+45 20 12 34 56");
      if (at < 0) continue;
      return [at, at + 14].map((from) => { const range = new Range(); range.setStart(walker.currentNode, from); range.setEnd(walker.currentNode, from + 1); return range.getBoundingClientRect().left; });
    }
    return [];
  });
  const cut = await page.locator("h1").evaluate((element) => {
    element.style.maxWidth = "60px";
    const range = new Range();
    range.setStart(element.firstChild, 0);
    range.setEnd(element.firstChild, 1);
    const [letter, box] = [range.getBoundingClientRect(), element.getBoundingClientRect()];
    return letter.right <= box.right + 1 && letter.left >= box.left - 1;
  });
  assert.ok(cut, "a name without room keeps its beginning");
  assert.ok(plus < last, `the plus at ${plus}, the last digit at ${last}`);
});

for (const viewport of [{ width: 1280, height: 720 }, { width: 1920, height: 1080 }]) {
  desk(`names of 200 characters push nothing out of its panel at ${viewport.width}`, { viewport, prepare: (mock) => {
    mock.work = demo.workItems(Date.now()).map((item) => ({ ...item, title: LONG, customer: item.customer && { ...item.customer, name: LONG, organisation: LONG } }));
    mock.stage = "pending";
  } }, async (opened) => {
    const { mock, page } = opened;
    const wide = () => page.evaluate(() => [...document.querySelectorAll(".left, .left .row, .offer-slot, .centre, .brief, .brief-card, .who, .chips, .last-contacts button, .right, .live-bar, .live-now, .notes, .wrap-form, .call-page, .player, .wave, .call-facts, .call-row, .board-body, .callers, header.top")]
      .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 || [...element.children].some((child) => child.getBoundingClientRect().width > 0 && getComputedStyle(child).position !== "absolute" && child.getBoundingClientRect().right > element.getBoundingClientRect().right + 1))
      .map((element) => element.className));
    const known = demo.BRIEFS.known(Date.now());
    const brief = { ...known, customer: { ...known.customer, name: LONG, organisation: LONG }, reasons: [{ ...known.reasons[0], text: LONG, because: LONG }], chips: known.chips.map((chip) => ({ ...chip, text: LONG })), last_contacts: known.last_contacts.map((one) => ({ ...one, title: LONG, outcome: LONG })) };
    mock.offer("known");
    mock.show({ offer: { ...mock.view.offer, brief, queue: LONG } });
    await page.locator(".brief h1", { hasText: "Maximiliane" }).waitFor();
    assert.deepEqual(await wide(), [], "pop");
    mock.answerCall({ brief, queue: LONG, sound: { mos_x100: 320, text: LONG } });
    mock.speak(0, 4);
    await page.locator(".live-now .say").first().waitFor();
    assert.deepEqual(await wide(), [], "in call");
    mock.hangUp();
    await page.locator(".wrap-form").waitFor();
    assert.deepEqual(await wide(), [], "wrap-up");
  });
}

desk("a call is found by what was said in it, opens there, and its places are gone through", { user: "sofia", prepare: (mock) => { mock.emptyPages = 3; } }, async ({ mock, page, url }) => {
  await page.goto(`${url}/#/calls`);
  await page.locator(".call-row").first().waitFor();
  await page.getByPlaceholder("Words said, name or number").fill("invoice");
  const row = page.locator(".call-row", { has: page.locator("mark") });
  await row.waitFor();
  assert.equal(await row.locator("mark").textContent(), "invoice");
  assert.ok(mock.log.some((entry) => /before=far1/.test(entry.path ?? "")), "pages on which nothing fits are passed over");
  await row.click();
  await page.locator(".word.found", { hasText: "invoice" }).waitFor();
  await page.getByText("1 of 1 place").waitFor();
  assert.match(page.url(), /\/\d+(\.\d)?$/);
  await until("at the place", async () => Number((await page.locator(".place b").textContent()).split(":")[1]) >= 10, PATIENCE);
  await page.keyboard.press("Enter");
  await page.locator(".hint", { hasText: /link to|address leads to/i }).waitFor();
  await page.getByPlaceholder("Words said, name or number").fill("you");
  await page.getByText(/of \d+ places/).or(page.getByText(/^\d+ places/)).first().waitFor();
  await page.locator(".player").focus();
  await page.keyboard.press("n");
  await page.getByText(/^\d+ of \d+ places/).waitFor();
  await page.locator(".word.found-now").first().waitFor();
});

desk("after many pages without a hit somebody is asked whether to look further", { user: "sofia", prepare: (mock) => { mock.emptyPages = 40; } }, async ({ mock, page, url }) => {
  await page.goto(`${url}/#/calls`);
  await page.locator(".call-row").first().waitFor();
  await page.getByPlaceholder("Words said, name or number").fill("invoice");
  const further = page.getByRole("button", { name: "Look further back" });
  await further.waitFor();
  assert.ok(mock.log.filter((entry) => /before=far/.test(entry.path ?? "")).length < 30);
  await further.click();
  await page.locator(".call-row mark").first().waitFor();
});

desk("every figure of the board opens its list", { user: "sofia" }, async ({ mock, page }) => {
  const focused = (selector) => until(selector, () => page.evaluate((wanted) => document.activeElement?.matches(wanted), selector), PATIENCE);
  const figure = (name) => page.locator(".figure", { hasText: name }).getByRole("button");
  await figure("Waiting").click();
  await focused(".callers-list");
  await figure("Service level").click();
  await focused(".queues");
  await figure("Abandoned today").click();
  await page.locator(".calls-list").waitFor();
  await until("today's abandoned calls", () => mock.log.some((entry) => /\/api\/calls\?from=\d+&to=\d+&q=abandoned/.test(entry.path ?? "")), PATIENCE);
});
