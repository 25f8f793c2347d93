// The desk of a real server in headless Chromium, driven by tests/e2e_desk.rs: `node real_desk.mjs ADDRESS FOLDER [POPS]`.
// Each step is told as a line of JSON; the test plays the carrier and the phone meanwhile. The agent's hands touch keys only.
import { openBrowser, until, WIDE } from "./browser.mjs";

const [url, folder, pops] = process.argv.slice(2);
const PATIENCE = 90_000;
const CALLER = "Laura Bennett";
const EVIL = "<img src=x onerror=alert(1)>";
const NOTE = "Charged twice for 48215, refund promised.";
const bad = [];
const tell = (step, more = {}) => process.stdout.write(`${JSON.stringify({ step, ...more })}\n`);

async function open(browser) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", locale: "en-GB" });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("dialog", (dialog) => { bad.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
  page.on("pageerror", (error) => bad.push(`page error: ${error.message}`));
  page.on("request", (request) => { if (new URL(request.url()).host !== new URL(url).host) bad.push(`request out: ${request.url()}`); });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () { window.player = this; return play.call(this); };
  });
  await page.goto(url);
  return page;
}

/** By keyboard: the name's field has the focus already. */
async function login(page, user) {
  await page.locator("input[name=username]:focus").waitFor();
  await page.keyboard.type(user);
  await page.keyboard.press("Tab");
  await page.keyboard.type(`demo-${user}`);
  await page.keyboard.press("Enter");
  await page.locator("header.top").waitFor();
}

