// The core of the desk in a second engine: `THROUGHLINE_FIREFOX` names a Firefox, driven as it is released. Without one nothing is run.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { firefox } from "playwright-core";
import { openDesk, until } from "./browser.mjs";
import * as demo from "../mock/data.mjs";

const path = process.env.THROUGHLINE_FIREFOX ?? "";
const skip = existsSync(path) ? false : "no Firefox: set THROUGHLINE_FIREFOX";
/** Longer than a loaded machine needs. */
const PATIENCE = 30_000;
/** No wishes for colours and motion: not every release takes them from a driver. */
const UNTOUCHED = { colorScheme: null, reducedMotion: null, forcedColors: null, contrast: null };
let browser;
let tooOld = false;
before(async () => {
  if (skip) return;
  browser = await firefox.launch({ channel: "moz-firefox", executablePath: path, headless: true });
  // Playwright sets a colour scheme in every context, and not every release knows how.
  tooOld = await browser.newContext(UNTOUCHED).then((context) => context.close().then(() => false), (error) => /unknown command/.test(error.message));
});
after(() => browser?.close());

function desk(name, options, body) {
  test(name, { skip }, async (t) => {
    if (tooOld) return t.skip("this Firefox lacks a command that its driver sends");
    const opened = await openDesk(browser, { ...options, media: UNTOUCHED });
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

desk("a whole call in Firefox: pop, words, hang-up, card, wrap-up", { prepare: (mock) => mock.drafts.clear() }, async ({ mock, page }) => {
  const offer = mock.offer("known");
  await until("rendered", () => mock.log.some((entry) => entry.type === "ack" && entry.offer === offer.offer && entry.level === "rendered"), PATIENCE);
  mock.answerCall();
  await page.locator(".big-timer").waitFor();
  mock.speak(0, 6, { partial: 4 });
  await page.locator(".say.partial").waitFor();
  await page.locator("#note").fill("Two payments for 4711.");
  await page.keyboard.press("Shift+F9");
  await page.locator(".wrap-form").waitFor();
  mock.cardArrives();
  await page.locator(".live-words .card-lines").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("2");
  await page.keyboard.press("Control+Enter");
  const wrapUp = await until("wrap-up", () => mock.log.find((entry) => entry.path?.endsWith("/wrap-up")), PATIENCE);
  assert.deepEqual([wrapUp.body.disposition, wrapUp.body.note], ["billing_question", "Two payments for 4711."]);
});

desk("a call of 3,000 utterances is read, searched and played in Firefox", { user: "sofia", prepare: (mock) => { mock.moreWords = 3000; } }, async ({ mock, page, url }) => {
  await page.goto(`${url}/#/calls`);
  await page.locator(".call-row").first().waitFor();
  await page.getByPlaceholder("Words said, name or number").fill("invoice");
  await page.locator(".call-row", { has: page.locator("mark") }).click();
  await page.locator(".word.found").first().waitFor();
  await page.keyboard.press("n");
  await page.locator(".word.found-now").waitFor();
  await page.locator(".word.found-now").click();
  await until("the recording is asked for", () => mock.log.some((entry) => entry.path?.endsWith("audio.wav")), PATIENCE);
  await page.locator(".call-words").evaluate((element) => { element.scrollTop = element.scrollHeight; });
  await page.locator(".word", { hasText: "Goodbye" }).last().waitFor();
  assert.ok(await page.locator(".call-words .word").count() < 1500, "only words near to what is read can be clicked");
});

desk("the board in Firefox", { user: "sofia" }, async ({ page }) => {
  await page.locator(".figure", { hasText: "Waiting" }).getByRole("button").click();
  await until("the callers", () => page.evaluate(() => document.activeElement?.matches(".callers-list")), PATIENCE);
});
