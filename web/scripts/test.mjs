// Runs the tests: `unit` (pure code, bundled to plain JavaScript for node --test) or `desk` (in Chromium, against the mock server).
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = new URL("../", import.meta.url).pathname;
const which = process.argv[2] ?? "unit";

async function unit() {
  const out = await mkdtemp(join(tmpdir(), "desk-unit-"));
  const names = (await readdir(`${root}tests`)).filter((name) => name.endsWith(".test.ts"));
  await build({ absWorkingDir: root, entryPoints: names.map((name) => `tests/${name}`), outdir: out, bundle: true, format: "esm", platform: "node", outExtension: { ".js": ".mjs" }, logLevel: "warning" });
  const { status } = spawnSync(process.execPath, ["--test", ...names.map((name) => join(out, name.replace(/\.ts$/, ".mjs")))], { stdio: "inherit", env: { ...process.env, TZ: "UTC" } });
  await rm(out, { recursive: true });
  return status ?? 1;
}

/** One file after the other: each has a browser, and the pages must not wait for each other. */
async function desk() {
  const names = (await readdir(`${root}tests`)).filter((name) => name.endsWith(".test.mjs")).sort();
  return spawnSync(process.execPath, ["--test", "--test-concurrency=1", "--test-timeout=600000", ...names.map((name) => `${root}tests/${name}`)], { stdio: "inherit" }).status ?? 1;
}

process.exit(which === "desk" ? await desk() : await unit());
