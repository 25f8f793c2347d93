// Bundles the desk into dist/: index.html, app.js, app.css, icon.svg. Nothing is fetched from elsewhere at run time.
import { build } from "esbuild";
import { cp, mkdir, readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const FIRST_LOAD_LIMIT_KB = 150; // gzip, all of the first load
const root = new URL("../", import.meta.url).pathname;
const out = `${root}dist`;

await mkdir(out, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: [{ in: "src/main.tsx", out: "app" }, { in: "src/styles/app.css", out: "app" }],
  outdir: out,
  bundle: true,
  minify: true,
  sourcemap: false,
  format: "esm",
  target: ["es2022", "chrome123", "firefox121", "safari17.5"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
});
for (const file of ["index.html", "icon.svg"]) await cp(`${root}src/${file}`, `${out}/${file}`);

let total = 0;
for (const file of ["index.html", "app.js", "app.css", "icon.svg"]) total += gzipSync(await readFile(`${out}/${file}`)).length;
const kb = total / 1024;
console.log(`dist: first load ${kb.toFixed(1)} kB gzip`);
if (kb >= FIRST_LOAD_LIMIT_KB) {
  console.error(`first load is over ${FIRST_LOAD_LIMIT_KB} kB gzip: take something out or load it later`);
  process.exit(1);
}