async function tabTo(page, name) {
  for (let n = 0; n < 40; n += 1) {
    if (await page.evaluate((wanted) => document.activeElement?.textContent.trim() === wanted, name)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab never reaches ${name}`);
}

/** When a caller's name was painted in the offer's slot, on the wall clock of this machine. */
function painted(page, name) {
  return page.evaluate((wanted) => new Promise((done) => {
    const look = () => {
      const slot = document.querySelector(".offer-slot.here");
      if (!slot?.textContent.includes(wanted)) return false;
      // The frame's callback runs before its paint, a message posted there after it.
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => done({ painted_ms: performance.timeOrigin + performance.now(), slot: slot.textContent, brief: document.querySelector(".brief")?.textContent ?? "" });
        channel.port2.postMessage(0);
      });
      return true;
    };
    if (!look()) new MutationObserver((_, observer) => { if (look()) observer.disconnect(); }).observe(document.body, { subtree: true, childList: true, characterData: true });
  }), name);
}

async function becomeReady(page) {
  await login(page, "daniel");
  await until("the phone is registered", () => page.locator(".fact", { hasText: "101" }).count(), PATIENCE);
  await tabTo(page, "Ready");
  await page.keyboard.press("Enter");
  await page.locator("header .state.ready").waitFor();
}

/** Only pops, one after the other; each is told when it was painted, and again when its slot is free. */
async function onlyPops(page, count) {
  await becomeReady(page);
  for (let n = 0; n < count; n += 1) {
    const popped = painted(page, CALLER);
    tell("ready");
    tell("popped", await popped);
    await page.locator(".offer-slot:not(.here)").waitFor();
    const again = page.getByRole("button", { name: "Ready", exact: true });
    await until("ready again", async () => (await page.locator("header .state.ready").count()) > 0 || ((await again.count()) > 0 && (await again.click(), false)), PATIENCE);
  }
}

async function agentsCall(page) {
  await becomeReady(page);
  const popped = painted(page, CALLER);
  tell("ready");
  tell("popped", await popped);
  await page.screenshot({ path: `${folder}/desk-pop.png` });
  await page.locator(".big-timer").waitFor();
  // Keys are dead for a moment after a pop, and this phone is answered faster than a hand could.
  await until("N leads to the note", async () => {
    await page.keyboard.press("n");
    return page.evaluate(() => document.activeElement?.id === "note");
  });
  await page.keyboard.type(NOTE);
  tell("in_call");
  await page.locator(".live-bar", { hasText: /on hold 0:01/ }).waitFor();
  tell("held");
  await page.locator(".wrap-form").waitFor();
  const ended = Date.now();
  await page.locator(".live-words .card-lines").waitFor();
  const cardMs = Date.now() - ended;
  const promises = await page.locator(".promises input[aria-label=Promise]").evaluateAll((inputs) => inputs.map((input) => input.value));
  const note = await page.locator("#note").inputValue();
  await page.screenshot({ path: `${folder}/desk-wrap-up.png` });
  await page.keyboard.press("Escape");
  await until("a digit chooses the disposition", async () => {
    await page.keyboard.press("1");
    return page.locator(".suggested [aria-pressed=true]").count();
  });
  const disposition = await page.locator(".suggested [aria-pressed=true] .one").textContent();
  await page.keyboard.press("Control+Enter");
  await page.locator(".wrap-form").waitFor({ state: "detached" });
  await page.locator("header .state.ready").waitFor();
  const hostile = painted(page, EVIL);
  tell("wrapped_up", { card_ms: cardMs, promises, note, disposition });
  return hostile;
}

async function evil(page, hostile) {
  const { slot } = await hostile;
  const title = await page.locator(".brief h1").textContent();
  const elements = await page.locator("img:not([src='/icon.svg'])").count();
  await page.screenshot({ path: `${folder}/desk-hostile-name.png` });
  tell("hostile", { slot, title, elements });
  await page.locator(".offer-slot:not(.here)").waitFor();
}

/** How much of each lane's height is drawn on: two voices make two lanes. */
const lanes = (page) => page.locator(".wave canvas").evaluate((canvas) => {
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const middle = Math.floor((height * 0.8) / 2);
  const rows = (from, to) => { let n = 0; for (let y = from; y < to; y += 1) { for (let x = 0; x < width; x += 1) { if (data[(y * width + x) * 4 + 3] > 200) { n += 1; break; } } } return n; };
  return { customer: rows(0, middle), agent: rows(middle, middle * 2) };
});

async function supervisor(page) {
  await login(page, "grace");
  await page.locator(".board-body").waitFor();
  await page.keyboard.press("g");
  await page.keyboard.press("a");
  const row = page.locator(".call-row", { hasText: CALLER }).first();
  await row.click();
  await page.locator(".words .say").first().waitFor();
  const drawn = await until("the lanes", async () => { const now = await lanes(page); return now.customer > 5 && now.agent > 5 && now; }, PATIENCE);
  await page.keyboard.press("Space");
  const from = await until("the recording plays", () => page.evaluate(() => (window.player?.currentTime ?? 0) > 0.05 && window.player.currentTime), PATIENCE);
  const to = await until("it goes on", () => page.evaluate((at) => window.player.currentTime > at + 1 && window.player.currentTime, from), PATIENCE);
  const words = (party) => page.locator(`.words .say.${party} .word`).allTextContents();
  const [customer, agent] = [await words("customer"), await words("agent")];
  const clicked = page.locator(".words .say.customer .word", { hasText: "twice" }).first();
  const wordAt = Number(await clicked.getAttribute("data-from")) / 1000;
  await clicked.click();
  const place = await until("a word plays from just before it", () => page.evaluate((at) => Math.abs(window.player.currentTime - at) < 1 && window.player.currentTime, wordAt), PATIENCE);
  await page.screenshot({ path: `${folder}/call-page.png` });
  tell("reviewed", {
    lanes: drawn, from, to, word_at: wordAt, place, customer, agent, duration: await page.evaluate(() => window.player.duration),
    card: await page.locator(".call-facts .card-lines dd").allTextContents(), facts: await page.locator(".call-facts").textContent(),
    marks: await page.locator(".words .mark").allTextContents(), sentence: await page.locator(".player .warn-text").allTextContents(),
  });
}

const { browser, close } = await openBrowser();
try {
  const desk = await open(browser);
  const pages = [desk];
  if (pops) await onlyPops(desk, Number(pops));
  else {
    const hostile = await agentsCall(desk);
    await evil(desk, hostile);
    pages.push(await open(browser));
    await supervisor(pages[1]);
  }
  for (const page of pages) bad.push(...(await page.evaluate(() => window.violations)));
  tell("end", { bad });
} catch (error) {
  tell("failed", { why: error.stack ?? String(error), bad });
  process.exitCode = 1;
} finally {
  await close();
}
