// Pictures of every state, light and dark, wide and phone, into tests/out: to be looked at by a person.
// `node tests/shots.mjs [part of a name]`
import { mkdir } from "node:fs/promises";
import { openBrowser, openDesk, PHONE, WIDE } from "./browser.mjs";
import * as demo from "../mock/data.mjs";

const out = new URL("out/", import.meta.url).pathname;
const only = process.argv[2] ?? "";
const pop = (kind) => async ({ mock, page }) => { mock.offer(kind); await page.locator(".offer-slot.here").waitFor(); await page.waitForTimeout(250); };
const call = async (desk) => { await pop("known")(desk); desk.mock.answerCall(); await desk.page.locator(".big-timer").waitFor(); await desk.page.locator("#note").fill("Two payments for 4711, on the 3rd and the 5th."); await desk.page.waitForTimeout(200); };
const talk = (to, options) => async (desk) => { await call(desk); desk.mock.speak(0, to, options); await desk.page.locator(".live-now .say").first().waitFor(); await desk.page.waitForTimeout(200); };
const wrap = async (desk) => { await call(desk); desk.mock.hangUp(); await desk.page.locator(".wrap-form").waitFor(); desk.mock.cardArrives(); await desk.page.locator(".live-words .card-lines").waitFor(); await desk.page.keyboard.press("Escape"); await desk.page.keyboard.press("1"); await desk.page.waitForTimeout(200); };
const review = async ({ page, url }) => { await page.goto(`${url}/#/calls/${demo.CALL}`); await page.locator(".words .say").first().waitFor(); await page.locator(".word", { hasText: "charged" }).first().click(); await page.locator(".word.now", { hasText: "twice" }).waitFor(); await page.keyboard.press("Space"); await page.locator(".say.now").waitFor(); await page.waitForTimeout(200); };
const goto = (hash, selector) => async ({ page, url }) => { await page.goto(url + hash); await page.locator(selector).first().waitFor(); await page.waitForTimeout(200); };

