// What moves on the pages while calls come and go: nothing that was there before. And what a busy floor makes a desk ask for.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { haveBrowser, openBrowser, openDesk, until } from "./browser.mjs";
import * as demo from "../mock/data.mjs";

const skip = haveBrowser ? false : "no Chromium: set THROUGHLINE_CHROMIUM";
/** Over a call's whole life, all shifts together. */
const SHIFT_MAX = 0.01;
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

/** Longer than a loaded machine needs. */
const PATIENCE = 30_000;
const frames = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))));

/** Counts from here; the page is as it is. */
async function watch(page) {
  await frames(page);
  const from = await page.evaluate(() => performance.now());
  return async (where) => {
    await frames(page);
    const shifts = await page.evaluate((at) => window.shifts.filter((shift) => shift.at >= at), from);
    const sum = shifts.reduce((total, one) => total + one.value, 0);
    console.log(`${where}: layout shift ${sum.toFixed(4)} in ${shifts.length} parts`);
    assert.ok(sum < SHIFT_MAX, `${where}: ${sum.toFixed(4)} ${JSON.stringify(shifts.map(({ value, of }) => [value.toFixed(4), of]), null, 1)}`);
  };
}

const GRACE_MS = 1000;

desk("the supervisor's board stays where it is over a call's whole life", { user: "sofia", prepare: (mock) => { mock.board = { ...mock.board, waiting: 0, longest_since: null, callers: [], alarms: [] }; } }, async ({ mock, page }) => {
  const seen = (text) => page.locator(".board", { hasText: text }).waitFor();
  await seen("Nobody waits");
  const still = await watch(page);
  const now = Date.now();
  const { agents } = mock.board;
  const with_ = (part) => agents.map((agent) => (agent.name === "Jonas Berg" ? { ...agent, since: Date.now(), ...part } : agent));
  const day = (n) => mock.queues.map((queue) => (queue.queue === "Claims" ? { ...queue, offered: queue.offered + n, answered: queue.answered + n, longest_ms: queue.longest_ms + n * 531_000, service_level: queue.service_level + n } : queue));
  const caller = { ...demo.board(now).callers[1], since: now - GRACE_MS };
  mock.showBoard({ waiting: 1, longest_since: caller.since, callers: [caller], alarms: ["Trunk north-1 does not answer OPTIONS. Check 192.0.2.10 and the firewall."] });
  await seen("+33 170 18 99 00");
  mock.showBoard({ callers: [{ ...caller, offered_to: "Jonas Berg" }], agents: with_({ state: "offered", phone_registered: true }) });
  await seen("Call offered");
  // The longest wait goes from one digit to two, and the hour is full.
  mock.showBoard({ longest_since: now - 600_000, callers: [{ ...caller, since: now - 3_600_000 }, ...demo.board(now).callers], waiting: 4 });
  await seen("Ingrid Olsen");
  mock.showBoard({ waiting: 0, longest_since: null, callers: [], alarms: [], calls: 3, agents: with_({ state: "busy", interaction: demo.CALL }) }, day(1));
  await seen("3 calls now");
  mock.showBoard({ calls: 2, agents: with_({ state: "wrap_up" }) }, day(2));
  await seen("2 calls now");
  mock.showBoard({ agents: with_({ state: "ready", phone_registered: false }) });
  await seen("1 ready");
  mock.cut(true);
  await page.locator(".board-body.stale").waitFor();
  await still("board");
});

desk("agents keep their places by name, and stand by their time in a state when that is asked for", { user: "sofia" }, async ({ mock, page }) => {
  const names = () => page.locator(".people tbody th").allTextContents();
  assert.deepEqual(await names(), ["Ann Keller", "Jonas Berg", "Lea Brandt", "Mira Novak", "Tom Weber", "Ole Dahl"]);
  await page.getByRole("button", { name: "State" }).click();
  await until("by state", async () => (await names()).join() === "Ann Keller,Tom Weber,Lea Brandt,Jonas Berg,Mira Novak,Ole Dahl", PATIENCE);
  await page.reload();
  await page.locator(".people").waitFor();
  await until("kept", async () => (await names())[1] === "Tom Weber", PATIENCE);
  assert.equal(await page.locator(".people [aria-sort=ascending]").textContent(), "State");
});

