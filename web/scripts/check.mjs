// What the strict content security policy and "text from outside is text" forbid in the sources.
import { readdir, readFile } from "node:fs/promises";

const root = new URL("../src/", import.meta.url).pathname;
const LINES_MAX = 500;
const bans = [
  [/dangerouslySetInnerHTML|\.(inner|outer)HTML\b|insertAdjacentHTML|document\.write\b|createContextualFragment/, "text from outside is text: build elements"],
  [/\bstyle=["'{]\s*["'`]|\.cssText\b|setAttribute\(\s*["']style["']/, "a style string breaks the content security policy: use a class or element.style.x"],
  [/\beval\(|new Function\(|javascript:/, "no code from strings"],
  [/https?:\/\/(?!www\.w3\.org\/)/, "everything is served by ourselves"],
  [/<script(?![^>]*\bsrc=)|\son[a-z]+=["']/, "no inline script"],
];

let bad = 0;
for (const name of await readdir(root, { recursive: true })) {
  if (!/\.(tsx?|css|html)$/.test(name)) continue;
  const lines = (await readFile(root + name, "utf8")).split("\n");
  if (lines.length > LINES_MAX) {
    console.error(`src/${name}: ${lines.length} lines, at most ${LINES_MAX}: divide it`);
    bad += 1;
  }
  lines.forEach((line, index) => {
    for (const [pattern, why] of bans) {
      if (!pattern.test(line)) continue;
      console.error(`src/${name}:${index + 1}: ${why}\n  ${line.trim()}`);
      bad += 1;
    }
  });
}
process.exit(bad === 0 ? 0 : 1);