const SHOTS = [
  ["login", { login: false }, async ({ page }) => { await page.getByLabel("User name").fill("ann"); await page.getByLabel("Password").fill("wrong"); await page.keyboard.press("Enter"); await page.getByText("do not fit").waitFor(); }],
  ["idle", {}, async ({ page }) => { await page.locator(".mine .row").first().waitFor(); }],
  ["idle-nothing", { prepare: (mock) => { mock.work = []; } }, async () => {}],
  ["idle-no-phone", {}, async ({ mock, page }) => { mock.show({ ...mock.ready(), phone_registered: false }); await page.locator(".offer-slot.warn-text").waitFor(); }],
  ["idle-not-ready", {}, async ({ mock, page }) => { mock.show({ ...mock.ready(), state: "not_ready", reason: "Lunch" }); await page.getByText("You are not ready").waitFor(); }],
  ["pop-known", {}, pop("known")], ["pop-two", {}, pop("two")], ["pop-several", {}, pop("several")], ["pop-unknown", {}, pop("unknown")], ["pop-late", {}, pop("late")], ["pop-withheld", {}, pop("withheld")], ["pop-evil", {}, pop("evil")],
  ["pop-gone", {}, async (desk) => { await pop("known")(desk); desk.mock.gone("answered_elsewhere", "Tom Weber"); await desk.page.locator(".offer-slot.gone").waitFor(); }],
  ["in-call", {}, call],
  ["in-call-trouble", {}, async (desk) => { await call(desk); desk.mock.show({ call: { ...desk.mock.view.call, held_since: Date.now() - 21_000, recording: false, trouble: "No sound from the customer, but they are there: perhaps muted. Ask, or call back.", trouble_since: Date.now() - 6000 } }); await desk.page.waitForTimeout(150); }],
  ["in-call-poor", {}, async (desk) => { await call(desk); desk.mock.show({ call: { ...desk.mock.view.call, sound: { mos_x100: 320, text: "Customer hard to hear: 12 % lost" } } }); await desk.page.waitForTimeout(150); }],
  ["call-words", {}, talk(6)],
  ["call-words-partial", {}, talk(8, { partial: 7 })],
  ["call-words-lag", {}, talk(6, { lag: 4300 })],
  ["call-words-not-understood", {}, async (desk) => { await talk(11)(desk); desk.mock.words([demo.later(51_200, 54_000)]); await desk.page.locator(".later").waitFor(); await desk.page.waitForTimeout(200); }],
  ["call-words-jump", {}, async (desk) => { await talk(11)(desk); await desk.page.locator(".live-now-scroll").hover(); await desk.page.mouse.wheel(0, -400); await desk.page.getByRole("button", { name: "Jump to live" }).waitFor(); desk.mock.speak(11, 13); await desk.page.getByText("2 new").waitFor(); await desk.page.waitForTimeout(150); }],
  ["call-words-no-model", { prepare: (mock) => { mock.noModel = true; } }, async (desk) => { await call(desk); await desk.page.getByText("No speech model.").waitFor(); }],
  ["call-rings-outside", {}, async (desk) => { await call(desk); desk.mock.show({ call: { ...desk.mock.view.call, direction: "outbound", answered_at: null, recording: false } }); await desk.page.waitForTimeout(150); }],
  ["in-call-from-us", {}, async (desk) => { await call(desk); desk.mock.show({ call: { ...desk.mock.view.call, direction: "outbound" } }); await desk.page.waitForTimeout(150); }],
  ["wrap-up-waiting", {}, async (desk) => { await call(desk); desk.mock.hangUp(); await desk.page.locator(".wrap-form").waitFor(); await desk.page.waitForTimeout(250); }],
  ["wrap-up", {}, wrap],
  ["item", {}, async ({ page }) => { await page.locator(".mine .row").first().click(); if (page.viewportSize().width < 900) await page.locator(".tabs button", { hasText: "Live" }).click(); await page.locator(".item-panel").waitFor(); await page.waitForTimeout(150); }],
  ["details", {}, async (desk) => { await pop("known")(desk); await desk.page.getByRole("button", { name: "Details" }).click(); await desk.page.locator(".about-list li").first().waitFor(); }],
  ["words-in-timeline", {}, async (desk) => { await pop("known")(desk); await desk.page.getByRole("button", { name: "Words" }).first().click(); await desk.page.locator(".entry .say").first().waitFor(); await desk.page.keyboard.press("j"); await desk.page.keyboard.press("j"); await desk.page.waitForTimeout(150); }],
  ["first-contact", { prepare: (mock) => { mock.noHistory = true; } }, async (desk) => { desk.mock.offer("known"); await desk.page.getByText("First contact.").waitFor(); }],
  ["lost", {}, async (desk) => { await call(desk); desk.mock.cut(true); await desk.page.locator(".banner.warn").waitFor(); }],
  ["stopping", {}, async (desk) => { await call(desk); desk.mock.show({ notice: "The server restarts once the running calls are over. They go on; no new ones come." }); await desk.page.locator(".banner.warn").waitFor(); }],
  ["expired", {}, async (desk) => { await call(desk); desk.mock.expired = true; desk.mock.cut(false); await desk.page.locator(".login-over").waitFor(); }],
  ["keys", {}, async ({ page }) => { await page.keyboard.press("?"); await page.locator(".key-map[open]").waitFor(); }],
  ["board", { user: "sofia" }, async () => {}],
  ["calls", { user: "sofia" }, goto("/#/calls", ".call-row")],
  ["calls-empty", { user: "sofia", prepare: (mock) => { mock.noCalls = true; } }, goto("/#/calls", ".calls-list .empty")],
  ["review", { user: "sofia" }, review],
  ["review-correcting", { user: "sofia" }, async (desk) => { await review(desk); await desk.page.locator(".word", { hasText: "charged" }).first().dblclick(); await desk.page.locator(".word-input").fill("charged me"); await desk.page.waitForTimeout(150); }],
  ["review-conflict", { user: "sofia" }, async (desk) => { await review(desk); await desk.page.locator(".word", { hasText: "charged" }).first().dblclick(); desk.mock.otherCorrects("billed"); await desk.page.locator(".word-input").fill("charged me"); await desk.page.keyboard.press("Enter"); await desk.page.locator(".edit-note.conflict").waitFor(); await desk.page.waitForTimeout(150); }],
  ["review-corrected", { user: "sofia", prepare: (mock) => { mock.otherCorrects("billed"); mock.revisions = 2; mock.corrections.push({ ...mock.corrections[0], correction: demo.id("7", 9), from_ms: 33_000, to_ms: 33_400, before: "", after: "hello?", state: "no_longer_fits" }); } }, async (desk) => { await review(desk).catch(() => {}); await desk.page.locator(".corrections").first().scrollIntoViewIfNeeded(); await desk.page.waitForTimeout(150); }],
  ["review-again", { user: "sofia" }, async (desk) => { await review(desk); await desk.page.getByRole("button", { name: /Transcribe again/ }).click(); await desk.page.locator(".menu-list").waitFor(); await desk.page.waitForTimeout(150); }],
  ["review-again-runs", { user: "sofia", prepare: (mock) => { mock.redo = { state: "running", model: "large-v3-turbo", trouble: null }; } }, review],
  ["review-again-failed", { user: "sofia", prepare: (mock) => { mock.redo = { state: "failed", model: "large-v3-turbo", trouble: "There is no speech model large-v3-turbo here: choose another, or have an administrator fetch it." }; } }, review],
  ["review-judged", { user: "sofia", prepare: (mock) => { mock.judged.set(demo.id("8", 1), { status: "confirmed" }); mock.judged.set(demo.id("8", 2), { status: "edited", text: "Invoice 4711 · 1,249 kroner, twice" }); mock.judged.set(demo.id("8", 4), { status: "rejected" }); } }, async (desk) => { await review(desk); await desk.page.locator(".card-lines > div").nth(2).focus(); await desk.page.waitForTimeout(150); }],
  ["review-running", { user: "sofia", prepare: (mock) => { mock.running = true; } }, async (desk) => { desk.mock.speak(0, 6); await desk.page.goto(`${desk.url}/#/calls/${demo.CALL}`); await desk.page.locator(".live-now .say").first().waitFor(); desk.mock.words([demo.partly(6, 6)]); await desk.page.locator(".say.partial").waitFor(); await desk.page.waitForTimeout(200); }],
  ["review-no-recording", { user: "sofia", prepare: (mock) => { mock.recording = { state: "none", trouble: null, duration_ms: null, gaps: [{ party: "customer", kind: "paused", from_ms: 40_000, to_ms: 70_000 }] }; mock.coverage = { customer: 41, agent: 90 }; } }, goto(`/#/calls/${demo.CALL}`, ".words .say")],
  ["review-taken-out", { user: "sofia", prepare: (mock) => { mock.takenOut = true; } }, async (desk) => { await goto(`/#/calls/${demo.CALL}`, ".taken-out")(desk); await desk.page.locator(".taken-out").scrollIntoViewIfNeeded(); await desk.page.waitForTimeout(150); }],
  ["review-error", { user: "sofia", prepare: (mock) => { mock.fail.set("/api/interactions", { status: 404, error: "This call is not here, or not yours to open." }); } }, goto(`/#/calls/${demo.CALL}`, ".problem")],
];
const PHONE_TABS = { "pop-known": ["Customer"], "in-call": ["Live"], "wrap-up": ["Live"], idle: ["Work"] };

