// Pictures of a real call, light and dark, into tests/out/real: to be looked at by a person. Takes about a minute and a half.
// A server with demo data on an address of its own, the carried call through it (`demo call`), Daniel answering, Grace reading along.
// `node tests/real_shots.mjs [BINARY]`; the binary is target/debug/throughline where none is named.
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBrowser, until, WIDE } from "./browser.mjs";

const root = new URL("../../", import.meta.url).pathname;
const binary = process.argv[2] ?? join(root, "target/debug/throughline");
const out = new URL("out/real/", import.meta.url).pathname;
const PATIENCE = 60_000;
const ADDRESS = `127.88.${(process.pid >> 8) & 255}.${(process.pid & 127) + 1}`;
const SCHEMES = ["light", "dark"];

/** The repository's configuration on an address and in a folder of its own. */
async function configuration(folder) {
  const from = join(root, "sip-config");
  for (const name of await readdir(from)) {
    const text = await readFile(join(from, name), "utf8");
    await writeFile(join(folder, name), text.replaceAll("127.0.0.1", ADDRESS).replace(/^data = .*$/m, `data = "${join(folder, "data")}"`));
  }
}

function run(arguments_) {
  const child = spawn(binary, arguments_, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => said.push(data));
  return { child, ended: new Promise((done) => child.once("exit", done)), said: () => Buffer.concat(said).toString().split("\n").slice(-20).join("\n") };
}

async function open(browser, user, colorScheme) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme, reducedMotion: "reduce", locale: "en-GB" });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.addInitScript(() => {
    window.shifts = [];
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push({ at: Math.round(entry.startTime), value: entry.value, of: entry.sources.map((source) => source.node?.outerHTML?.slice(0, 90) ?? "") }); }).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(`http://${ADDRESS}:8080`);
  await page.getByLabel("User name").fill(user);
  await page.getByLabel("Password").fill(`demo-${user}`);
  await page.keyboard.press("Enter");
  await page.locator("header.top").waitFor();
  return page;
}

const folder = await mkdtemp(join(tmpdir(), "throughline-shots-"));
await mkdir(out, { recursive: true });
await configuration(folder);
const server = run(["serve", "--config", folder, "--demo"]);
const { browser, close } = await openBrowser();
let call = null;
try {
  await until("the server is ready", () => fetch(`http://${ADDRESS}:8080/readyz`).then((answer) => answer.ok, () => false), PATIENCE);
  const daniel = await Promise.all(SCHEMES.map((scheme) => open(browser, "daniel", scheme)));
  const grace = await Promise.all(SCHEMES.map((scheme) => open(browser, "grace", scheme)));
  const both = (pages, act) => Promise.all(pages.map(act));
  const take = (name, pages) => both(pages, async (page, n) => {
    await page.waitForTimeout(150);
    await page.screenshot({ path: `${out}${name}-${SCHEMES[n]}.png` });
  });
  const settle = (pages, selector) => both(pages, (page) => page.locator(selector).first().waitFor());
  const spoken = (pages, least) => both(pages, (page) => until(`${least} live lines`, async () => (await page.locator(".live-now .say").count()) >= least, PATIENCE));

  call = run(["demo", "call", "--config", folder]);
  await take("0-not-ready", daniel);
  await daniel[0].locator(".fact", { hasText: "101" }).waitFor();
  await daniel[0].getByRole("button", { name: "Ready", exact: true }).first().click();
  await settle(daniel, "header .state.ready");
  await take("1-idle", daniel);
  await settle(daniel, ".offer-slot.here");
  await take("2-pop", daniel);
  await settle(daniel, ".big-timer");
  await spoken(daniel, 1);
  await take("3-first-words", daniel);
  await both(grace, (page) => page.locator(".agents").getByRole("link", { name: /On a call/ }).first().click());
  await spoken(daniel, 7);
  await take("4-in-call", daniel);
  await spoken(grace, 4);
  await take("5-supervisor-reads-along", grace);
  await settle(daniel, ".wrap-form");
  await take("6-wrap-up-at-once", daniel);
  await settle(daniel, ".live-words .card-lines");
  await take("7-wrap-up", daniel);
  await both(grace, async (page) => { await page.locator(".call-facts .card-lines").first().waitFor(); await page.locator(".words .say").first().waitFor(); });
  await take("8-call-page", grace);
  await both(grace, async (page) => { await page.locator(".word", { hasText: "twice" }).first().click(); await page.locator(".say.now").waitFor(); await page.locator(".turn-moods").scrollIntoViewIfNeeded(); await page.keyboard.press("Space"); });
  await take("9-call-page-mood", grace);
  for (const [who, pages] of [["agent", daniel], ["supervisor", grace]]) {
    for (const [n, page] of pages.entries()) {
      const shifts = await page.evaluate(() => window.shifts);
      console.log(`${who} ${SCHEMES[n]}: layout shift ${shifts.reduce((sum, one) => sum + one.value, 0).toFixed(4)} ${JSON.stringify(shifts.sort((a, b) => b.value - a.value).slice(0, 12))}`);
    }
  }
  console.log(`pictures in ${out}`);
} catch (error) {
  console.error(error.message, "\ncall:", call?.said(), "\nserver:", server.said());
  for (const [n, context] of browser.contexts().entries()) await context.pages()[0]?.screenshot({ path: `${out}FAILED-${n}.png` });
  process.exitCode = 1;
} finally {
  call?.child.kill();
  // It would wait for the call to end.
  server.child.kill("SIGKILL");
  await Promise.all([call?.ended, server.ended]);
  await close();
  await rm(folder, { recursive: true, force: true });
}