desk("an agent's desk stays where it is over a call's whole life", {}, async ({ mock, page }) => {
  const call = (part) => mock.show({ call: { ...mock.view.call, ...part } });
  await page.locator(".mine .row").first().waitFor();
  const still = await watch(page);
  mock.queues = mock.queues.map((queue) => ({ ...queue, waiting: 1, longest_since: Date.now() - 9000 }));
  mock.broadcast({ cursor: ++mock.cursor, type: "queues", queues: mock.queues });
  await page.getByText("1 waiting").waitFor();
  mock.offer("late");
  await page.locator(".brief.late").waitFor();
  mock.offer("known");
  await page.locator(".brief.known").waitFor();
  await page.locator(".entry").first().waitFor();
  mock.answerCall();
  await page.locator(".big-timer").waitFor();
  for (let n = 0; n < 12; n += 1) {
    mock.speak(n, n + 1, { partial: n < 11 ? 2 : null, lag: n === 6 ? 4300 : 700 });
    await until(`line ${n}`, async () => (await page.locator(".live-now .say").count()) >= Math.min(n + 1, 8), PATIENCE);
  }
  call({ held_since: Date.now() - 500 });
  await page.locator(".live-bar", { hasText: /on hold/i }).waitFor();
  call({ held_since: null, recording: false, trouble: "No sound from the customer, but they are there: perhaps muted. Ask, or call back.", trouble_since: Date.now() });
  await page.getByText("perhaps muted").waitFor();
  call({ trouble: null, trouble_since: null, recording: true, sound: { mos_x100: 320, text: "Customer hard to hear: 12 % lost" } });
  await page.getByText("hard to hear").waitFor();
  mock.hangUp();
  await page.locator(".wrap-form").waitFor();
  mock.cardArrives();
  await page.locator(".live-words .card-lines").waitFor();
  mock.show(mock.ready());
  await page.locator(".idle .empty").waitFor();
  await still("agent's desk");
});

desk("the call page stays where it is while its call ends and its words and card arrive", { user: "sofia", prepare: (mock) => { mock.running = true; mock.stage = "pending"; mock.view = { ...mock.view, call: { interaction: demo.CALL } }; } }, async ({ mock, page, url }) => {
  const changed = () => mock.broadcast({ cursor: ++mock.cursor, type: "changed", changes: [{ interaction: demo.CALL, customer: demo.MARIA.customer }] });
  await page.goto(`${url}/#/calls/${demo.CALL}`);
  await page.locator(".live-now").waitFor();
  const still = await watch(page);
  for (let n = 0; n < 12; n += 1) {
    mock.speak(n, n + 1);
    await until(`line ${n}`, async () => (await page.locator(".live-now .say").count()) >= Math.min(n + 1, 5), PATIENCE);
  }
  mock.running = false;
  changed();
  await page.locator(".wave canvas").waitFor();
  mock.stage = "done";
  changed();
  await page.locator(".words .say").first().waitFor();
  await page.locator(".call-facts .card-lines").waitFor();
  await still("call page");
});

desk("a busy floor makes a desk ask seldom, and no pop waits for it", {}, async ({ mock, page }) => {
  await page.locator(".mine .row").first().waitFor();
  const reads = () => mock.log.filter((entry) => entry.path?.startsWith("/api/work-items")).length;
  const before = reads();
  let n = 0;
  const flood = setInterval(() => { n += 1; mock.broadcast({ cursor: ++mock.cursor, type: "changed", changes: [{ interaction: demo.id("5", n), customer: null }] }); }, 50);
  const from = Date.now();
  try {
    await until("60 changes of others", () => n >= 60, PATIENCE);
    const offer = mock.offer("known");
    await until("rendered amid them", () => mock.log.some((entry) => entry.type === "ack" && entry.offer === offer.offer && entry.level === "rendered"), PATIENCE);
    const most = 1 + Math.ceil((Date.now() - from) / 1000);
    assert.ok(reads() - before <= most, `${reads() - before} readings for ${n} changes`);
  } finally {
    clearInterval(flood);
  }
  const quiet = reads();
  mock.broadcast({ cursor: ++mock.cursor, type: "changed", changes: [{ interaction: demo.CALL, customer: null }] });
  await until("a change of the own call is read", () => reads() > quiet, PATIENCE);
});