await mkdir(out, { recursive: true });
const { browser, close } = await openBrowser();
let troubles = 0;
for (const [name, options, act] of SHOTS) {
  if (!name.includes(only)) continue;
  for (const [size, viewport] of [["wide", WIDE], ["phone", PHONE]]) {
    for (const scheme of ["light", "dark"]) {
      if (process.argv[3] && !`${size}-${scheme}`.includes(process.argv[3])) continue;
      const desk = await openDesk(browser, { ...options, viewport, scheme });
      try {
        if (size === "phone") for (const tab of ["Work", "Customer", "Live"]) if ((PHONE_TABS[name] ?? (/^(pop|details|words|first|idle-no)/.test(name) ? ["Customer"] : options.user !== "sofia" && /call|lost|stopping|expired|wrap/.test(name) ? ["Live"] : [])).includes(tab)) await desk.page.locator(".tabs button", { hasText: tab }).click();
        await act(desk);
        await desk.page.screenshot({ path: `${out}${name}-${size}-${scheme}.png` });
      } catch (error) {
        console.error(`${name} ${size} ${scheme}: ${error.message.split("\n")[0]}`);
        await desk.page.screenshot({ path: `${out}FAILED-${name}-${size}-${scheme}.png` });
        troubles += 1;
      }
      for (const line of desk.bad) { console.error(`${name} ${size} ${scheme}: ${line}`); troubles += 1; }
      await desk.close();
    }
  }
}
await close();
console.log(`pictures in ${out}${troubles ? `, ${troubles} troubles` : ""}`);
