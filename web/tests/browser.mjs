// The mock server and a headless Chromium for the desk's tests; `THROUGHLINE_CHROMIUM` names another browser.
import { mkdtemp, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { Mock } from "../mock/server.mjs";

const BROWSER = process.env.THROUGHLINE_CHROMIUM ?? "/usr/bin/chromium";
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio"];
export const WIDE = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

export const haveBrowser = existsSync(BROWSER);

/** A browser that lives for the whole file. */
export async function openBrowser() {
  const profile = await mkdtemp(join(tmpdir(), "desk-browser-"));
  const browser = await chromium.launch({ executablePath: BROWSER, headless: true, args: ARGS, env: { ...process.env, TMPDIR: profile } });
  return { browser, close: async () => { await browser.close(); await rm(profile, { recursive: true, force: true }); } };
}

/** A page on a mock of its own. Everything that must never happen is collected: dialogs, console errors, policy violations, requests out. */
export async function openDesk(browser, { user = "ann", viewport = WIDE, scheme = "light", login = true, prepare = () => {}, media = { colorScheme: scheme, reducedMotion: "reduce" } } = {}) {
  const mock = new Mock();
  prepare(mock);
  const url = await mock.listen();
  const context = await browser.newContext({ viewport, ...media, locale: "en-GB", timezoneId: "Europe/Copenhagen" });
  const page = await context.newPage();
  page.setDefaultTimeout(5000);
  const bad = [];
  page.on("dialog", (dialog) => { bad.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
  page.on("pageerror", (error) => bad.push(`page error: ${error.stack ?? error.message}`));
  page.on("console", (message) => { if (message.type() === "error" && !/status of (401|403|404|409|500|503)|WebSocket connection/.test(message.text())) bad.push(`console: ${message.text()}`); });
  page.on("request", (request) => { if (!request.url().startsWith(url) && !request.url().startsWith(url.replace("http", "ws"))) bad.push(`request out: ${request.url()}`); });
  await page.addInitScript(() => {
    window.shifts = [];
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shifts.push({ at: entry.startTime, value: entry.value, input: entry.hadRecentInput, of: entry.sources.map((source) => source.node?.outerHTML?.slice(0, 90) ?? source.node?.textContent ?? "") }); }).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(url);
  if (login) {
    await page.getByLabel("User name").fill(user);
    await page.getByLabel("Password").fill("demo");
    await page.keyboard.press("Enter");
    await page.locator("header.top").waitFor();
    await page.locator(user === "sofia" ? ".board-body" : ".desk .idle .empty").first().waitFor({ state: "attached" });
  }
  return { mock, page, context, url, bad, close: async () => { await context.close(); await mock.close(); } };
}

/** Waits for a condition with a deadline; never a fixed sleep. */
export async function until(what, check, deadlineMs = 5000) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((next) => setTimeout(next, 20));
  }
}
