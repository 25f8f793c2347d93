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

function desk() {
  return spawnSync(process.execPath, ["--test", "--test-timeout=600000", `${root}tests/desk.test.mjs`], { stdio: "inherit" }).status ?? 1;
}

process.exit(which === "desk" ? desk() : await unit());
